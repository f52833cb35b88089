//! What other doors of the node ask of the core.

use spool::Seq;

use super::Core;
use crate::{
    broker::{Journal, KnownSink, dead_cursor, sink_cursor},
    node::handle::{Incoming, PublishError, RemoveError, Request},
};

impl Core {
    /// A door asks.
    pub fn handle_request(&mut self, request: Request) {
        // An asker that went away needs no answer.
        match request {
            Request::Publish {
                origin,
                events,
                reply,
            } => {
                if let Some(index) = self.speaks_for_device(&events) {
                    return drop(reply.send(Err(not_for_others(index))));
                }
                let now = (self.clock)();
                let mut journal =
                    Journal::begin(&self.spool, &mut self.ingest, now, self.keeps_history);
                let taken = self.broker.handle_events(&mut journal, &origin, &events);
                if taken.is_ok() {
                    self.broker.publish_derived(&mut journal);
                    self.broker.hand_over(&mut journal);
                    journal.finish();
                } else {
                    drop(journal); // takes back what was appended of the batch
                }
                self.carry_out();
                drop(reply.send(taken.map_err(full)));
            }
            Request::Groups(request) => self.handle_group_request(request),
            Request::RemoveSink { name, reply } => drop(reply.send(self.remove_sink(&name))),
            Request::Devices(request) => self.handle_device_request(request),
            Request::Tap { reply } => drop(reply.send(self.broker.open_tap())),
            Request::Status { reply } => drop(reply.send(self.status())),
        }
    }

    /// The first of these events on a topic where only a device or the node itself speaks.
    fn speaks_for_device(&self, events: &[Incoming]) -> Option<usize> {
        events.iter().position(|incoming| {
            let carried = incoming.mesh_topic();
            let is_open = |topic: &str| self.broker.is_open_topic(topic);
            !is_open(&incoming.topic) || carried.is_some_and(|topic| !is_open(&topic))
        })
    }

    fn remove_sink(&mut self, name: &str) -> Result<Seq, RemoveError> {
        let sink = || name.to_owned();
        let known = KnownSink {
            debt: self.spool.cursor(&sink_cursor(name)),
            dead: self.spool.cursor(&dead_cursor(name)),
        };
        match known.debt {
            Some(debt) if self.broker.is_sink(debt) => {
                return Err(RemoveError::Configured { sink: sink() });
            }
            None if known.dead.is_none() => return Err(RemoveError::Unknown { sink: sink() }),
            _ => {}
        }
        self.transact(|broker, journal| broker.handle_remove_sink(journal, name, known))
            .map_err(|error| RemoveError::Unavailable {
                what: error.to_string(),
            })
    }
}

fn not_for_others(index: usize) -> PublishError {
    PublishError::Refused {
        index,
        reason: "its topic belongs to a device of [devices]; commands to it go to POST /api/v1/devices/ID/commands".to_owned(),
    }
}

pub(super) fn full(full: spool::Full) -> PublishError {
    match full {
        spool::Full::TooLarge => PublishError::TooLarge,
        spool::Full::Bound { .. } | spool::Full::Waiting | spool::Full::UnknownRoute => {
            PublishError::Full {
                what: full.to_string(),
            }
        }
    }
}
