//! The clock that ages are measured on: it only advances, and no jump of the wall clock ages anything.
//!
//! While a process runs, it advances by monotonic time. Over a restart it advances by the difference of two wall
//! clock readings, the last one saved and the first one after, if that difference is plausible; otherwise by
//! nothing. So a device without a battery behind its clock, which believes to be in 1970 until the network tells it
//! better, neither expires what it holds nor goes back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::NodeTime;

/// A node that was off for longer than this cannot be told from one whose clock was set: nothing ages.
pub const LONGEST_PLAUSIBLE_STOP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// No wall clock that is right shows less than this: 2026-01-01, in milliseconds since 1970.
const EARLIEST_PLAUSIBLE_MS: u64 = 1_767_225_600_000;

/// A reading of the wall clock in milliseconds since 1970, right or wrong.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Whether this can be the true time; times of events taken before it can are to be marked.
    pub fn is_plausible(self) -> bool {
        self.0 >= EARLIEST_PLAUSIBLE_MS
    }

    /// This reading as node time. It is one as long as no mark says otherwise.
    pub fn as_node_time(self) -> NodeTime {
        NodeTime(self.0)
    }
}

/// Both clocks at one moment: what a node saves so that its next run knows how long it was off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ClockMark {
    /// The node clock.
    pub node: NodeTime,
    /// The wall clock.
    pub wall: WallTime,
}

/// Turns monotonic readings of one process into node time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeClock {
    base: NodeTime,
    /// The monotonic reading that is `base`.
    origin: Duration,
}

impl NodeClock {
    /// The clock of a process that starts at these readings. Without a mark, node time begins at the wall clock.
    pub fn resume(mark: Option<ClockMark>, wall: WallTime, monotonic: Duration) -> NodeClock {
        let base = match mark {
            None => wall.as_node_time(),
            Some(mark) => NodeTime(mark.node.0.saturating_add(time_off(mark.wall, wall))),
        };
        NodeClock {
            base,
            origin: monotonic,
        }
    }

    /// The same clock, set forward if it is behind `time` (the newest the log holds).
    pub fn not_before(self, time: NodeTime) -> NodeClock {
        NodeClock {
            base: self.base.max(time),
            ..self
        }
    }

    /// The time at a monotonic reading; readings before the start are the start.
    pub fn at(&self, monotonic: Duration) -> NodeTime {
        let running = monotonic.saturating_sub(self.origin).as_millis();
        NodeTime(
            self.base
                .0
                .saturating_add(u64::try_from(running).unwrap_or(u64::MAX)),
        )
    }
}

/// Milliseconds a node was off between two wall readings, zero if that cannot be known.
fn time_off(saved: WallTime, found: WallTime) -> u64 {
    let longest = u64::try_from(LONGEST_PLAUSIBLE_STOP.as_millis()).unwrap_or(u64::MAX);
    match found.0.checked_sub(saved.0) {
        Some(difference) if difference <= longest => difference,
        _ => 0,
    }
}

/// The node clock over the clocks of this system. The one place of the node that reads them for ages.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    clock: NodeClock,
    started: Instant,
}

impl SystemClock {
    /// Starts at this moment; see [`NodeClock::resume`] and [`NodeClock::not_before`].
    pub fn start(mark: Option<ClockMark>, not_before: NodeTime) -> SystemClock {
        let clock =
            NodeClock::resume(mark, SystemClock::wall(), Duration::ZERO).not_before(not_before);
        SystemClock {
            clock,
            started: Instant::now(),
        }
    }

    /// Node time at this moment.
    pub fn now(&self) -> NodeTime {
        self.clock.at(self.started.elapsed())
    }

    /// The wall clock at this moment; zero if it stands before 1970.
    pub fn wall() -> WallTime {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Both clocks at this moment, to be saved.
    pub fn mark(&self) -> ClockMark {
        ClockMark {
            node: self.now(),
            wall: SystemClock::wall(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;
    const DAY: u64 = 24 * 60 * 60 * SECOND;
    const NOVEMBER: u64 = EARLIEST_PLAUSIBLE_MS + 300 * DAY;

    #[test]
    fn first_start_begins_at_the_wall_clock() {
        let clock = NodeClock::resume(None, WallTime(NOVEMBER), Duration::from_secs(7));
        assert_eq!(clock.at(Duration::from_secs(7)), NodeTime(NOVEMBER));
        assert_eq!(
            clock.at(Duration::from_secs(9)),
            NodeTime(NOVEMBER + 2 * SECOND)
        );
    }

    #[test]
    fn restart_ages_by_the_time_the_node_was_off() {
        let clock = restart(NOVEMBER + 3 * DAY);
        assert_eq!(clock.at(Duration::ZERO), NodeTime(1_000_000 + 3 * DAY));
    }

    #[test]
    fn wall_clock_set_far_forward_ages_nothing() {
        let longest = u64::try_from(LONGEST_PLAUSIBLE_STOP.as_millis()).unwrap();
        assert_eq!(
            restart(NOVEMBER + longest).at(Duration::ZERO),
            NodeTime(1_000_000 + longest)
        );
        assert_eq!(
            restart(NOVEMBER + longest + 1).at(Duration::ZERO),
            NodeTime(1_000_000)
        );
    }

    #[test]
    fn wall_clock_set_back_ages_nothing_and_never_turns_time_back() {
        for wall in [0, NOVEMBER - 1, NOVEMBER - 90 * DAY] {
            assert_eq!(restart(wall).at(Duration::ZERO), NodeTime(1_000_000));
        }
    }

    #[test]
    fn clock_without_a_battery_resumes_where_it_was_and_ages_once_it_is_right_again() {
        let first = NodeClock::resume(None, WallTime(0), Duration::ZERO);
        let mark = ClockMark {
            node: first.at(Duration::from_secs(60)),
            wall: WallTime(60 * SECOND),
        };
        let second = NodeClock::resume(Some(mark), WallTime(NOVEMBER), Duration::ZERO);
        assert_eq!(second.at(Duration::ZERO), NodeTime(60 * SECOND));
        let mark = ClockMark {
            node: second.at(Duration::ZERO),
            wall: WallTime(NOVEMBER),
        };
        let third = NodeClock::resume(Some(mark), WallTime(NOVEMBER + DAY), Duration::ZERO);
        assert_eq!(third.at(Duration::ZERO), NodeTime(60 * SECOND + DAY));
    }

    #[test]
    fn clock_never_stands_before_what_the_log_holds() {
        let clock = restart(NOVEMBER).not_before(NodeTime(2_000_000));
        assert_eq!(clock.at(Duration::ZERO), NodeTime(2_000_000));
        assert_eq!(clock.not_before(NodeTime(5)), clock);
    }

    #[test]
    fn extreme_readings_saturate() {
        let mark = ClockMark {
            node: NodeTime(u64::MAX - 1),
            wall: WallTime(u64::MAX - 1_000),
        };
        let clock = NodeClock::resume(Some(mark), WallTime(u64::MAX), Duration::from_secs(5));
        assert_eq!(clock.at(Duration::MAX), NodeTime(u64::MAX));
        assert_eq!(clock.at(Duration::ZERO), NodeTime(u64::MAX));
    }

    #[test]
    fn wall_time_before_this_node_was_written_is_not_plausible() {
        assert!(!WallTime(EARLIEST_PLAUSIBLE_MS - 1).is_plausible());
        assert!(WallTime(EARLIEST_PLAUSIBLE_MS).is_plausible());
    }

    #[test]
    fn system_clock_only_advances() {
        let clock = SystemClock::start(None, NodeTime(0));
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.mark().node >= first);
        assert_eq!(
            SystemClock::start(None, NodeTime(u64::MAX)).now(),
            NodeTime(u64::MAX)
        );
    }

    /// The node stopped at node time 1,000,000 in November and starts at this wall time.
    fn restart(wall: u64) -> NodeClock {
        let mark = ClockMark {
            node: NodeTime(1_000_000),
            wall: WallTime(NOVEMBER),
        };
        NodeClock::resume(Some(mark), WallTime(wall), Duration::ZERO)
    }
}
