//! One stream of a device: what the node may not have.

use std::collections::VecDeque;

use wire::{Mark, Stream, birth::StreamState};

use super::INCARNATION;

/// Events that are kept.
const MOST: usize = 60;

pub(super) struct Outbox {
    pub(super) stream: u8,
    /// What the node has not acknowledged, with the uptime then, in order.
    pub(super) events: VecDeque<(Mark, u64)>,
    /// How many of them were sent since it began anew.
    pub(super) sent: usize,
    last: Mark,
    last_before_boot: Mark,
}

impl Outbox {
    pub(super) fn new(stream: u8) -> Outbox {
        Outbox {
            stream,
            events: VecDeque::new(),
            sent: 0,
            last: Mark::default(),
            last_before_boot: Mark::default(),
        }
    }

    fn next(&self, boot: u32) -> Mark {
        let before = if self.last.boot == boot {
            self.last.seq
        } else {
            0
        };
        Mark {
            boot,
            seq: before + 1,
        }
    }

    /// Commits one more event, if there is room.
    pub(super) fn commit(&mut self, boot: u32, uptime_ms: u64) -> Option<Mark> {
        if self.events.len() >= MOST {
            return None;
        }
        self.last = self.next(boot);
        self.events.push_back((self.last, uptime_ms));
        Some(self.last)
    }

    pub(super) fn reboot(&mut self) {
        self.last_before_boot = self.last;
    }

    pub(super) fn state(&self, boot: u32) -> StreamState {
        let oldest = self.events.front().map(|(mark, _)| *mark);
        StreamState {
            incarnation: INCARNATION,
            stream: Stream::new(self.stream).unwrap(),
            last: self.last_before_boot,
            oldest: oldest.unwrap_or_else(|| self.next(boot)),
        }
    }

    /// Whether something is to be sent.
    pub(super) fn waits(&self) -> bool {
        self.sent < self.events.len()
    }

    /// Whether something was sent that the node may not have.
    pub(super) fn is_unsure(&self) -> bool {
        self.sent > 0 && !self.events.is_empty()
    }

    /// The next events of one boot, at most so many.
    pub(super) fn take(&mut self, most: usize) -> Vec<(Mark, u64)> {
        let rest = self.events.iter().skip(self.sent).copied();
        let boot = self.events[self.sent].0.boot;
        let one_boot = rest.take_while(|(mark, _)| mark.boot == boot);
        let taken: Vec<_> = one_boot.take(most).collect();
        self.sent += taken.len();
        taken
    }

    /// The node has all up to this mark.
    pub(super) fn acknowledged(&mut self, mark: Mark) {
        let before = self.events.len();
        self.events.retain(|(event, _)| *event > mark);
        self.sent = self.sent.saturating_sub(before - self.events.len());
    }
}
