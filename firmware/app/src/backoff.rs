use embassy_time::Duration;

/// How long to wait before the next attempt: a random part of a bound that doubles with each attempt, so that devices
/// that lost their node together do not come back together.
pub(crate) struct Backoff {
    bound: Duration,
    random: u32,
}

/// The bound of the first wait, and that of the last.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(32);

impl Backoff {
    /// `random` should differ from device to device and from boot to boot.
    pub(crate) fn new(random: u32) -> Backoff {
        Backoff {
            bound: FIRST,
            // The generator below stays at 0 for ever.
            random: random.max(1),
        }
    }

    /// The next wait: from nothing to the bound, which is twice as high from then on.
    pub(crate) fn next_wait(&mut self) -> Duration {
        // xorshift32
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let bound = self.bound.as_millis();
        let wait = u64::from(self.random).checked_rem(bound.saturating_add(1));
        self.bound = self.bound.checked_mul(2).unwrap_or(LAST).min(LAST);
        Duration::from_millis(wait.unwrap_or(0))
    }

    /// The node answered: the next wait is a first one.
    pub(crate) fn reset(&mut self) {
        self.bound = FIRST;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// Of so many devices the longest waits come near their bounds, and the shortest near nothing.
    const DEVICES: u32 = 2_000;

    #[test]
    fn waits_are_spread_from_nothing_to_a_bound_that_doubles_up_to_the_last() {
        let mut devices: Vec<_> = (0..DEVICES).map(|n| Backoff::new(seed(n))).collect();
        for bound in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000] {
            let waits = waits(&mut devices);
            let (shortest, longest) = (waits[0], waits[waits.len() - 1]);
            let middle = waits[waits.len() / 2];
            assert!(longest <= bound && longest > bound * 95 / 100, "{longest}");
            assert!(shortest < bound * 5 / 100, "{shortest}");
            assert!(
                (bound * 40 / 100..bound * 60 / 100).contains(&middle),
                "{middle}"
            );
        }
    }

    #[test]
    fn an_answer_makes_the_next_wait_a_first_one() {
        let mut devices: Vec<_> = (0..DEVICES).map(|n| Backoff::new(seed(n))).collect();
        for _ in 0..5 {
            let _ = waits(&mut devices);
        }
        devices.iter_mut().for_each(Backoff::reset);
        let waits = waits(&mut devices);
        assert!(waits[waits.len() - 1] <= 1_000);
    }

    #[test]
    fn a_device_without_a_random_number_waits_all_the_same() {
        let mut backoff = Backoff::new(0);
        assert!((0..3).any(|_| backoff.next_wait() > Duration::from_millis(100)));
    }

    /// The next wait of each device in milliseconds, shortest first.
    fn waits(devices: &mut [Backoff]) -> Vec<u64> {
        let mut waits: Vec<_> = devices
            .iter_mut()
            .map(|device| device.next_wait().as_millis())
            .collect();
        waits.sort_unstable();
        waits
    }

    fn seed(device: u32) -> u32 {
        device.wrapping_add(1).wrapping_mul(0x9e37_79b9)
    }
}
