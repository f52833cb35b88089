//! A session: what outlives a connection.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU16,
    rc::Rc,
    sync::Arc,
};

use spool::{CursorId, NodeTime, Seq};

use super::{connection::ConnectionId, errands::Errands, group::GroupId, publish::Withheld};
use crate::{
    mqtt::packet::QoS,
    record::{StoredWill, SubscriptionOptions},
};

/// Index of a session in the broker; reused after the session ended.
pub(crate) type SessionId = usize;

/// Messages sent and not acknowledged, per session, whatever receive maximum the client grants.
pub(crate) const IN_FLIGHT_MAX: usize = 4096;

/// MQTT session state.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Arc<str>,
    pub(crate) kept: Kept,
    pub(crate) feed: Feed,
    pub(crate) flights: Flights,
    pub(crate) errands: Errands,
    pub(crate) connection: Option<ConnectionId>,
}

/// The part that is the fold of the log, for a durable session; the same shape in memory only for one that ends with
/// its connection.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kept {
    /// The cursor over what it is owed; `None` for a session that ends with its connection.
    pub(crate) cursor: Option<CursorId>,
    pub(crate) expiry_seconds: u32,
    pub(crate) connected: bool,
    /// When its last connection ended.
    pub(crate) disconnected_at: NodeTime,
    pub(crate) will: Option<StoredWill>,
    pub(crate) will_due: Option<NodeTime>,
    /// By topic filter as subscribed, `$share/…` included.
    pub(crate) subscriptions: BTreeMap<String, SubscriptionOptions>,
    /// Inbound QoS 2 identifiers that are taken, with the record that waits for release.
    pub(crate) inbound: BTreeMap<NonZeroU16, Seq>,
    /// Outbound QoS 2 identifiers.
    pub(crate) outbound: BTreeMap<NonZeroU16, Outbound>,
}

/// How far an outbound QoS 2 message is.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Outbound {
    /// PUBLISH may have been sent; PUBREC has not come.
    Sent { seq: Seq, shared: Option<String> },
    /// PUBREC came; PUBREL may have been sent.
    Received,
}

/// Where a reader of the log stands: everything owed up to `sent` was sent.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    pub(crate) sent: Seq,
    /// The last record it is owed that was not sent when it was published. Above `sent`: it is behind and reads.
    pub(crate) owed: Seq,
    /// A read is under way.
    pub(crate) reading: bool,
    /// What was in flight is being sent again first.
    pub(crate) resending: bool,
    /// A read at this committed position brought nothing on.
    pub(crate) dry_at: Option<Seq>,
    /// Without a cursor: what it is owed, as runs of positions, oldest first.
    pub(crate) runs: VecDeque<(Seq, Seq)>,
}

/// Runs of positions that a session without cursor may be behind (64 KiB of them).
const RUNS_MAX: usize = 4096;

impl Feed {
    pub(crate) fn is_behind(&self) -> bool {
        self.owed > self.sent
    }

    /// Notes a record to be read later. Gives the number of records that fell out at the bound.
    pub(crate) fn owe(&mut self, seq: Seq, has_cursor: bool) -> u64 {
        self.owed = seq;
        if has_cursor {
            return 0;
        }
        match self.runs.back_mut() {
            Some((_, last)) if last.0 + 1 == seq.0 => *last = seq,
            _ => self.runs.push_back((seq, seq)),
        }
        if self.runs.len() <= RUNS_MAX {
            return 0;
        }
        self.runs
            .pop_front()
            .map_or(0, |(first, last)| last.0 - first.0 + 1)
    }

    /// The next positions to read, at most `limit`.
    pub(crate) fn positions(&self, limit: usize) -> Vec<Seq> {
        self.runs
            .iter()
            .flat_map(|(first, last)| (first.0..=last.0).map(Seq))
            .take(limit)
            .collect()
    }

    /// Whether a message may go out at once, ahead of nothing.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_behind() && !self.resending
    }

    /// Whether it waits for this record.
    pub(crate) fn awaits(&self, seq: Seq) -> bool {
        self.runs
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&seq))
    }

    /// Everything up to `seq` was sent or given up.
    pub(crate) fn advance(&mut self, seq: Seq) {
        self.sent = self.sent.max(seq);
        while let Some((first, last)) = self.runs.front_mut() {
            if *last <= seq {
                self.runs.pop_front();
            } else {
                *first = (*first).max(Seq(seq.0.saturating_add(1)));
                break;
            }
        }
    }
}

/// A message sent and not yet acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) place: Place,
    /// The group whose debt it is, if not the session's own.
    pub(crate) group: Option<GroupId>,
    pub(crate) qos: QoS,
    pub(crate) phase: Phase,
    /// Order of sending.
    order: u64,
}

/// Where the message can be read again.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Stored(Seq),
    /// Its publisher's acknowledgement is withheld: it is in memory only.
    Withheld(Rc<Withheld>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// PUBLISH went out.
    Published,
    /// PUBREC came; PUBREL goes or went out.
    Released,
}

/// The messages in flight to one client, by packet identifier.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    by_id: BTreeMap<NonZeroU16, Flight>,
    /// Positions sent before the feed came to them.
    ahead: BTreeSet<Seq>,
    last_id: u16,
    sent: u64,
}

impl Flights {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A packet identifier that is free.
    pub(crate) fn next_id(&mut self) -> NonZeroU16 {
        debug_assert!(self.by_id.len() <= IN_FLIGHT_MAX);
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = NonZeroU16::new(self.last_id)
                && !self.by_id.contains_key(&id)
            {
                return id;
            }
        }
    }

    pub(crate) fn insert(
        &mut self,
        id: NonZeroU16,
        place: Place,
        group: Option<GroupId>,
        qos: QoS,
        phase: Phase,
    ) {
        self.sent += 1;
        self.by_id.insert(
            id,
            Flight {
                place,
                group,
                qos,
                phase,
                order: self.sent,
            },
        );
    }

    pub(crate) fn get_mut(&mut self, id: NonZeroU16) -> Option<&mut Flight> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: NonZeroU16) -> Option<Flight> {
        self.by_id.remove(&id)
    }

    /// Notes that this record is on its way though the feed has not come to it.
    pub(crate) fn is_ahead(&mut self, seq: Seq) {
        self.ahead.insert(seq);
    }

    /// Whether this record of the session's own debt is on its way already, or was and is done.
    pub(crate) fn take_ahead(&mut self, seq: Seq) -> bool {
        self.ahead.remove(&seq)
    }

    /// In the order of sending.
    pub(crate) fn in_order(&self) -> Vec<(NonZeroU16, Flight)> {
        let mut all: Vec<_> = self
            .by_id
            .iter()
            .map(|(id, flight)| (*id, flight.clone()))
            .collect();
        all.sort_by_key(|(_, flight)| flight.order);
        all
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&NonZeroU16, &mut Flight) -> bool) {
        self.by_id.retain(keep);
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Flight> {
        self.by_id.values_mut()
    }
}

impl Session {
    pub(crate) fn new(client: Arc<str>, cursor: Option<CursorId>, after: Seq) -> Session {
        Session {
            client,
            kept: Kept {
                cursor,
                ..Kept::default()
            },
            feed: Feed {
                sent: after,
                owed: after,
                ..Feed::default()
            },
            flights: Flights::default(),
            errands: Errands::default(),
            connection: None,
        }
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.kept.cursor.is_some()
    }
}
