//! How long a sink, a target or a key rests after a failure.

use std::time::{Duration, Instant};

/// The shortest rest.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest rest that is not asked for by the receiver.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Exponential with full jitter: anywhere between nothing and twice the last ceiling, within the bounds above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    /// Failures in a row.
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    pub(crate) fn fail(
        &mut self,
        now: Instant,
        retry_after: Option<Duration>,
        rng: &mut fastrand::Rng,
    ) -> Instant {
        self.failures = self.failures.saturating_add(1);
        let rest =
            jittered(self.failures, rng).max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        let until = self.until.map_or(now + rest, |until| until.max(now + rest));
        self.until = Some(until);
        until
    }

    /// Rests at least this long, without another failure being counted.
    pub(crate) fn rest(&mut self, until: Instant) {
        self.until = Some(self.until.map_or(until, |old| old.max(until)));
    }

    /// Forgets the failures; a rest that was asked for still stands.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn failing(&self) -> bool {
        self.failures > 0
    }

    /// When the rest ends, if it lies ahead.
    pub(crate) fn resting(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

fn jittered(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    let ceiling = BACKOFF_MIN
        .saturating_mul(1 << failures.min(16))
        .min(BACKOFF_MAX);
    ceiling.mul_f64(rng.f64()).max(BACKOFF_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_a_minute_and_stay_within_the_bounds() {
        let now = Instant::now();
        let mut longest = Vec::new();
        for failures in [1, 3, 30] {
            let rests = (0..2000).map(|seed| {
                let mut rng = fastrand::Rng::with_seed(seed);
                let mut backoff = Backoff {
                    failures: failures - 1,
                    until: None,
                };
                backoff.fail(now, None, &mut rng) - now
            });
            let rests: Vec<Duration> = rests.collect();
            assert!(
                rests
                    .iter()
                    .all(|rest| (BACKOFF_MIN..=BACKOFF_MAX).contains(rest))
            );
            longest.push(rests.into_iter().max().unwrap().as_millis());
        }
        assert!((190..=200).contains(&longest[0]), "{longest:?}");
        assert!((780..=800).contains(&longest[1]), "{longest:?}");
        assert!((59_000..=60_000).contains(&longest[2]), "{longest:?}");
    }

    #[test]
    fn no_receiver_asks_for_more_than_an_hour() {
        let now = Instant::now();
        let day = Some(Duration::from_secs(86_400));
        let mut rng = fastrand::Rng::with_seed(1);
        let until = Backoff::default().fail(now, day, &mut rng);
        assert_eq!(until - now, Duration::from_secs(3_600));
    }

    #[test]
    fn a_rest_that_was_asked_for_outlives_a_late_success() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.fail(
            now,
            Some(Duration::from_secs(7)),
            &mut fastrand::Rng::with_seed(1),
        );
        backoff.succeed();
        assert_eq!(
            backoff.resting(now + Duration::from_secs(6)),
            Some(now + Duration::from_secs(7))
        );
        assert_eq!(backoff.resting(now + Duration::from_secs(7)), None);
    }
}
