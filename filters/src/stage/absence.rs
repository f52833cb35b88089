use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Bounds, Moment, Table,
    watch::{Watch, Watched},
};

/// Says when a key falls silent and when it is back. A key is watched from its first event, or from the start if it is listed.
#[derive(Clone, Debug)]
pub struct Absence {
    after: Duration,
    watch: Watch<Presence>,
    changes: VecDeque<AbsenceChange>,
}

/// What is known of a key, for checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// When it was last seen, or began to be watched.
    pub seen: Moment,
    /// Where its last event stands in the log; before the first, where it began to be watched.
    pub position: u64,
    /// Whether its absence was said.
    pub absent: bool,
}

/// What is said of a key. Key, position and variant name it, whenever it is said again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AbsenceChange {
    /// It has been silent for the time set.
    Absent {
        /// The key.
        key: Arc<str>,
        /// What was known of it.
        presence: Presence,
    },
    /// It was absent, and there is an event of it.
    Returned {
        /// The key.
        key: Arc<str>,
        /// Since that event.
        presence: Presence,
        /// How long it was silent.
        silence: Duration,
    },
    /// It went at a bound and is not watched until its next event.
    Evicted {
        /// The key.
        key: Arc<str>,
        /// What was known of it.
        presence: Presence,
    },
}

impl Absence {
    /// Watches these keys from `now`, and others from their first event. More keys than the bound allows are not watched.
    pub fn new<'a>(
        after: Duration,
        keys: impl IntoIterator<Item = &'a str>,
        bounds: Bounds,
        now: Moment,
    ) -> Absence {
        let mut absence = Absence {
            after,
            watch: Watch::new(bounds),
            changes: VecDeque::new(),
        };
        let presence = Presence {
            seen: now,
            position: 0,
            absent: false,
        };
        for key in keys {
            absence.put(&Arc::from(key), presence);
        }
        absence
    }

    /// That keys are watched stands there in the log.
    pub fn watch_from(&mut self, position: u64) {
        self.watch.change_all(|it| it.position = position);
    }

    /// There is an event of this key, stored then and there.
    pub fn handle_event(&mut self, key: &str, at: Moment, position: u64) {
        let before = self.watch.take(key);
        let presence = Presence {
            seen: before.map_or(at, |it| it.seen.max(at)),
            position,
            absent: false,
        };
        let key: Arc<str> = Arc::from(key);
        self.put(&key, presence);
        if let Some(before) = before.filter(|it| it.absent) {
            self.changes.push_back(AbsenceChange::Returned {
                key,
                presence,
                silence: at.since(before.seen),
            });
        }
    }

    /// The first key that has been silent for so long.
    pub fn due(&self, now: Moment) -> Option<&Arc<str>> {
        self.watch.due(now, self.after)
    }

    /// When the next key will have been.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.watch.next_deadline(self.after)
    }

    /// Says that a key is absent.
    pub fn close(&mut self, key: &str) {
        let Some(mut presence) = self.watch.take(key) else {
            return;
        };
        let key: Arc<str> = Arc::from(key);
        if !presence.absent {
            presence.absent = true;
            self.changes.push_back(AbsenceChange::Absent {
                key: Arc::clone(&key),
                presence,
            });
        }
        self.put(&key, presence);
    }

    /// The node was down for so long: that was no silence of anybody.
    pub fn handle_downtime(&mut self, downtime: Duration) {
        self.watch
            .change_all(|it| it.seen = it.seen.after(downtime));
    }

    /// What is said, in order.
    pub fn poll_change(&mut self) -> Option<AbsenceChange> {
        self.changes.pop_front()
    }

    /// What it keeps, for a checkpoint.
    pub fn keys(&self) -> &Table<Presence> {
        self.watch.keys()
    }

    /// Puts back what a checkpoint kept.
    pub fn recover(&mut self, key: &str, presence: Presence) {
        self.watch.take(key);
        self.put(&Arc::from(key), presence);
    }

    /// Watches nothing.
    pub fn forget(&mut self) {
        for key in self.watch.names() {
            self.watch.take(&key);
        }
    }

    /// Keys that went at a bound.
    pub fn evicted(&self) -> u64 {
        self.watch.evicted()
    }

    fn put(&mut self, key: &Arc<str>, presence: Presence) {
        let evicted = self.watch.put(key, presence).into_iter();
        let changes = evicted.map(|it| AbsenceChange::Evicted {
            key: it.key,
            presence: it.state,
        });
        self.changes.extend(changes);
    }
}

impl Watched for Presence {
    fn silent_since(&self) -> Option<Moment> {
        (!self.absent).then_some(self.seen)
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const BOUNDS: Bounds = Bounds {
        keys: 3,
        bytes: usize::MAX,
    };

    fn minute(minute: u64) -> Moment {
        Moment(minute * 60_000)
    }

    /// Closes what is due and names what is said.
    fn said(absence: &mut Absence, now: Moment) -> Vec<String> {
        while let Some(key) = absence.due(now).cloned() {
            absence.close(&key);
        }
        let changes = std::iter::from_fn(|| absence.poll_change());
        changes
            .map(|change| match change {
                AbsenceChange::Absent { key, .. } => format!("{key} absent"),
                AbsenceChange::Returned { key, silence, .. } => {
                    format!("{key} back after {}", silence.as_secs() / 60)
                }
                AbsenceChange::Evicted { key, .. } => format!("{key} evicted"),
            })
            .collect()
    }

    #[test]
    fn a_key_is_watched_from_its_first_event_and_absence_is_said_once() {
        let mut absence = Absence::new(5 * MINUTE, [], BOUNDS, minute(0));
        assert!(said(&mut absence, minute(100)).is_empty());
        absence.handle_event("pump", minute(100), 1);
        assert_eq!(absence.next_deadline(), Some(minute(105)));
        assert!(said(&mut absence, Moment(minute(105).0 - 1)).is_empty());
        assert_eq!(said(&mut absence, minute(105)), ["pump absent"]);
        assert!(said(&mut absence, minute(200)).is_empty());
        absence.handle_event("pump", minute(130), 2);
        assert_eq!(said(&mut absence, minute(130)), ["pump back after 30"]);
        assert_eq!(said(&mut absence, minute(135)), ["pump absent"]);
    }

    #[test]
    fn a_listed_key_is_watched_from_the_start() {
        let mut absence = Absence::new(5 * MINUTE, ["a", "b"], BOUNDS, minute(0));
        absence.handle_event("b", minute(3), 1);
        assert_eq!(said(&mut absence, minute(5)), ["a absent"]);
        assert_eq!(said(&mut absence, minute(8)), ["b absent"]);
    }

    #[test]
    fn downtime_of_the_node_is_no_silence() {
        let mut absence = Absence::new(5 * MINUTE, [], BOUNDS, minute(0));
        absence.handle_event("pump", minute(0), 1);
        absence.handle_downtime(60 * MINUTE);
        assert!(said(&mut absence, minute(64)).is_empty());
        assert_eq!(said(&mut absence, minute(65)), ["pump absent"]);
    }

    #[test]
    fn at_the_bound_the_key_seen_least_recently_is_evicted_and_says_so() {
        let mut absence = Absence::new(5 * MINUTE, [], BOUNDS, minute(0));
        for (position, key) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
            absence.handle_event(key, minute(position as u64), position as u64);
        }
        assert_eq!(said(&mut absence, minute(4)), ["b evicted"]);
        assert_eq!(absence.evicted(), 1);
        assert_eq!(
            said(&mut absence, minute(60)),
            ["c absent", "a absent", "d absent"]
        );
    }
}
