//! Decides what is said to the node next: connect, subscribe, announce, be welcomed, send, and begin again when that
//! fails. No IO and no clock: `now` is an argument, and what is to be done comes out of [`Link::poll`].

use heapless::Vec;
use wire::{
    List,
    answer::{Answer, Stored},
};

use crate::mqtt::Packet;

/// How the device speaks, in milliseconds where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// The longest wait before the second attempt to connect; it doubles with each.
    pub backoff_least_ms: u32,
    /// The longest wait before any attempt.
    pub backoff_most_ms: u32,
    /// How long the network or the node may take to answer; up to the welcome so much longer with each attempt, to a minute if
    /// it is not more to begin with: a node with a slow disk has to store the birth.
    pub patience_ms: u32,
    /// The longest silence in seconds.
    pub keep_alive_s: u16,
    /// How many publishes may be unacknowledged by the broker, at most [`MOST_IN_FLIGHT`].
    pub in_flight: u16,
}

impl Manners {
    /// Those of [`Manners::default`].
    pub const DEFAULT: Manners = Manners {
        backoff_least_ms: 1_000,
        backoff_most_ms: 60_000,
        patience_ms: 10_000,
        keep_alive_s: 30,
        in_flight: 8,
    };
}

impl Default for Manners {
    fn default() -> Self {
        Manners::DEFAULT
    }
}

/// How long the patience for a welcome grows.
const MOST_PATIENCE_MS: u32 = 60_000;
/// The most publishes that may be unacknowledged by the broker.
pub const MOST_IN_FLIGHT: usize = 16;

/// What is to be done next. `id` is the packet identifier to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection, until [`Link::deadline_ms`]; then [`Link::dialed`].
    Dial,
    /// Send CONNECT.
    Connect,
    /// Send SUBSCRIBE for answers and commands.
    Subscribe {
        /// Of the packet.
        id: u16,
    },
    /// Send the announcement of one kind, if there are so many; then [`Link::announced`].
    Table {
        /// Which one.
        index: usize,
        /// Of the packet.
        id: u16,
    },
    /// Send the next message of events, if there is one; then [`Link::sent`] or [`Link::nothing_to_send`].
    Event {
        /// Of the packet.
        id: u16,
    },
    /// Send the losses since boot.
    Report {
        /// Of the packet.
        id: u16,
    },
    /// The acknowledgements stay away: count what was sent as not sent.
    Rewind,
    /// Send PINGREQ.
    Ping,
    /// Close the connection; what was sent counts as not sent.
    Close,
    /// Wait for bytes, for an event, or for [`Link::deadline_ms`].
    Wait,
}

/// What came from the node, for who keeps the outbox.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// Nothing that concerns the outbox.
    Nothing,
    /// The node has this.
    Stored(List<'a, Stored>),
    /// The device is welcome: the node's time, in milliseconds since 1970, and what it has.
    Welcome(Option<u64>, List<'a, Stored>),
    /// A stream was refused: nothing of it may be sent before `until_ms`.
    Stopped(wire::Stream, u64),
    /// An event was refused for good, which an acknowledgement will cover.
    Refused(wire::Stream),
    /// A command or a configuration, to be acknowledged if it has an identifier.
    Command(&'a [u8], Option<u16>),
    /// The broker answered a publish: there is room for another. Whether events were stored is said by the node's answers.
    Answered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection before `until_ms`.
    Away {
        until_ms: u64,
    },
    Dialing {
        since_ms: u64,
    },
    /// The network is there; CONNECT is to be sent.
    Open {
        since_ms: u64,
    },
    Connecting {
        since_ms: u64,
    },
    Subscribing {
        id: u16,
        since_ms: u64,
        is_sent: bool,
    },
    /// Kinds, and at their end the birth, are to be sent.
    Announcing {
        index: usize,
        since_ms: u64,
    },
    /// The birth is sent.
    Born {
        since_ms: u64,
    },
    Live,
    /// The connection is to be closed.
    Closing {
        wait_ms: u64,
    },
}

/// A publish that the broker has not answered.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: u16,
    is_events: bool,
}

/// The state of the conversation.
#[derive(Debug)]
pub struct Link {
    manners: Manners,
    state: State,
    attempts: u32,
    random: u64,
    next_id: u16,
    in_flight: Vec<InFlight, MOST_IN_FLIGHT>,
    window: usize,
    keep_alive_ms: u64,
    last_sent_ms: u64,
    last_heard_ms: u64,
    /// Whether there may be something to send.
    has_events: bool,
    has_losses: bool,
    /// Since when events are out without a word from the node.
    unanswered_since_ms: Option<u64>,
}

impl Link {
    /// Not connected, and ready to be. `random` is a number of the hardware's generator.
    #[must_use]
    pub fn new(manners: Manners, random: u32) -> Self {
        Link {
            manners,
            state: State::Away { until_ms: 0 },
            attempts: 0,
            random: u64::from(random) | 1 << 32,
            next_id: 0,
            in_flight: Vec::new(),
            window: 1,
            keep_alive_ms: u64::from(manners.keep_alive_s).saturating_mul(1000),
            last_sent_ms: 0,
            last_heard_ms: 0,
            has_events: true,
            has_losses: false,
            unanswered_since_ms: None,
        }
    }

    /// Whether the node has welcomed the device on this connection.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// What to do next.
    pub fn poll(&mut self, now_ms: u64) -> Action {
        let is_late = self
            .deadline_ms()
            .is_some_and(|deadline_ms| deadline_ms <= now_ms);
        match self.state {
            State::Away { until_ms } if until_ms <= now_ms => {
                self.state = State::Dialing { since_ms: now_ms };
                Action::Dial
            }
            State::Open { .. } => {
                self.state = State::Connecting { since_ms: now_ms };
                self.said(now_ms);
                Action::Connect
            }
            State::Subscribing {
                id, is_sent: false, ..
            } => {
                self.state = State::Subscribing {
                    id,
                    since_ms: now_ms,
                    is_sent: true,
                };
                self.said(now_ms);
                Action::Subscribe { id }
            }
            State::Announcing { index, .. } if self.has_window() => {
                if is_late {
                    return self.close();
                }
                let id = self.take_id(false);
                Action::Table { index, id }
            }
            State::Live => self.poll_live(now_ms),
            State::Closing { wait_ms } => {
                self.state = State::Away {
                    until_ms: now_ms.saturating_add(wait_ms),
                };
                Action::Close
            }
            State::Connecting { .. }
            | State::Subscribing { .. }
            | State::Born { .. }
            | State::Announcing { .. }
                if is_late =>
            {
                self.close()
            }
            _ => Action::Wait,
        }
    }

    fn poll_live(&mut self, now_ms: u64) -> Action {
        let patience_ms = u64::from(self.manners.patience_ms);
        if self.keep_alive_ms > 0 && self.silence_ends_ms() <= now_ms {
            return self.close();
        }
        if self
            .unanswered_since_ms
            .is_some_and(|since_ms| since_ms.saturating_add(patience_ms) <= now_ms)
        {
            self.unanswered_since_ms = None;
            self.has_events = true;
            return Action::Rewind;
        }
        if self.has_losses && self.has_window() {
            self.has_losses = false;
            return Action::Report {
                id: self.take_id(false),
            };
        }
        if self.has_events && self.has_window() {
            return Action::Event {
                id: self.take_id(true),
            };
        }
        if self.keep_alive_ms > 0 && self.ping_ms() <= now_ms {
            self.said(now_ms);
            return Action::Ping;
        }
        Action::Wait
    }

    /// When [`Link::poll`] has something to do even if nothing happens.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        let patience_ms = u64::from(self.manners.patience_ms);
        match self.state {
            State::Away { until_ms } => Some(until_ms),
            State::Dialing { since_ms } => Some(since_ms.saturating_add(patience_ms)),
            State::Connecting { since_ms }
            | State::Subscribing { since_ms, .. }
            | State::Announcing { since_ms, .. }
            | State::Born { since_ms } => {
                Some(since_ms.saturating_add(self.welcome_patience_ms().into()))
            }
            State::Live => {
                let answer_ms = self
                    .unanswered_since_ms
                    .map(|since_ms| since_ms.saturating_add(patience_ms));
                let speak_ms =
                    (self.keep_alive_ms > 0).then(|| self.ping_ms().min(self.silence_ends_ms()));
                answer_ms.into_iter().chain(speak_ms).min()
            }
            State::Open { .. } | State::Closing { .. } => Some(0),
        }
    }

    /// The connection is there, or could not be had.
    pub fn dialed(&mut self, now_ms: u64, is_there: bool) {
        if is_there {
            self.state = State::Open { since_ms: now_ms };
            self.in_flight.clear();
            self.window = 1;
            self.last_heard_ms = now_ms;
            self.unanswered_since_ms = None;
        } else {
            self.lost(now_ms);
        }
    }

    /// The connection broke, or was closed.
    pub fn lost(&mut self, now_ms: u64) {
        if let State::Away { .. } = self.state {
            return; // the wait is known
        }
        let wait_ms = self.backoff_ms();
        self.state = State::Away {
            until_ms: now_ms.saturating_add(wait_ms),
        };
    }

    /// A broker that is no node accepted the connection: nothing is asked or announced.
    pub(crate) fn go_live(&mut self) {
        if let State::Subscribing { .. } = self.state {
            self.be_live();
        }
    }

    fn be_live(&mut self) {
        self.state = State::Live;
        self.attempts = 0;
        self.has_events = true;
        self.unanswered_since_ms = None;
    }

    /// A broker that is no node answered a publish.
    pub(crate) fn answered(&mut self, now_ms: u64) {
        self.unanswered_since_ms = (!self.in_flight.is_empty()).then_some(now_ms);
        self.has_events = true;
    }

    /// There may be something new to send.
    pub fn wake(&mut self, has_losses: bool) {
        self.has_events = true;
        self.has_losses |= has_losses;
    }

    /// A kind was announced; without one, the birth went out in its place.
    pub fn announced(&mut self, now_ms: u64, is_birth: bool) {
        self.said(now_ms);
        if let State::Announcing { index, since_ms } = self.state {
            self.state = if is_birth {
                State::Born { since_ms: now_ms }
            } else {
                State::Announcing {
                    index: index.saturating_add(1),
                    since_ms,
                }
            };
        }
    }

    /// Events went out.
    pub fn sent(&mut self, now_ms: u64) {
        self.said(now_ms);
        self.unanswered_since_ms.get_or_insert(now_ms);
    }

    /// There was nothing to send: the identifier is free again.
    pub fn nothing_to_send(&mut self, id: u16) {
        self.has_events = false;
        self.in_flight.retain(|sent| sent.id != id);
    }

    /// The birth is to be said again before the next event: the identifier is free again.
    pub(crate) fn announce_anew(&mut self, now_ms: u64, id: u16) {
        self.in_flight.retain(|sent| sent.id != id);
        self.announce(now_ms);
    }

    fn announce(&mut self, now_ms: u64) {
        self.state = State::Announcing {
            index: 0,
            since_ms: now_ms,
        };
    }

    /// Follows a packet; `is_answer` tells the topic of an answer from that of a command.
    pub fn handle_packet<'a>(
        &mut self,
        now_ms: u64,
        packet: Packet<'a>,
        is_answer: impl Fn(&str) -> bool,
    ) -> Heard<'a> {
        self.last_heard_ms = now_ms;
        match packet {
            Packet::Connack {
                reason: 0,
                receive_maximum,
                keep_alive_s,
                ..
            } => {
                self.window = usize::from(receive_maximum.min(self.manners.in_flight))
                    .clamp(1, MOST_IN_FLIGHT);
                let keep_alive_s = keep_alive_s.unwrap_or(self.manners.keep_alive_s);
                self.keep_alive_ms = u64::from(keep_alive_s).saturating_mul(1000);
                if let State::Connecting { .. } = self.state {
                    let id = self.next_packet_id();
                    self.state = State::Subscribing {
                        id,
                        since_ms: now_ms,
                        is_sent: false,
                    };
                }
                Heard::Nothing
            }
            Packet::Suback { id, refused: None } => {
                if matches!(self.state, State::Subscribing { id: asked, .. } if asked == id) {
                    self.announce(now_ms);
                }
                Heard::Nothing
            }
            Packet::Publish { topic, id, payload } if !is_answer(topic) => {
                Heard::Command(payload, id)
            }
            Packet::Publish { payload, .. } => self.handle_answer(now_ms, payload),
            Packet::Puback { id, reason } => self.handle_puback(id, reason),
            Packet::Pingresp => Heard::Nothing,
            Packet::Connack { .. } | Packet::Suback { .. } | Packet::Disconnect { .. } => {
                self.close();
                Heard::Nothing
            }
        }
    }

    /// Events that were not taken stay in the outbox, and the node says when to send them again. Whatever else it did not
    /// take is said again on the next connection.
    fn handle_puback(&mut self, id: u16, reason: u8) -> Heard<'static> {
        let sent = self.in_flight.iter().position(|sent| sent.id == id);
        let sent = sent.map(|index| self.in_flight.remove(index));
        if reason >= 0x80 && sent.is_none_or(|sent| !sent.is_events) {
            self.close();
            return Heard::Nothing;
        }
        Heard::Answered
    }

    fn handle_answer<'a>(&mut self, now_ms: u64, payload: &'a [u8]) -> Heard<'a> {
        let is_born = matches!(
            self.state,
            State::Born { .. } | State::Live | State::Announcing { .. }
        );
        match Answer::decode(payload) {
            Ok(Answer::Welcome(welcome, stored)) if is_born => {
                if let State::Born { .. } = self.state {
                    self.be_live();
                }
                Heard::Welcome(welcome.time_ms, stored)
            }
            Ok(Answer::Ack(stored)) => {
                self.note_word(now_ms);
                Heard::Stored(stored)
            }
            Ok(Answer::BirthWanted(_)) if is_born => {
                self.announce(now_ms);
                Heard::Nothing
            }
            Ok(Answer::Refused(refused)) if refused.reason.is_final() => {
                Heard::Refused(refused.stream)
            }
            Ok(Answer::Refused(refused)) => {
                self.note_word(now_ms);
                let until_ms = now_ms.saturating_add(refused.after_ms.into());
                Heard::Stopped(refused.stream, until_ms)
            }
            Ok(Answer::BirthRefused { after_ms, .. }) => {
                let wait_ms = self.backoff_ms().max(after_ms.into());
                self.state = State::Closing { wait_ms };
                Heard::Nothing
            }
            Ok(Answer::NoVersion(_)) => {
                self.state = State::Closing {
                    wait_ms: self.manners.backoff_most_ms.into(),
                };
                Heard::Nothing
            }
            // A welcome nobody asked for, or bytes that are no answer: the node is not what it should be.
            Ok(Answer::Welcome(..) | Answer::BirthWanted(_)) | Err(_) => {
                self.close();
                Heard::Nothing
            }
        }
    }

    /// The node said something of events.
    fn note_word(&mut self, now_ms: u64) {
        if self.unanswered_since_ms.is_some() {
            self.unanswered_since_ms = Some(now_ms);
        }
    }

    /// Has the connection closed with the next action.
    fn close(&mut self) -> Action {
        let wait_ms = self.backoff_ms();
        self.state = State::Closing { wait_ms };
        Action::Wait
    }

    /// A random wait up to a bound that doubles with each attempt.
    fn backoff_ms(&mut self) -> u64 {
        let (least, most) = (
            u64::from(self.manners.backoff_least_ms),
            u64::from(self.manners.backoff_most_ms),
        );
        let doubled = least.checked_shl(self.attempts.min(20)).unwrap_or(most);
        self.attempts = self.attempts.saturating_add(1);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
            .checked_rem(doubled.min(most).saturating_add(1))
            .unwrap_or(0)
    }

    fn welcome_patience_ms(&self) -> u32 {
        let once = self.manners.patience_ms;
        let grown = once.saturating_mul(self.attempts.saturating_add(1));
        grown.min(MOST_PATIENCE_MS.max(once))
    }

    /// How long the network or the node may take.
    pub(crate) fn patience_ms(&self) -> u64 {
        self.manners.patience_ms.into()
    }

    /// The longest silence in seconds.
    pub(crate) fn keep_alive_s(&self) -> u16 {
        self.manners.keep_alive_s
    }

    /// An identifier for a publish outside the window.
    pub(crate) fn take_free_id(&mut self) -> u16 {
        self.take_id(false)
    }

    fn has_window(&self) -> bool {
        self.in_flight.len() < self.window
    }

    /// An identifier for a publish that is about to be sent.
    fn take_id(&mut self, is_events: bool) -> u16 {
        let mut id = self.next_packet_id();
        while self.in_flight.iter().any(|sent| sent.id == id) {
            id = self.next_packet_id();
        }
        let _ = self.in_flight.push(InFlight { id, is_events }); // the window is no larger than the list
        id
    }

    fn next_packet_id(&mut self) -> u16 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }

    fn said(&mut self, now_ms: u64) {
        self.last_sent_ms = now_ms;
    }

    fn ping_ms(&self) -> u64 {
        self.last_sent_ms
            .min(self.last_heard_ms)
            .saturating_add(self.keep_alive_ms / 2)
            .max(
                // One question at a time.
                self.last_sent_ms.saturating_add(self.keep_alive_ms / 4),
            )
    }

    fn silence_ends_ms(&self) -> u64 {
        self.last_heard_ms
            .saturating_add(self.keep_alive_ms)
            .saturating_add(self.keep_alive_ms / 2)
    }
}

#[cfg(test)]
mod tests;
