use std::time::Duration;

/// Steps of each power of two: a value is shown at most 1/64 too large.
const STEPS: u64 = 64;
/// Up to 2^27 µs, more than two minutes; what is longer counts as that.
const OCTAVES: u64 = 22;

/// Latencies, counted in steps of about 1.6 %.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u32>,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; (STEPS * OCTAVES) as usize],
            max: Duration::ZERO,
        }
    }
}

impl Histogram {
    pub(super) fn record(&mut self, latency: Duration) {
        self.max = self.max.max(latency);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let at = step(micros).min(self.counts.len() - 1);
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.max = self.max.max(other.max);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }

    pub(super) fn max(&self) -> Duration {
        self.max
    }

    /// The latency that `share` (0 to 1) of all are within; zero if there is none.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let total: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        let rank = (total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Duration::from_micros(upper_bound(at as u64)).min(self.max);
            }
        }
        Duration::ZERO
    }
}

/// 0 to 63 one by one, then 64 steps for each doubling.
fn step(micros: u64) -> usize {
    let octave = u64::from(micros.max(1).ilog2().saturating_sub(STEPS.ilog2() - 1));
    let shift = octave.saturating_sub(1);
    let at = if octave == 0 {
        micros
    } else {
        octave * STEPS + (micros >> shift) - STEPS
    };
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// The largest value of a step.
fn upper_bound(at: u64) -> u64 {
    let (octave, within) = (at / STEPS, at % STEPS);
    if octave == 0 {
        within
    } else {
        ((STEPS + within + 1) << (octave - 1)) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_a_step_that_is_at_most_a_64th_wide() {
        for micros in (0..200_000).chain([1 << 20, (1 << 26) + 12_345]) {
            let at = step(micros) as u64;
            assert!(upper_bound(at) >= micros, "{micros}");
            assert!(at == 0 || upper_bound(at - 1) < micros, "{micros}");
            assert!(upper_bound(at) - micros <= micros / 64, "{micros}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut low = Histogram::default();
        let mut high = Histogram::default();
        (1..=50).for_each(|micros| low.record(Duration::from_micros(micros)));
        (51..=100).for_each(|micros| high.record(Duration::from_micros(micros)));
        low.merge(&high);
        let quantile = |share| low.quantile(share).as_micros();
        assert_eq!((quantile(0.5), quantile(0.01), quantile(0.0)), (50, 1, 1));
        assert_eq!(
            (quantile(0.99), quantile(1.0), low.max().as_micros()),
            (99, 100, 100)
        );
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
        let mut long = Histogram::default();
        long.record(Duration::from_secs(3_600));
        assert_eq!(long.max(), Duration::from_secs(3_600));
    }
}
