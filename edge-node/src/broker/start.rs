//! The start: wills and expiries run from here, and outbound QoS 2 goes on where it stood.

use spool::{Full, NodeTime, Seq};

use super::{
    Broker,
    deadline::Timer,
    errands::RetainedGrant,
    flight::{self, Place},
    journal::Journal,
    retained::Retention,
    session::{Outbound, SessionId},
};
use crate::{mqtt::packet::QoS, record::Change};

/// The node's name for itself: 64 random bits, and how often it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Random, once.
    pub node: u64,
    /// One more at each start.
    pub boot: u32,
}

/// How long the will of a durable session waits for its client after the node itself stopped.
pub(super) const WILL_GRACE_MS: u64 = 30_000;

impl Broker {
    /// Ends recovery: names the node where it has no name yet, and lets wills and expiries run. A node that has a name
    /// starts without room in the log too: to serve who is owed something is what makes room.
    ///
    /// `alive` is when the node was running last, as far as the log tells.
    pub fn start(
        &mut self,
        journal: &mut Journal<'_>,
        random: u64,
        alive: NodeTime,
    ) -> Result<Identity, Full> {
        self.recovered = journal.appended();
        let clock = journal.clock();
        self.appended = self.recovered;
        if self.identity.node == 0 {
            self.change(
                journal,
                Change::Named {
                    node: random.max(1),
                },
            )?;
        }
        let boot = self.identity.boot.wrapping_add(1);
        if let Err(full) = self.change(journal, Change::Started { boot, clock }) {
            tracing::error!(%full, "the node starts, and takes no message before there is room");
            // The next start counts on from the last that is in the log: this one stands apart from all of them.
            self.identity.boot = (random >> 32) as u32 | 1 << 31;
        }
        self.note_downtime(journal, alive);
        let positions = self.retained.positions();
        self.retentions.extend(positions.map(Retention::Keep));
        self.restart_sessions(journal);
        self.restart_commands();
        self.sweep_retained_later(journal.now);
        // The log frees nothing before its first transaction.
        self.hand_over(journal);
        Ok(self.identity)
    }

    fn note_downtime(&mut self, journal: &mut Journal<'_>, alive: NodeTime) {
        let milliseconds = journal.now.0.saturating_sub(alive.0);
        if milliseconds == 0 || !self.judge.has_open_stages() {
            return;
        }
        let downtime = Change::Downtime { milliseconds };
        // No room: it holds for this run all the same.
        if self.change(journal, downtime.clone()).is_err() {
            self.apply_change(downtime, Seq::ZERO);
        }
    }

    /// Brings what recovery folded to life: clients are away, wills and expiries run from `now`.
    pub(crate) fn restart_sessions(&mut self, journal: &mut Journal<'_>) {
        let ids: Vec<SessionId> = self.sessions.iter().map(|(id, _)| id).collect();
        for id in ids {
            restore_flights(self, id);
            self.search_again(id);
            let Some(session) = self.sessions.get(id) else {
                continue;
            };
            let (client, kept) = (session.client.to_string(), session.kept.clone());
            if kept.connected {
                let due = kept.will.as_ref().map(|will| {
                    let delay = u64::from(will.delay_seconds.min(kept.expiry_seconds)) * 1000;
                    NodeTime(journal.now.0 + delay.max(WILL_GRACE_MS))
                });
                let ended = Change::SessionDisconnected {
                    client: client.clone(),
                    at: journal.now,
                    expiry_seconds: kept.expiry_seconds,
                    will_due: due,
                };
                // No room: the next start does it again, and until then it is known all the same.
                if self.record_of(journal, id, ended.clone()).is_err() {
                    self.apply_change(ended, Seq::ZERO);
                }
                if let Some(due) = due {
                    self.timers.set(Timer::Will(client.clone()), due);
                }
                self.expire_later(journal, id, journal.now, kept.expiry_seconds);
            } else {
                if let Some(due) = kept.will_due {
                    self.timers.set(Timer::Will(client.clone()), due);
                }
                self.expire_later(journal, id, kept.disconnected_at, kept.expiry_seconds);
            }
        }
        // Their members may all have been sessions that the start has not brought back.
        self.remove_empty_groups(journal);
    }
}

/// Restores the flights of a recovered session from its outbound QoS 2 identifiers, in the order of their messages: that of
/// the identifiers is another one where some were in use when they were given.
fn restore_flights(broker: &mut Broker, id: SessionId) {
    let Some(session) = broker.sessions.get_mut(id) else {
        return;
    };
    let mut outbound: Vec<_> = session.kept.outbound.clone().into_iter().collect();
    outbound.sort_by_key(|(_, outbound)| outbound.seq());
    for (packet_id, outbound) in outbound {
        let mut group = None;
        let (place, phase) = match outbound {
            Outbound::Sent { seq, shared } => {
                group = shared.and_then(|name| broker.group_names.get(&name).copied());
                match group.and_then(|group| broker.groups.get_mut(group)) {
                    Some(group) => drop(group.held.insert(seq)),
                    None => session.flights.is_ahead(seq),
                }
                (Place::Stored(seq), flight::Phase::Published)
            }
            Outbound::Retained { seq, identifier } => {
                broker.retentions.push(Retention::Keep(seq));
                let grant = RetainedGrant {
                    qos: 2,
                    identifier,
                    asked: None,
                };
                (Place::Retained(grant, seq), flight::Phase::Published)
            }
            Outbound::Received => (Place::Stored(Seq::ZERO), flight::Phase::Released),
        };
        session
            .flights
            .insert(packet_id, place, group, QoS::ExactlyOnce, phase);
    }
}
