//! Wills: what each connection left with the node, and whether it must, may or must not be published.

use std::collections::BTreeMap;

use spool::{NodeTime, Seq};

use super::{CLIENTS, Message};

/// The longest time after a start of the node within which the will of an absent client is published.
const GRACE_MS: u64 = 30_000;

/// All wills so far, by the numbers of their messages.
#[derive(Debug, Default)]
pub(crate) struct Wills {
    by_number: BTreeMap<usize, Will>,
}

#[derive(Debug)]
struct Will {
    client: usize,
    is_durable: bool,
    delay_ms: u64,
    /// The session, and with it the delay, ends after this.
    expiry_ms: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its client is there; whether CONNACK said so.
    Live { greeted: bool },
    /// The connection ended: it is published between these times, whatever happens, once the log has come to `from`.
    Due {
        earliest: NodeTime,
        latest: NodeTime,
        from: Seq,
    },
    /// The client took it back: it is never published, whatever happens, once the log has come to this position.
    Withdrawn(Seq),
    /// It may be published or not.
    Unsure,
}

impl Wills {
    /// A client connects with this will.
    ///
    /// `expiry_ms` is how long its session outlives the connection; nothing of one that does not is durable.
    pub(crate) fn given(&mut self, number: usize, client: usize, expiry_ms: u64, delay_ms: u64) {
        let will = Will {
            client,
            is_durable: expiry_ms > 0,
            delay_ms: delay_ms.min(expiry_ms),
            expiry_ms,
            state: State::Live { greeted: false },
        };
        self.by_number.insert(number, will);
    }

    /// CONNACK came: the node has this will for good, and what the client took back before is gone for good.
    pub(crate) fn greeted(&mut self, client: usize, number: Option<usize>) {
        for (other, will) in self.of(client) {
            match will.state {
                State::Live { .. } if Some(other) == number => {
                    will.state = State::Live { greeted: true };
                }
                State::Withdrawn(_) => will.state = State::Withdrawn(Seq::ZERO),
                _ => {}
            }
        }
    }

    /// CONNECT was refused: who knows how far it came.
    pub(crate) fn turned_away(&mut self, client: usize) {
        for (_, will) in self.of(client) {
            if !matches!(will.state, State::Due { .. }) {
                will.state = State::Unsure;
            }
        }
    }

    /// The client says goodbye, so that its will is not wanted.
    pub(crate) fn withdrawn(&mut self, number: usize, from: Seq) {
        if let Some(will) = self.by_number.get_mut(&number) {
            will.state = State::Withdrawn(if will.is_durable { from } else { Seq::ZERO });
        }
    }

    /// Its connection ended in any other way, and the node noticed between these times. A session that is not durable and that the
    /// node holds still `waits`: there is no room for its will beside what is being committed, and a crash takes both.
    pub(crate) fn ended(
        &mut self,
        number: usize,
        since: NodeTime,
        now: NodeTime,
        from: Seq,
        waits: impl Fn(usize) -> bool,
    ) {
        let Some(will) = self.by_number.get_mut(&number) else {
            return;
        };
        if let State::Live { greeted } = will.state {
            let safe = greeted && will.is_durable;
            will.state = State::Due {
                earliest: NodeTime(since.0 + will.delay_ms),
                latest: NodeTime(now.0 + will.delay_ms),
                from: match (safe, will.is_durable) {
                    (true, _) => Seq::ZERO,
                    (false, false) if waits(will.client) => Seq(u64::MAX),
                    (false, _) => from,
                },
            };
        }
    }

    /// The client is back in the same session: what is not yet due is not wanted any more.
    pub(crate) fn returned(&mut self, client: usize, now: NodeTime, from: Seq) {
        for (_, will) in self.of(client) {
            let State::Due {
                earliest, latest, ..
            } = will.state
            else {
                continue;
            };
            if now < earliest {
                will.state = State::Withdrawn(from);
            } else if now < latest {
                will.state = State::Unsure;
            }
        }
    }

    /// The client's session ends, and what it left is due at once.
    pub(crate) fn session_ended(&mut self, client: usize, now: NodeTime) {
        for (_, will) in self.of(client) {
            if let State::Due {
                earliest, latest, ..
            } = &mut will.state
            {
                (*earliest, *latest) = (now.min(*earliest), now.min(*latest));
            }
        }
    }

    /// The node stopped, and starts again. `has_lost`: for this client, a will that found no room may be in the ledger.
    pub(crate) fn node_stopped(
        &mut self,
        now: NodeTime,
        committed: Seq,
        has_lost: impl Fn(usize) -> bool,
    ) {
        for will in self.by_number.values_mut() {
            let start = NodeTime(now.0 + will.delay_ms.max(GRACE_MS).min(will.expiry_ms));
            will.state = match will.state {
                State::Live { greeted: true } if will.is_durable => State::Due {
                    earliest: start,
                    latest: start,
                    from: Seq::ZERO,
                },
                State::Live { .. } => State::Unsure,
                // It may not have been on the disk; what the ledger has of it is there with the next commit only.
                State::Due { from, .. }
                    if from > committed || from == committed && has_lost(will.client) =>
                {
                    State::Unsure
                }
                // Either the end is on record, or the node notices at its start that the client is away.
                State::Due {
                    earliest, latest, ..
                } if will.is_durable => State::Due {
                    earliest: earliest.min(start),
                    latest: latest.max(start),
                    from: Seq::ZERO,
                },
                State::Withdrawn(from) if from > committed => State::Unsure,
                state => state,
            };
        }
    }

    /// How many were published; each exactly where it must.
    ///
    /// `lost` is what the ledger has of each client's wills that found no room.
    pub(super) fn check(&self, messages: &[Message], mut lost: [u64; CLIENTS]) -> u64 {
        let mut published = 0;
        for (number, will) in &self.by_number {
            let message = &messages[*number];
            let there = message.at[0].is_any();
            published += u64::from(there);
            let mut must = matches!(will.state, State::Due { .. });
            if must && !there && lost[will.client] > 0 {
                lost[will.client] -= 1;
                must = false;
            }
            let may = must || will.state == State::Unsure;
            assert!(
                there || !must,
                "will {number} was due and is not published: {will:?}, {message:?}"
            );
            assert!(
                !there || may,
                "will {number} is not wanted and published: {will:?}, {message:?}"
            );
        }
        published
    }

    fn of(&mut self, client: usize) -> impl Iterator<Item = (usize, &mut Will)> {
        let wills = self.by_number.iter_mut();
        wills
            .filter(move |(_, will)| will.client == client)
            .map(|(number, will)| (*number, will))
    }
}
