use core::fmt;

use embedded_hal_async::{delay::DelayNs, i2c::I2c};

use crate::{Reading, Sensor};

/// The sensor's address with its ADDR pin low; high makes it 0x45.
pub const ADDRESS: u8 = 0x44;

/// A Sensirion SHT31 (also SHT30 and SHT35) on an I2C bus: temperature and humidity.
///
/// One reading takes 16 ms, in which the bus is free.
pub struct Sht31<B, D> {
    bus: B,
    delay: D,
    address: u8,
}

/// No reading. The sensor is as it was; the next reading begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sht31Error<E> {
    /// The bus: usually nobody answers at this address.
    Bus(E),
    /// Bits were lost on the wire.
    Check,
}

impl<E: fmt::Debug> fmt::Display for Sht31Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sht31Error::Bus(error) => write!(f, "the SHT31 does not answer: {error:?}"),
            Sht31Error::Check => f.write_str("the SHT31's answer is damaged"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Sht31Error<E> {}

/// Measure once, with high repeatability and without holding the clock.
const MEASURE: [u8; 2] = [0x24, 0x00];
/// The data sheet says 15 ms at most.
const MEASURE_MILLIS: u32 = 16;

impl<B: I2c, D: DelayNs> Sht31<B, D> {
    /// The sensor at `address`.
    pub fn new(bus: B, delay: D, address: u8) -> Self {
        Sht31 {
            bus,
            delay,
            address,
        }
    }

    /// Measures once.
    ///
    /// # Errors
    ///
    /// [`Sht31Error`].
    pub async fn measure(&mut self) -> Result<Reading, Sht31Error<B::Error>> {
        self.bus
            .write(self.address, &MEASURE)
            .await
            .map_err(Sht31Error::Bus)?;
        self.delay.delay_ms(MEASURE_MILLIS).await;
        let mut answer = [0; 6];
        self.bus
            .read(self.address, &mut answer)
            .await
            .map_err(Sht31Error::Bus)?;
        let [t0, t1, t_check, h0, h1, h_check] = answer;
        if crc8([t0, t1]) != t_check || crc8([h0, h1]) != h_check {
            return Err(Sht31Error::Check);
        }
        Ok(Reading {
            temperature: temperature(u16::from_be_bytes([t0, t1])),
            humidity: humidity(u16::from_be_bytes([h0, h1])),
        })
    }
}

impl<B: I2c, D: DelayNs> Sensor for Sht31<B, D> {
    async fn read(&mut self) -> Result<Reading, &'static str> {
        self.measure().await.map_err(|error| match error {
            Sht31Error::Bus(_) => "the SHT31 does not answer: check its wires and its address",
            Sht31Error::Check => "the SHT31's answer is damaged: check its wires",
        })
    }
}

/// −45 °C to 130 °C over the whole range.
fn temperature(raw: u16) -> f32 {
    share(raw) * 175.0 - 45.0
}

/// 0 % to 100 % over the whole range.
fn humidity(raw: u16) -> f32 {
    share(raw) * 100.0
}

/// From 0 to 1.
fn share(raw: u16) -> f32 {
    f32::from(raw) / f32::from(u16::MAX)
}

/// CRC-8 with the polynomial 0x31, as the sensor sends it behind each word.
fn crc8(word: [u8; 2]) -> u8 {
    word.iter().fold(0xff, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| {
            (crc << 1) ^ if crc & 0x80 == 0 { 0 } else { 0x31 }
        })
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;

    use embassy_futures::block_on;
    use embedded_hal_mock::eh1::{
        delay::NoopDelay,
        i2c::{Mock, Transaction},
    };

    use super::*;

    #[test]
    fn it_asks_waits_and_reads_as_the_data_sheet_says() {
        // 0x6666 is 40 % of the range: 25 °C; 0x8000 is half: 50 %.
        let answer = vec![0x66, 0x66, 0x93, 0x80, 0x00, 0xa2];
        assert_eq!(
            measured(answer),
            Ok(Reading {
                temperature: 25.0,
                humidity: 50.000_763
            })
        );
    }

    #[test]
    fn the_ends_of_both_ranges_are_exact() {
        assert_eq!((temperature(0), temperature(u16::MAX)), (-45.0, 130.0));
        assert_eq!((humidity(0), humidity(u16::MAX)), (0.0, 100.0));
    }

    #[test]
    fn the_check_is_the_one_of_the_data_sheet() {
        assert_eq!(crc8([0xbe, 0xef]), 0x92);
    }

    #[test]
    fn a_damaged_answer_is_no_reading() {
        for at in 0..6 {
            let mut answer = vec![0x66, 0x66, 0x93, 0x80, 0x00, 0xa2];
            answer[at] ^= 0x10;
            assert_eq!(measured(answer), Err(Sht31Error::Check), "byte {at}");
        }
    }

    #[test]
    fn a_sensor_that_is_not_there_says_what_to_check() {
        use embedded_hal_async::i2c::{ErrorKind, NoAcknowledgeSource};
        let nobody = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
        let mut bus =
            Mock::new(&[Transaction::write(ADDRESS, MEASURE.to_vec()).with_error(nobody)]);
        let mut sensor = Sht31::new(bus.clone(), NoopDelay::new(), ADDRESS);
        assert_eq!(
            block_on(sensor.read()),
            Err("the SHT31 does not answer: check its wires and its address")
        );
        bus.done();
    }

    fn measured(
        answer: vec::Vec<u8>,
    ) -> Result<Reading, Sht31Error<embedded_hal_async::i2c::ErrorKind>> {
        let mut bus = Mock::new(&[
            Transaction::write(ADDRESS, vec![0x24, 0x00]),
            Transaction::read(ADDRESS, answer),
        ]);
        let mut sensor = Sht31::new(bus.clone(), NoopDelay::new(), ADDRESS);
        let reading = block_on(sensor.measure());
        bus.done();
        reading
    }
}
