use embassy_time::Instant;

use crate::{Pace, Reading, Sensor};

/// Takes readings off the application's hands.
#[expect(
    async_fn_in_trait,
    reason = "a board has one executor and its tasks are not sent between threads"
)]
pub trait Publisher {
    /// Takes one reading. What happens to it from here on is the publisher's promise; it does not fail, and when it
    /// has no room it decides what goes.
    async fn publish(&mut self, reading: Reading);
}

/// Reads `sensor` at once and then at its `pace`, and hands each reading to `publisher`. A sensor that fails is
/// reported and asked again when the next reading is due. Never returns.
pub async fn measure(mut sensor: impl Sensor, mut publisher: impl Publisher, pace: &Pace) {
    let mut due = Instant::now();
    loop {
        match sensor.read().await {
            Ok(reading) => publisher.publish(reading).await,
            Err(why) => say!("no reading: {}", why),
        }
        due = pace.next(due).await;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::{
        future::Future,
        pin::pin,
        task::{Context, Waker},
    };
    use std::{cell::RefCell, vec::Vec};

    use embassy_time::{Duration, MockDriver};

    use super::*;

    /// The clock is one for all tests, so there is one.
    #[test]
    fn a_reading_is_taken_at_once_and_then_at_its_pace_over_failures() {
        let taken = RefCell::new(Vec::new());
        let sensor = Failing { asked: 0 };
        let pace = Pace::every(Duration::from_secs(10));
        let mut run = pin!(measure(sensor, &taken, &pace));
        let mut after_ms = |advance_ms| {
            MockDriver::get().advance(Duration::from_millis(advance_ms));
            // A timer that is set to a time that came rings at the second poll.
            for _ in 0..2 {
                let is_over = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(is_over.is_pending());
            }
            taken.borrow().len()
        };
        assert_eq!(after_ms(0), 1);
        for (before, after) in [(1, 1), (1, 2), (2, 3)] {
            assert_eq!(after_ms(9_999), before, "too early");
            assert_eq!(after_ms(1), after, "the second reading fails");
        }
        let temperatures: Vec<_> = taken.borrow().iter().map(|it| it.temperature).collect();
        assert_eq!(temperatures, [1.0, 3.0, 4.0]);

        assert_eq!(after_ms(6_000), 3);
        pace.set(Duration::from_secs(1));
        assert_eq!(after_ms(0), 4, "overdue, and only once");
        assert_eq!(after_ms(999), 4);
        assert_eq!(after_ms(1), 5);
        pace.set(Duration::from_secs(60));
        assert_eq!(after_ms(0), 5);
        assert_eq!(after_ms(59_999), 5);
        assert_eq!(after_ms(1), 6);
    }

    struct Failing {
        asked: i16,
    }

    impl Sensor for Failing {
        async fn read(&mut self) -> Result<Reading, &'static str> {
            self.asked = self.asked.saturating_add(1);
            match self.asked {
                2 => Err("as planned"),
                asked => Ok(Reading {
                    temperature: f32::from(asked),
                    humidity: 0.0,
                }),
            }
        }
    }

    impl Publisher for &RefCell<Vec<Reading>> {
        async fn publish(&mut self, reading: Reading) {
            self.borrow_mut().push(reading);
        }
    }
}
