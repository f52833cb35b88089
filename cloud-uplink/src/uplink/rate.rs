//! How much is sent at once, and how fast: additive increase, multiplicative decrease.

use std::time::{Duration, Instant};

/// Batches that may be without an answer: grows while answers come in time, shrinks when they do not.
#[derive(Debug)]
pub(crate) struct Window {
    open: f64,
    /// Below it the window opens by one per answer, above it by one per window.
    threshold: f64,
    max: f64,
}

impl Window {
    pub(crate) fn new(max: usize) -> Window {
        let max = max.max(1) as f64;
        Window {
            open: 1.0,
            threshold: max,
            max,
        }
    }

    pub(crate) fn batches(&self) -> usize {
        self.open as usize
    }

    pub(crate) fn grow(&mut self) {
        let step = if self.open < self.threshold {
            1.0
        } else {
            1.0 / self.open
        };
        self.open = (self.open + step).min(self.max);
    }

    pub(crate) fn halve(&mut self) {
        self.threshold = (self.open / 2.0).max(1.0);
        self.open = self.threshold;
    }

    /// Back to one batch: nothing is known of the receiver.
    pub(crate) fn close(&mut self) {
        self.threshold = (self.open / 2.0).max(1.0);
        self.open = 1.0;
    }
}

/// Bytes of a batch that the receiver is known to take: halved when it says that one is too large, and tried a little
/// larger after many that it took, since the limit may have been that of another receiver behind the same name.
#[derive(Debug)]
pub(crate) struct BatchSize {
    bytes: usize,
    max: usize,
    /// Full batches taken at this size.
    taken: u32,
}

impl BatchSize {
    /// Full batches between two steps up: at most so small a share of the batches is refused by a limit that stays.
    const TAKEN_PER_STEP: u32 = 32;
    /// Steps from nothing to the largest.
    const STEPS: usize = 32;

    pub(crate) fn new(max: usize) -> BatchSize {
        BatchSize {
            bytes: max,
            max,
            taken: 0,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A batch of so many bytes was too large.
    pub(crate) fn refuse(&mut self, bytes: usize) {
        self.bytes = self.bytes.min((bytes / 2).max(1));
        self.taken = 0;
    }

    /// A batch of so many bytes was taken. One that was far from full says nothing.
    pub(crate) fn take(&mut self, bytes: usize) {
        if self.bytes == self.max || bytes <= self.bytes / 2 {
            return;
        }
        self.taken += 1;
        if self.taken >= BatchSize::TAKEN_PER_STEP {
            let step = (self.max / BatchSize::STEPS).max(1);
            self.bytes = (self.bytes + step).min(self.max);
            self.taken = 0;
        }
    }
}

/// Events per second that a receiver takes, learned from its refusals; unlimited until the first.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    limit: Option<Limit>,
}

#[derive(Debug)]
struct Limit {
    per_second: f64,
    /// What it was when the receiver last refused: the step of the increase is a tenth of it.
    refused_at: f64,
    tokens: f64,
    at: Instant,
}

impl Pace {
    /// The receiver asked for less while it was taking `measured` events per second.
    pub(crate) fn slow_down(&mut self, now: Instant, measured: Option<f64>) {
        let current = self
            .limit
            .as_ref()
            .map(|limit| limit.per_second)
            .or(measured);
        let Some(current) = current else { return };
        let per_second = (current / 2.0).max(1.0);
        self.limit = Some(Limit {
            per_second,
            refused_at: per_second,
            tokens: 0.0,
            at: now,
        });
    }

    /// Events that may be sent at once.
    pub(crate) fn allowance(&mut self, now: Instant) -> usize {
        let Some(limit) = &mut self.limit else {
            return usize::MAX;
        };
        let elapsed = now.saturating_duration_since(limit.at).as_secs_f64();
        limit.at = now;
        limit.per_second += limit.refused_at / 10.0 * elapsed;
        limit.tokens = (limit.tokens + limit.per_second * elapsed).min(limit.burst());
        // Far above where it refused: whatever limited it is gone.
        if limit.per_second > limit.refused_at * 8.0 {
            self.limit = None;
            return usize::MAX;
        }
        limit.tokens as usize
    }

    pub(crate) fn spend(&mut self, events: usize) {
        if let Some(limit) = &mut self.limit {
            limit.tokens -= events as f64;
        }
    }

    /// When a worthwhile number of events may be sent, if the pace is what they wait for.
    pub(crate) fn ready_at(&self) -> Option<Instant> {
        let limit = self.limit.as_ref()?;
        let missing = (limit.burst() / 2.0).max(1.0) - limit.tokens;
        Some(limit.at + Duration::from_secs_f64((missing / limit.per_second).max(0.001)))
    }

    pub(crate) fn events_per_second(&self) -> Option<f64> {
        self.limit.as_ref().map(|limit| limit.per_second)
    }
}

impl Limit {
    /// A fifth of a second's events may go at once.
    fn burst(&self) -> f64 {
        (self.per_second / 5.0).max(1.0)
    }
}

/// Accepted events per second while there is something to send.
#[derive(Debug, Default)]
pub(crate) struct DrainRate {
    average: Option<f64>,
    since: Option<Instant>,
    accepted: u64,
}

impl DrainRate {
    const SPAN: Duration = Duration::from_millis(500);
    const WEIGHT: f64 = 0.3;

    pub(crate) fn busy(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Nothing to send: the time that passes says nothing of the rate.
    pub(crate) fn idle(&mut self) {
        self.since = None;
        self.accepted = 0;
    }

    pub(crate) fn accept(&mut self, now: Instant, events: usize) {
        self.accepted += events as u64;
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed < DrainRate::SPAN {
            return;
        }
        let rate = self.accepted as f64 / elapsed.as_secs_f64();
        self.average = Some(
            self.average
                .map_or(rate, |old| old + DrainRate::WEIGHT * (rate - old)),
        );
        (self.since, self.accepted) = (Some(now), 0);
    }

    /// The moving average; before the first span is over, what the span has given so far.
    pub(crate) fn per_second(&self, now: Instant) -> Option<f64> {
        self.average.or_else(|| {
            let elapsed = now.saturating_duration_since(self.since?).as_secs_f64();
            (self.accepted > 0 && elapsed > 0.001).then(|| self.accepted as f64 / elapsed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_opens_fast_to_its_threshold_and_slowly_above() {
        let mut window = Window::new(64);
        for _ in 0..31 {
            window.grow();
        }
        assert_eq!(window.batches(), 32);
        window.halve();
        assert_eq!(window.batches(), 16);
        for _ in 0..17 {
            window.grow();
        }
        assert_eq!(window.batches(), 17);
        window.close();
        assert_eq!(window.batches(), 1);
    }

    #[test]
    fn a_batch_that_was_too_large_halves_the_next_and_many_that_were_taken_bring_it_back() {
        let mut size = BatchSize::new(3200);
        size.take(3200);
        assert_eq!(size.bytes(), 3200, "never above what is configured");
        size.refuse(3000);
        assert_eq!(size.bytes(), 1500);
        size.refuse(3000);
        assert_eq!(size.bytes(), 1500, "sent before the first answer came");
        for _ in 0..31 {
            size.take(1500);
            size.take(750);
        }
        assert_eq!(size.bytes(), 1500);
        size.take(1400);
        assert_eq!(size.bytes(), 1600);
        for _ in 0..32 * 20 {
            size.take(size.bytes());
        }
        assert_eq!(size.bytes(), 3200);
    }

    #[test]
    fn the_pace_halves_then_rises_by_a_tenth_a_second_and_is_lifted() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut pace = Pace::default();
        pace.slow_down(start, Some(1000.0));
        assert_eq!(pace.allowance(start), 0);
        assert_eq!(
            pace.allowance(at(1)),
            110,
            "a fifth of 550 per second at once"
        );
        pace.spend(110);
        assert_eq!(pace.allowance(at(1)), 0);
        for second in 2..=69 {
            assert!(pace.allowance(at(second)) < 1000, "{second}");
        }
        assert_eq!(pace.allowance(at(71)), usize::MAX);
    }
}
