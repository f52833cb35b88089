use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use filters::TopicFilter;
use spool::Seq;

use super::{Client, Closed, Item, QUEUED_BYTES, QUEUED_EVENTS, SILENCE_MAX};
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
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// When it last took something, or had nothing to take.
    moved_at: Instant,
}

/// An event that waits for a stream to take it.
pub(super) struct Queued {
    pub(super) group: Arc<GroupKey>,
    pub(super) seq: Seq,
    pub(super) bytes: usize,
}

impl Member {
    pub(super) fn new(now: Instant, client: Client, ordinal: u32) -> Member {
        Member {
            client,
            ordinal,
            topics: BTreeMap::new(),
            answered: false,
            seen_at: now,
            queue: VecDeque::new(),
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
        QUEUED_EVENTS.saturating_sub(self.queue.len())
    }

    pub(super) fn queue(&mut self, now: Instant, event: Queued) {
        if self.queue.is_empty() {
            self.moved_at = now;
        }
        self.queued_bytes += event.bytes;
        self.queue.push_back(event);
    }

    /// What its stream takes next.
    pub(super) fn take(&mut self, now: Instant) -> Option<Queued> {
        let event = self.queue.pop_front()?;
        self.queued_bytes -= event.bytes;
        self.moved_at = now;
        self.seen_at = now;
        Some(event)
    }

    /// Why its stream is to be ended, if it is. `patience`: how long it may take nothing while events wait for it.
    pub(super) fn overdue(&self, now: Instant, patience: Duration) -> Option<Closed> {
        if !self.queue.is_empty() && now >= self.moved_at + patience {
            Some(Closed::Stalled)
        } else if now >= self.seen_at + SILENCE_MAX {
            Some(Closed::Silent)
        } else {
            None
        }
    }
}
