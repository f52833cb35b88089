use core::cell::Cell;

use embassy_futures::select::{Either, select};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, signal::Signal};
use embassy_time::{Duration, Instant, Timer};

/// How often the sensor is read: as often as the board says, until a command says otherwise.
pub struct Pace {
    period: Cell<Duration>,
    changed: Signal<NoopRawMutex, ()>,
}

impl Pace {
    /// Once in `period`.
    #[must_use]
    pub const fn every(period: Duration) -> Pace {
        Pace {
            period: Cell::new(period),
            changed: Signal::new(),
        }
    }

    /// Once in `period` from here on, for a period that runs as well.
    pub(crate) fn set(&self, period: Duration) {
        say!("a reading every {} ms", period.as_millis());
        self.period.set(period);
        self.changed.signal(());
    }

    /// Waits until the next reading is due behind one that was due then; when it was.
    pub(crate) async fn next(&self, last: Instant) -> Instant {
        let mut due = last.saturating_add(self.period.get());
        loop {
            match select(Timer::at(due), self.changed.wait()).await {
                Either::First(()) => return due,
                // One that would be overdue under a shorter period is due at once, and those before it never were.
                Either::Second(()) => {
                    due = last.saturating_add(self.period.get()).max(Instant::now());
                }
            }
        }
    }
}
