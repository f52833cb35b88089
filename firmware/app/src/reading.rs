use core::fmt;

/// What a sensor measured at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The temperature in thousandths of a degree Celsius.
    pub temperature_millis: i32,
    /// The relative humidity in thousandths of a percent.
    pub humidity_millis: u32,
}

/// As JSON, at most 60 bytes: `{"temperature":-3.042,"humidity":48.200}`.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.temperature_millis < 0 { "-" } else { "" };
        let temperature = self.temperature_millis.unsigned_abs();
        let humidity = self.humidity_millis;
        write!(
            f,
            "{{\"temperature\":{sign}{}.{:03},\"humidity\":{}.{:03}}}",
            temperature / 1000,
            temperature % 1000,
            humidity / 1000,
            humidity % 1000,
        )
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Reading;
    use std::string::ToString;

    #[test]
    fn a_reading_is_json_with_three_decimals() {
        let json = |temperature_millis, humidity_millis| {
            Reading {
                temperature_millis,
                humidity_millis,
            }
            .to_string()
        };
        assert_eq!(
            json(21_375, 48_200),
            r#"{"temperature":21.375,"humidity":48.200}"#
        );
        assert_eq!(json(-42, 7), r#"{"temperature":-0.042,"humidity":0.007}"#);
        assert!(json(i32::MIN, u32::MAX).len() <= 60);
    }
}
