use std::time::{Duration, Instant};

/// What the thread of the load generator runs: near a whole core means that the load generator is what was measured.
pub(super) struct CpuClock {
    start: Instant,
    running: Option<Duration>,
}

impl CpuClock {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            running: running(),
        }
    }

    /// The share of one core since the start; `None` where the system does not tell.
    pub(super) fn share(&self) -> Option<f64> {
        let used = running()?.checked_sub(self.running?)?;
        Some(used.as_secs_f64() / self.start.elapsed().as_secs_f64())
    }
}

/// The first field of Linux's schedstat: nanoseconds this thread was on a CPU.
fn running() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}
