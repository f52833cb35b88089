use embassy_time::{Duration, Ticker};

use crate::{Reading, Sensor};

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

/// Reads `sensor` at once and then every `period`, and hands each reading to `publisher`. A sensor that fails is
/// reported and asked again in the next period. Never returns.
pub async fn measure(mut sensor: impl Sensor, mut publisher: impl Publisher, period: Duration) {
    let mut due = Ticker::every(period);
    loop {
        match sensor.read().await {
            Ok(reading) => publisher.publish(reading).await,
            Err(why) => say!("no reading: {}", why),
        }
        due.next().await;
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
    use std::{cell::RefCell, vec, vec::Vec};

    use embassy_time::MockDriver;

    use super::*;

    #[test]
    fn a_reading_is_taken_at_once_and_then_every_period_over_failures() {
        let taken = RefCell::new(Vec::new());
        let sensor = Failing { asked: 0 };
        let mut run = pin!(measure(sensor, &taken, Duration::from_secs(10)));
        let mut cx = Context::from_waker(Waker::noop());
        let mut seen = Vec::new();
        for _ in 0..4 {
            assert!(run.as_mut().poll(&mut cx).is_pending());
            seen.push(taken.borrow().len());
            MockDriver::get().advance(Duration::from_millis(9_999));
            assert!(run.as_mut().poll(&mut cx).is_pending());
            assert_eq!(taken.borrow().len(), *seen.last().unwrap(), "too early");
            MockDriver::get().advance(Duration::from_millis(1));
        }
        assert_eq!(seen, [1, 1, 2, 3], "the second reading fails");
        let temperatures: Vec<_> = taken
            .borrow()
            .iter()
            .map(|reading| reading.temperature)
            .collect();
        assert_eq!(temperatures, vec![1.0, 3.0, 4.0]);
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
