use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Bounds, Moment, Table,
    watch::{Watch, Watched},
};

/// Lets an event go on when no other of its key has come for a time: of many, the last.
///
/// `E` is the event, in whatever form is kept of it.
#[derive(Clone, Debug)]
pub struct Debounce<E> {
    quiet: Duration,
    watch: Watch<Held<E>>,
    settled: VecDeque<Settled<E>>,
}

/// The last event of a key, for checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held<E> {
    /// When it came.
    pub at: Moment,
    /// Where it stands in the log.
    pub position: u64,
    /// Bytes that are kept of it.
    pub bytes: usize,
    /// What is kept of it.
    pub event: E,
}

/// An event that goes on. Key and position name it, whenever it goes on again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled<E> {
    /// The key.
    pub key: Arc<str>,
    /// Its last event.
    pub held: Held<E>,
    /// Whether its time was not over.
    pub partial: bool,
}

impl<E> Debounce<E> {
    /// Holds nothing.
    pub fn new(quiet: Duration, bounds: Bounds) -> Debounce<E> {
        Debounce {
            quiet,
            watch: Watch::new(bounds),
            settled: VecDeque::new(),
        }
    }

    /// There is an event of this key; it is held in place of the one before.
    pub fn handle_event(&mut self, key: &str, held: Held<E>) {
        self.watch.take(key);
        for evicted in self.watch.put(&Arc::from(key), held) {
            self.settle(evicted.key, evicted.state, true);
        }
    }

    /// The first key that has been quiet for so long.
    pub fn due(&self, now: Moment) -> Option<&Arc<str>> {
        self.watch.due(now, self.quiet)
    }

    /// When the next key will have been.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.watch.next_deadline(self.quiet)
    }

    /// Lets the event of a key go on.
    pub fn close(&mut self, key: &str) {
        if let Some(held) = self.watch.take(key) {
            self.settle(Arc::from(key), held, false);
        }
    }

    /// Lets all go on as partial: the stage is changed or gone.
    pub fn release(&mut self) {
        while let Some(key) = self.watch.due(Moment(u64::MAX), Duration::ZERO).cloned() {
            match self.watch.take(&key) {
                Some(held) => self.settle(key, held, true),
                None => return,
            }
        }
    }

    /// The node was down for so long: that was no quiet of anybody.
    pub fn handle_downtime(&mut self, downtime: Duration) {
        self.watch.change_all(|it| it.at = it.at.after(downtime));
    }

    /// What goes on, in order.
    pub fn poll_settled(&mut self) -> Option<Settled<E>> {
        self.settled.pop_front()
    }

    /// What it keeps, for a checkpoint.
    pub fn keys(&self) -> &Table<Held<E>> {
        self.watch.keys()
    }

    /// Puts back what a checkpoint kept.
    pub fn recover(&mut self, key: &str, held: Held<E>) {
        self.handle_event(key, held);
    }

    /// Keys that went at a bound; their events went on as partial.
    pub fn evicted(&self) -> u64 {
        self.watch.evicted()
    }

    fn settle(&mut self, key: Arc<str>, held: Held<E>, partial: bool) {
        self.settled.push_back(Settled { key, held, partial });
    }
}

impl<E> Watched for Held<E> {
    fn silent_since(&self) -> Option<Moment> {
        Some(self.at)
    }

    fn heap_bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(2);

    fn debounce(keys: usize) -> Debounce<&'static str> {
        Debounce::new(
            QUIET,
            Bounds {
                keys,
                bytes: usize::MAX,
            },
        )
    }

    fn held(at: u64, event: &'static str) -> Held<&'static str> {
        Held {
            at: Moment(at),
            position: at,
            bytes: event.len(),
            event,
        }
    }

    fn settled(debounce: &mut Debounce<&'static str>, now: u64) -> Vec<(&'static str, bool)> {
        while let Some(key) = debounce.due(Moment(now)).cloned() {
            debounce.close(&key);
        }
        std::iter::from_fn(|| debounce.poll_settled())
            .map(|it| (it.held.event, it.partial))
            .collect()
    }

    #[test]
    fn of_a_burst_the_last_goes_on_when_it_is_quiet() {
        let mut debounce = debounce(10);
        debounce.handle_event("door", held(0, "open"));
        debounce.handle_event("door", held(1000, "shut"));
        debounce.handle_event("gate", held(1500, "open"));
        debounce.handle_event("door", held(1900, "ajar"));
        assert!(settled(&mut debounce, 3499).is_empty());
        assert_eq!(settled(&mut debounce, 3500), [("open", false)]);
        assert_eq!(debounce.next_deadline(), Some(Moment(3900)));
        assert_eq!(settled(&mut debounce, 3900), [("ajar", false)]);
        assert_eq!(debounce.next_deadline(), None);
    }

    #[test]
    fn nothing_is_lost_at_the_bound_or_when_the_stage_goes() {
        let mut debounce = debounce(2);
        for (at, key) in ["a", "b", "c"].into_iter().enumerate() {
            debounce.handle_event(key, held(at as u64, key));
        }
        assert_eq!(settled(&mut debounce, 3), [("a", true)]);
        debounce.release();
        assert_eq!(settled(&mut debounce, 3), [("b", true), ("c", true)]);
        assert!(debounce.keys().is_empty());
    }
}
