use std::{collections::BTreeMap, time::Instant};

use filters::TopicFilter;

use super::{Client, Closed, Item, QUEUED_BYTES, QUEUED_EVENTS, SILENCE_MAX, STALL_MAX};
use crate::mesh::key::GroupKey;

/// One stream, for as long as it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::mesh) struct MemberId(pub(in crate::mesh) u64);

pub(super) struct Member {
    pub(super) client: Client,
    /// Which of the live streams of its identity it is.
    pub(super) ordinal: u32,
    pub(super) topics: BTreeMap<TopicFilter, GroupKey>,
    /// Whether its first subscription was answered; no event goes before that.
    pub(super) answered: bool,
    seen_at: Instant,
    queued_events: usize,
    queued_bytes: usize,
    /// When it last took something, or had nothing to take.
    moved_at: Instant,
}

impl Member {
    pub(super) fn new(now: Instant, client: Client, ordinal: u32) -> Member {
        Member {
            client,
            ordinal,
            topics: BTreeMap::new(),
            answered: false,
            seen_at: now,
            queued_events: 0,
            queued_bytes: 0,
            moved_at: now,
        }
    }

    /// The group it reads a topic from.
    pub(super) fn key(&self, item: &Item) -> GroupKey {
        self.client.key(item, self.ordinal)
    }

    /// It showed a sign of life.
    pub(super) fn seen(&mut self, now: Instant) {
        self.seen_at = now;
    }

    /// How many events may be put before its stream.
    pub(super) fn room(&self) -> usize {
        if !self.answered || self.queued_bytes >= QUEUED_BYTES {
            return 0;
        }
        QUEUED_EVENTS.saturating_sub(self.queued_events)
    }

    pub(super) fn queue(&mut self, now: Instant, bytes: usize) {
        if self.queued_events == 0 {
            self.moved_at = now;
        }
        self.queued_events += 1;
        self.queued_bytes += bytes;
    }

    pub(super) fn taken(&mut self, now: Instant, bytes: usize) {
        self.queued_events = self.queued_events.saturating_sub(1);
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        self.moved_at = now;
        self.seen_at = now;
    }

    /// Why its stream is to be ended, if it is.
    pub(super) fn overdue(&self, now: Instant) -> Option<Closed> {
        if self.queued_events > 0 && now >= self.moved_at + STALL_MAX {
            Some(Closed::Stalled)
        } else if now >= self.seen_at + SILENCE_MAX {
            Some(Closed::Silent)
        } else {
            None
        }
    }
}
