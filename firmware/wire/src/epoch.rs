//! When a device booted, as seen by the node, so that events of a device without a clock get a time.
//!
//! A message sent at once arrives after the event by the delay of the network, never before; so the least of
//! (received − uptime) over a window is the moment of the boot and the shortest delay. The window slides, for the clocks of
//! device and node run apart: at 100 ppm by 0.36 s an hour. What is given out follows slowly, so that times do not jump.
//!
//! All times of the node are of a clock that runs on without steps; who wants the time of day adds the difference. A step
//! of the node's clock of day therefore changes nothing here.

/// How long a sample counts, in milliseconds.
pub const WINDOW_MS: u64 = 3_600_000;
const BINS: u64 = 6;
const BIN_MS: u64 = WINDOW_MS / BINS;
/// How fast what is given out rises, in microseconds a second: a little more than clocks part.
const RISE_PPM: u64 = 120;
/// How fast it falls.
const FALL_PPM: u64 = 1_000;
/// What is corrected at once instead of slowly, in milliseconds.
const STEP_MS: u64 = 1_000;

/// The estimate for one boot of a device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoch {
    bins: [Option<Bin>; BINS as usize],
    given: Option<Given>,
}

#[derive(Clone, Copy, Debug)]
struct Bin {
    number: u64,
    least_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    at_ms: u64,
    epoch_ms: i64,
}

impl Epoch {
    /// Nothing known.
    #[must_use]
    pub const fn new() -> Self {
        Epoch {
            bins: [None; BINS as usize],
            given: None,
        }
    }

    /// A message came at `received_ms` that said the device had been up for `uptime_ms`: a birth, or the last event of a
    /// message. Events that waited do no harm.
    pub fn note(&mut self, received_ms: u64, uptime_ms: u64) {
        let sample_ms = signed(received_ms).saturating_sub(signed(uptime_ms));
        let number = received_ms / BIN_MS;
        let index = usize::try_from(number % BINS).unwrap_or(0);
        let Some(bin) = self.bins.get_mut(index) else {
            return;
        };
        let least_ms = match bin {
            Some(bin) if bin.number == number => bin.least_ms.min(sample_ms),
            _ => sample_ms,
        };
        *bin = Some(Bin { number, least_ms });
        self.follow(received_ms);
    }

    /// When the device booted; `None` before the first sample. It moves by less than 1 ms a second, but for
    /// corrections above a second.
    #[must_use]
    pub fn epoch_ms(&self) -> Option<i64> {
        self.given.map(|given| given.epoch_ms)
    }

    /// Whether there was a sample within the window before `now_ms`: then the error is below a second.
    #[must_use]
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        self.least_ms(now_ms).is_some()
    }

    fn follow(&mut self, now_ms: u64) {
        let Some(target_ms) = self.least_ms(now_ms) else {
            return;
        };
        let Some(given) = self.given else {
            self.given = Some(Given {
                at_ms: now_ms,
                epoch_ms: target_ms,
            });
            return;
        };
        let missing_ms = target_ms.saturating_sub(given.epoch_ms);
        let passed_ms = now_ms.saturating_sub(given.at_ms);
        let part = |ppm: u64| signed(passed_ms.saturating_mul(ppm) / 1_000_000);
        let is_far = missing_ms.unsigned_abs() > STEP_MS;
        // Nothing arrives before it happened, so less is always right; more may be a slow network.
        let is_sure = missing_ms < 0 || self.bins_of(now_ms).count() > 1;
        let move_ms = if is_far && is_sure {
            missing_ms
        } else {
            missing_ms.clamp(part(FALL_PPM).saturating_neg(), part(RISE_PPM))
        };
        if move_ms != 0 || missing_ms == 0 {
            self.given = Some(Given {
                at_ms: now_ms,
                epoch_ms: given.epoch_ms.saturating_add(move_ms),
            });
        }
    }

    /// The least sample of the window.
    fn least_ms(&self, now_ms: u64) -> Option<i64> {
        self.bins_of(now_ms).map(|bin| bin.least_ms).min()
    }

    /// What the window holds.
    fn bins_of(&self, now_ms: u64) -> impl Iterator<Item = &Bin> {
        let number = now_ms / BIN_MS;
        self.bins
            .iter()
            .flatten()
            .filter(move |bin| number.saturating_sub(bin.number) < BINS)
    }
}

/// The times of one stream, which never go back.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamTime {
    last_ms: u64,
}

impl StreamTime {
    /// The time of an event of `uptime_ms`, and whether it had to be moved so as not to be before the one of an earlier event.
    pub fn of(&mut self, epoch_ms: i64, uptime_ms: u64) -> (u64, bool) {
        let time_ms = epoch_ms
            .saturating_add(signed(uptime_ms))
            .max(0)
            .cast_unsigned();
        let is_moved = time_ms < self.last_ms;
        self.last_ms = self.last_ms.max(time_ms);
        (self.last_ms, is_moved)
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "these are tests")]
mod tests {
    use super::*;

    /// Numbers that only look random.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    const DAY_MS: u64 = 86_400_000;
    const BOOT_MS: u64 = 1_000_000;

    /// Thirty days with an event every ten seconds; each day the link is away for an hour, whose events come in one go
    /// after the birth: the greatest error, and the greatest of the events that waited.
    fn thirty_days(drift_ppm: i64) -> (u64, u64) {
        let (mut epoch, mut time, mut random) = (Epoch::new(), StreamTime::default(), Random(7));
        let (mut worst, mut worst_waiting) = (0, 0);
        let mut waiting = std::vec::Vec::new();
        let mut last_ms = 0;
        for now_ms in (0..30 * DAY_MS).step_by(10_000) {
            let drift_ms = signed(now_ms) * drift_ppm / 1_000_000;
            let uptime_ms = (signed(now_ms) + drift_ms).cast_unsigned();
            let delay_ms = 5
                + random.below(20)
                + if random.below(10) == 0 {
                    random.below(3_000)
                } else {
                    0
                };
            let received_ms = BOOT_MS + now_ms + delay_ms;
            if now_ms % DAY_MS < 3_600_000 && now_ms >= DAY_MS {
                waiting.push((now_ms, uptime_ms));
                continue;
            }
            let is_back = !waiting.is_empty();
            if is_back {
                epoch.note(received_ms, uptime_ms); // the birth
            }
            for (happened_ms, uptime_ms) in waiting.drain(..).chain([(now_ms, uptime_ms)]) {
                epoch.note(received_ms, uptime_ms);
                assert!(epoch.is_fresh(received_ms));
                let (time_ms, _) = time.of(epoch.epoch_ms().unwrap(), uptime_ms);
                assert!(time_ms >= last_ms, "time went back");
                last_ms = time_ms;
                let error_ms = time_ms.abs_diff(BOOT_MS + happened_ms);
                let place = if happened_ms == now_ms {
                    &mut worst
                } else {
                    &mut worst_waiting
                };
                *place = error_ms.max(*place);
            }
        }
        (worst, worst_waiting)
    }

    extern crate std;

    #[test]
    fn times_stay_within_a_second_over_thirty_days_of_drift() {
        for drift_ppm in [-100, 0, 100] {
            let (worst, worst_waiting) = thirty_days(drift_ppm);
            assert!(worst <= 1_000, "{drift_ppm} ppm: {worst} ms");
            assert!(
                worst_waiting <= 1_500,
                "{drift_ppm} ppm: {worst_waiting} ms for events that waited an hour"
            );
        }
    }

    #[test]
    fn events_that_waited_do_not_move_the_epoch() {
        let mut epoch = Epoch::new();
        epoch.note(5_000, 1_000);
        epoch.note(900_000, 2_000);
        assert_eq!(epoch.epoch_ms(), Some(4_000));
    }

    #[test]
    fn small_corrections_are_slow_and_large_ones_are_not() {
        let mut epoch = Epoch::new();
        epoch.note(100_000, 0);
        epoch.note(100_900, 1_000);
        assert_eq!(epoch.epoch_ms(), Some(100_000));
        epoch.note(110_000, 1_000);
        assert_eq!(epoch.epoch_ms(), Some(99_990));
        epoch.note(111_000, 20_000);
        assert_eq!(epoch.epoch_ms(), Some(91_000));
        epoch.note(WINDOW_MS + 200_000, WINDOW_MS + 200_000 - 95_000);
        assert_eq!(epoch.epoch_ms(), Some(91_442));
        let later_ms = 2 * WINDOW_MS - BIN_MS;
        epoch.note(later_ms, later_ms - 95_000);
        assert_eq!(epoch.epoch_ms(), Some(95_000));
    }

    #[test]
    fn a_sample_counts_for_an_hour() {
        let mut epoch = Epoch::new();
        assert!(!epoch.is_fresh(0));
        epoch.note(10, 0);
        assert!(epoch.is_fresh(WINDOW_MS - 1));
        assert!(!epoch.is_fresh(WINDOW_MS + BIN_MS));
    }

    #[test]
    fn times_of_a_stream_never_go_back() {
        let mut time = StreamTime::default();
        assert_eq!(time.of(1_000, 50), (1_050, false));
        assert_eq!(time.of(900, 60), (1_050, true));
        assert_eq!(time.of(900, 200), (1_100, false));
        assert_eq!(StreamTime::default().of(-500, 100), (0, false));
    }
}
