//! What comes through other doors than MQTT: events over HTTP and gRPC, groups of the mesh services, sinks.

use std::{collections::BTreeMap, time::Duration};

use filters::TopicFilter;
use spool::{CursorId, Full, LossReason, NodeTime, Seq, Start};

use super::{
    Broker,
    carried::Carried,
    deadline::Timer,
    flight::Place,
    journal::Journal,
    message::Message,
    publish::{Appended, Arrival},
    subscriptions::Subscriber,
};
use crate::{
    node::{
        handle::{Incoming, Origin},
        status::SessionsStatus,
    },
    record::{Change, SubscriptionOptions},
    rules::{Judged, Subject},
};

impl Broker {
    /// Takes events in, all or none: on an error the caller takes the transaction back.
    pub fn handle_events(
        &mut self,
        journal: &mut Journal<'_>,
        origin: &Origin,
        events: &[Incoming],
    ) -> Result<Seq, Full> {
        let origin = origin.text();
        let mut taken = Vec::with_capacity(events.len());
        for incoming in events {
            match self.append_event(journal, &origin, incoming) {
                Ok(one) => taken.push(one),
                Err(full) => {
                    for one in taken.into_iter().rev() {
                        self.judge.take_back(one.judged);
                    }
                    // The routes interned in this transaction go back with it.
                    self.subscriptions.forget();
                    return Err(full);
                }
            }
        }
        let mut last = Seq::ZERO;
        for (incoming, one) in events.iter().zip(&taken) {
            let record = one.carried.record(&origin, &incoming.topic);
            self.follow_judged(&one.judged, one.appended, &record, journal.now);
            let ordered = self.follow_order(journal, &record);
            let place = one.appended.publish().map(Place::Stored);
            let audience = self
                .subscriptions
                .audience_of_carried(&incoming.topic, incoming.mesh_topic().as_deref());
            let message = Message::of(&record, journal.now);
            self.fan_out(journal.now, &message, &audience, None, place.as_ref());
            last = last.max(one.appended.last()).max(ordered);
        }
        self.ask_for_births(journal);
        self.counters.events += events.len() as u64;
        Ok(last)
    }

    fn append_event(
        &mut self,
        journal: &mut Journal<'_>,
        origin: &str,
        incoming: &Incoming,
    ) -> Result<TakenEvent, Full> {
        let carried = Carried::mint(journal, &incoming.topic, &incoming.event);
        let lane = carried.lane;
        let audience = self
            .subscriptions
            .audience_of_carried(&incoming.topic, incoming.mesh_topic().as_deref());
        let record = carried.record(origin, &incoming.topic);
        let mut judged = self.judge.judge(
            &Subject::new(&record),
            lane,
            journal.next(),
            journal.clock(),
            &[],
        );
        let arrival = Arrival::of(record, lane);
        match self.append_publish(journal, &arrival, &audience, &mut judged) {
            Ok(appended) => Ok(TakenEvent {
                carried,
                judged,
                appended,
            }),
            Err(full) => {
                self.judge.take_back(judged);
                Err(full)
            }
        }
    }

    /// Opens a group of the mesh services, or gives it new filters.
    pub fn handle_open_group(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
        filters: &[TopicFilter],
    ) -> Result<(CursorId, Seq), Full> {
        let name = mesh_name(name);
        let filters: Vec<String> = filters
            .iter()
            .map(|filter| filter.as_str().to_owned())
            .collect();
        let known = self
            .group_names
            .get(&name)
            .and_then(|id| self.groups.get(*id));
        if let Some(group) = known
            && group.filters == filters
            && !self.resting.contains_key(&name)
        {
            return Ok((group.cursor, Seq::ZERO));
        }
        let known = known.map(|group| group.cursor);
        let opened = |cursor| Change::GroupOpened {
            name: name.clone(),
            cursor,
            filters,
        };
        match known {
            Some(cursor) => Ok((cursor, self.change(journal, opened(cursor))?)),
            None => self.open_cursor(journal, &name, |cursor| vec![opened(cursor)]),
        }
    }

    /// Removes a group of the mesh services; what it was owed enters the ledger.
    pub fn handle_remove_group(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
    ) -> Result<Seq, Full> {
        let name = mesh_name(name);
        let Some(cursor) = self
            .group_names
            .get(&name)
            .and_then(|id| self.groups.get(*id))
            .map(|group| group.cursor)
        else {
            return Ok(Seq::ZERO);
        };
        let seq = self.change(journal, Change::GroupRemoved { name })?;
        journal.remove_cursor(cursor, Some(LossReason::CursorRemoved));
        Ok(seq)
    }

    /// Notes that a group of the mesh services has no member, unless it is noted.
    pub fn handle_rest_group(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
    ) -> Result<Seq, Full> {
        let name = mesh_name(name);
        if self.resting.contains_key(&name) || !self.group_names.contains_key(&name) {
            return Ok(Seq::ZERO);
        }
        let at = journal.now;
        self.change(journal, Change::GroupRests { name, at })
    }

    /// The groups of the mesh services that are noted to have no member, by the names of their cursors, and for how long.
    pub fn resting_groups(&self, now: NodeTime) -> BTreeMap<String, Duration> {
        let resting = self.resting.iter();
        let rests_for = |at: &NodeTime| Duration::from_millis(now.0.saturating_sub(at.0));
        resting
            .map(|(name, at)| (name.clone(), rests_for(at)))
            .collect()
    }

    /// Makes a sink hear its topics. Called for every sink of the configuration at start.
    pub fn handle_sink(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
        known: KnownSink,
        start: Start,
        from: &[TopicFilter],
        lanes: u32,
    ) -> Result<SinkCursors, Full> {
        let debt = match known.debt {
            Some(debt) => debt,
            None => journal.create_cursor(&sink_cursor(name), start, None)?,
        };
        let dead = match known.dead {
            Some(dead) => dead,
            None => journal.create_cursor(&dead_cursor(name), Start::Now, None)?,
        };
        if self.sinks.contains_key(name) {
            let back = Change::SinkLeft {
                name: name.to_owned(),
                at: None,
            };
            let _ = self.change(journal, back); // no room: the next start does it
        }
        let options = SubscriptionOptions {
            qos: 2,
            ..SubscriptionOptions::default()
        };
        self.sink_lanes.insert(debt, lanes);
        for filter in from {
            self.subscriptions
                .insert(filter, Subscriber::Sink(debt), options);
        }
        Ok(SinkCursors { debt, dead })
    }

    /// There are cursors of a sink that is not in the configuration: their day runs, or is over.
    pub fn handle_missing_sink(&mut self, journal: &mut Journal<'_>, name: &str, known: KnownSink) {
        let now = journal.now;
        let due = match self.sink_left(name) {
            Some(at) if now.0 >= at.0 + MISSING_SINK_MS => {
                match self.handle_remove_sink(journal, name, known) {
                    Ok(_) => return,
                    Err(_) => now.0 + NO_ROOM_AGAIN_MS,
                }
            }
            Some(at) => at.0 + MISSING_SINK_MS,
            None => {
                let left = Change::SinkLeft {
                    name: name.to_owned(),
                    at: Some(now),
                };
                match self.change(journal, left) {
                    Ok(_) => now.0 + MISSING_SINK_MS,
                    Err(_) => now.0 + NO_ROOM_AGAIN_MS,
                }
            }
        };
        let timer = Timer::MissingSink(name.to_owned(), known);
        self.timers.set(timer, NodeTime(due));
    }

    /// Removes what is held for a sink that is not in the configuration; what it was owed enters the ledger.
    pub fn handle_remove_sink(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
        known: KnownSink,
    ) -> Result<Seq, Full> {
        let left = Change::SinkLeft {
            name: name.to_owned(),
            at: None,
        };
        let seq = self.change(journal, left)?;
        for cursor in [known.debt, known.dead].into_iter().flatten() {
            journal.remove_cursor(cursor, Some(LossReason::CursorRemoved));
        }
        self.timers
            .cancel_all(|timer| matches!(timer, Timer::MissingSink(other, _) if other == name));
        Ok(seq)
    }

    /// Whether this is the cursor of a sink of the configuration.
    pub fn is_sink(&self, cursor: CursorId) -> bool {
        self.sink_lanes.contains_key(&cursor)
    }

    /// The sessions and what is retained, for status.
    pub fn sessions_status(&self) -> SessionsStatus {
        let connected = self
            .sessions
            .iter()
            .filter(|(_, session)| session.connection.is_some())
            .count() as u64;
        SessionsStatus {
            connected,
            offline: self.sessions.len() as u64 - connected,
            subscriptions: self
                .sessions
                .iter()
                .map(|(_, session)| session.kept.subscriptions.len() as u64)
                .sum(),
            subscription_bytes: self.subscriptions.bytes() as u64,
            retained: self.retained.len() as u64,
            retained_bytes: self.retained.bytes() as u64,
            withheld_bytes: self.withheld.get() as u64,
            ..SessionsStatus::default()
        }
    }
}

/// An event from another door, appended as it was judged.
struct TakenEvent {
    carried: Carried,
    judged: Judged,
    appended: Appended,
}

/// How long the cursor of a sink that left the configuration holds back what it is owed.
const MISSING_SINK_MS: u64 = 24 * 60 * 60 * 1000;
/// How soon what found no room in the log is tried again.
const NO_ROOM_AGAIN_MS: u64 = 60_000;

/// The cursors of a sink that are in the log already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownSink {
    /// Over what it is owed.
    pub debt: Option<CursorId>,
    /// Over its dead letters.
    pub dead: Option<CursorId>,
}

/// The cursors of a sink.
#[derive(Clone, Copy, Debug)]
pub struct SinkCursors {
    /// Over what it is owed.
    pub debt: CursorId,
    /// Over its dead letters.
    pub dead: CursorId,
}

/// The name of the cursor over what a sink is owed.
pub fn sink_cursor(name: &str) -> String {
    format!("uplink/{name}")
}

/// The name of the cursor over the dead letters of a sink.
pub fn dead_cursor(name: &str) -> String {
    format!("dead/{name}")
}

fn mesh_name(name: &str) -> String {
    format!("mesh/{name}")
}
