//! What stages of rules derive on its way into the log, and the keys whose time is over.

use std::collections::BTreeSet;

use cloud_uplink::eventmesh::attribute::{MESH_TOPIC, MQTT_TOPIC};
use filters::{Event, Value, rules::Derived};
use spool::{Full, LossReason, NodeTime};

use super::{
    Broker,
    carried::Carried,
    journal::Journal,
    publish::{Arrival, NoRoom},
};
use crate::{node::handle::RULE_ORIGIN, record::Change, rules::Crowded};

/// How soon a closing that found no room in the log is tried again.
const CLOSE_AGAIN_MS: u64 = 1_000;

impl Broker {
    /// Whether something derived, or a reply to an event that ordered a command, is to be published that has not just found no
    /// room.
    pub(crate) fn has_derived(&self) -> bool {
        !self.derived_rests && (self.judge.derived(0).is_some() || self.has_replies())
    }

    /// There may be room for what was derived.
    pub(crate) fn let_derived_go(&mut self) {
        self.derived_rests = false;
    }

    /// Publishes what stages derived, and replies. What finds no room stays, and keeps what its rule derived later behind it.
    pub(crate) fn publish_derived(&mut self, journal: &mut Journal<'_>) {
        let mut without_room = BTreeSet::new();
        let mut place = 0;
        while let Some(derived) = self.judge.derived(place) {
            if without_room.contains(derived.rule()) {
                place += 1;
                continue;
            }
            let derived = derived.clone();
            if !derived.has_topic() || !self.is_open_topic(&derived.topic) {
                self.lose_derived(journal, &derived);
                continue;
            }
            match self.publish_one_derived(journal, &derived) {
                // It is in the log, so that another stands at this place.
                Ok(()) => {}
                Err(Full::TooLarge) if journal.is_empty() => self.lose_derived(journal, &derived),
                Err(_) => {
                    without_room.insert(derived.rule().to_owned());
                    place += 1;
                }
            }
        }
        let replied = self.publish_replies(journal);
        self.derived_rests = !without_room.is_empty() || replied.is_err();
    }

    fn publish_one_derived(
        &mut self,
        journal: &mut Journal<'_>,
        derived: &Derived,
    ) -> Result<(), Full> {
        let event = on_topic(&derived.topic, derived.event.clone());
        let carried = Carried::mint(journal, &derived.topic, &event);
        let origin = format!("{RULE_ORIGIN}{}", derived.rule());
        let arrival = Arrival {
            derived_by: &derived.derived_by,
            crowded: Crowded::Waits,
            ..Arrival::of(carried.record(&origin, &derived.topic), carried.lane)
        };
        let taken = self.take(journal, &arrival);
        taken.map(drop).map_err(|NoRoom { full, .. }| full)
    }

    /// It would never fit, or its topic is none that is open.
    fn lose_derived(&mut self, journal: &mut Journal<'_>, derived: &Derived) {
        let rule = derived.rule().to_owned();
        let bytes = derived.event.data_bytes().len() as u64;
        self.lose(LossReason::Refused, rule.clone(), 1, bytes, journal.now);
        let lost = Change::DerivedLost { rule };
        // Without room it is tried, and lost, once more after a restart.
        if self.change(journal, lost.clone()).is_err() {
            self.apply_change(lost, spool::Seq::ZERO);
        }
    }

    /// When the time of a key of a stage is over.
    pub(super) fn next_closing(&self) -> Option<NodeTime> {
        let next = self.judge.next_deadline()?;
        Some(next.max(self.closings_rest_until))
    }

    /// Closes the keys whose time is over: the log says so first.
    pub(super) fn close_due_keys(&mut self, journal: &mut Journal<'_>) {
        if self.closings_rest_until > journal.now {
            return;
        }
        while let Some((stage, key)) = self.judge.due(journal.now) {
            if self
                .change(journal, Change::KeyClosed { stage, key })
                .is_err()
            {
                self.closings_rest_until = NodeTime(journal.now.0 + CLOSE_AGAIN_MS);
                return;
            }
        }
    }
}

/// An event that goes on as it came does so on another topic.
fn on_topic(topic: &str, mut event: Event) -> Event {
    event.extensions.remove(MESH_TOPIC);
    if let Some(named) = event.extensions.get_mut(MQTT_TOPIC) {
        *named = Value::String(topic.to_owned());
    }
    event
}
