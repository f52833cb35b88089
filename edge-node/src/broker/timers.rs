//! What is due, and when: a timer has one time, so there are no more of them than of what they are about.

use std::collections::{BTreeMap, BTreeSet};

use spool::NodeTime;

use super::deadline::Timer;

#[derive(Debug, Default)]
pub(super) struct Timers {
    times: BTreeMap<Timer, NodeTime>,
    /// The same by time.
    due: BTreeSet<(NodeTime, Timer)>,
}

impl Timers {
    /// Makes this due at a time, and at no other.
    pub(super) fn set(&mut self, timer: Timer, at: NodeTime) {
        self.cancel(&timer);
        self.due.insert((at, timer.clone()));
        self.times.insert(timer, at);
    }

    /// Makes this due at a time, unless it is sooner.
    pub(super) fn set_at_latest(&mut self, timer: Timer, at: NodeTime) {
        if self.times.get(&timer).is_none_or(|sooner| at < *sooner) {
            self.set(timer, at);
        }
    }

    /// It is not due any more.
    pub(super) fn cancel(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.times.remove_entry(timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// None of these is due any more. Looks at all timers.
    pub(super) fn cancel_all(&mut self, is_one: impl Fn(&Timer) -> bool) {
        self.due.retain(|(_, timer)| !is_one(timer));
        self.times.retain(|timer, _| !is_one(timer));
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<NodeTime> {
        self.due.first().map(|(at, _)| *at)
    }

    /// One that is due by now, which it is no more.
    pub(super) fn take_due(&mut self, now: NodeTime) -> Option<Timer> {
        self.next().filter(|at| *at <= now)?;
        let (_, timer) = self.due.pop_first()?;
        self.times.remove(&timer);
        Some(timer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }
}
