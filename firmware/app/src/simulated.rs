use crate::{Reading, Sensor};

/// A sensor for boards that have none: the same seed gives the same readings.
///
/// Temperature wanders within 15 to 30 °C and humidity within 30 to 70 %, by at most 0.1 from reading to reading.
pub struct Simulated {
    state: u32,
    /// In thousandths, so that the walk is exact.
    temperature: i32,
    humidity: i32,
}

impl Simulated {
    /// Begins at 20 °C and 50 %.
    #[must_use]
    pub fn new(seed: u32) -> Simulated {
        Simulated {
            // The generator below stays at 0 for ever.
            state: seed.max(1),
            temperature: 20_000,
            humidity: 50_000,
        }
    }

    /// A step of at most a hundred up or down.
    fn step(&mut self) -> i32 {
        // xorshift32: enough for a walk that looks like weather.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        (self.state % 201).cast_signed().saturating_sub(100)
    }
}

impl Sensor for Simulated {
    async fn read(&mut self) -> Result<Reading, &'static str> {
        let (warmer, wetter) = (self.step(), self.step());
        self.temperature = self
            .temperature
            .saturating_add(warmer)
            .clamp(15_000, 30_000);
        self.humidity = self.humidity.saturating_add(wetter).clamp(30_000, 70_000);
        Ok(Reading {
            temperature: thousandths(self.temperature),
            humidity: thousandths(self.humidity),
        })
    }
}

/// Exact to the last of three decimals: there are fewer than 2^24 thousandths.
fn thousandths(count: i32) -> f32 {
    count as f32 / 1000.0
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use embassy_futures::block_on;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_readings_and_another_seed_others() {
        assert_eq!(readings(7), readings(7));
        assert_ne!(readings(7), readings(8));
        assert_eq!(readings(0), readings(1), "zero is a seed too");
    }

    #[test]
    fn readings_move_by_small_steps_within_their_ranges() {
        for pair in readings(42).windows(2) {
            let [before, after] = [pair[0], pair[1]];
            assert!((15.0..=30.0).contains(&after.temperature));
            assert!((30.0..=70.0).contains(&after.humidity));
            assert!((before.temperature - after.temperature).abs() < 0.1001);
            assert!((before.humidity - after.humidity).abs() < 0.1001);
            assert_ne!(before, after);
        }
    }

    fn readings(seed: u32) -> Vec<Reading> {
        let mut sensor = Simulated::new(seed);
        (0..10_000)
            .map(|_| block_on(sensor.read()).unwrap())
            .collect()
    }
}
