//! Durations and sizes as people write them: `"30s"`, `"64 MiB"`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes, written with its unit: `B`, `KiB`, `MiB`, `GiB`, `TiB`, or the decimal `kB`, `MB`, `GB`, `TB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const BINARY: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];
const DECIMAL: [(&str, u64); 5] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// As a length in memory; the largest there is where it would not fit.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// As a 32-bit number; the largest there is where it would not fit.
    pub fn as_u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BINARY
            .iter()
            .find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit))
        {
            Some((name, unit)) => write!(f, "{} {name}", self.0 / unit),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no size; accepted: a whole number and a unit, such as \"64 MiB\" (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)"
)]
pub struct SizeError(String);

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<ByteSize, SizeError> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = BINARY
            .iter()
            .chain(&DECIMAL)
            .find(|(name, _)| *name == unit.trim());
        let bytes = unit.and_then(|(_, unit)| number.parse::<u64>().ok()?.checked_mul(*unit));
        bytes
            .map(ByteSize)
            .ok_or_else(|| SizeError(text.to_owned()))
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        text(deserializer, "a size such as \"64 MiB\"")
    }
}

/// A length of time, written with its units: `"30s"`, `"1h 30m"`, `"500ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// Not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no duration; accepted: whole numbers with units, such as \"30s\" or \"1h 30m\" (ms, s, m, h, d)"
)]
pub struct SpanError(String);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Span, SpanError> {
        humantime::parse_duration(text)
            .map(Span)
            .map_err(|_| SpanError(text.to_owned()))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        text(deserializer, "a duration such as \"30s\"")
    }
}

/// Reads a string as `T`; anything that is no string is told what is accepted.
pub(super) fn text<'de, D, T>(deserializer: D, accepted: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Text<T>(&'static str, std::marker::PhantomData<T>);
    impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text(accepted, std::marker::PhantomData))
}

/// Reads a value and holds it between two bounds.
pub(super) fn within<'de, D, T>(deserializer: D, least: T, most: T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Copy + PartialOrd + fmt::Display,
{
    let value = T::deserialize(deserializer)?;
    if value < least || value > most {
        return Err(de::Error::custom(format_args!(
            "`{value}` is out of range; accepted: {least} to {most}"
        )));
    }
    Ok(value)
}

/// Reads a whole number and holds it between two bounds.
pub(super) fn whole<'de, D, T>(deserializer: D, least: T, most: T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64> + Copy + PartialOrd + fmt::Display,
{
    let number = i64::deserialize(deserializer)?;
    match T::try_from(number) {
        Ok(value) if value >= least && value <= most => Ok(value),
        _ => Err(de::Error::custom(format_args!(
            "`{number}` is out of range; accepted: {least} to {most}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_with_its_unit_and_written_with_the_largest_whole_one() {
        for (written, bytes, shown) in [
            ("64 MiB", 64 << 20, "64 MiB"),
            ("64MiB", 64 << 20, "64 MiB"),
            ("1024 KiB", 1 << 20, "1 MiB"),
            ("1536 KiB", 1536 << 10, "1536 KiB"),
            ("1500 kB", 1_500_000, "1500000 B"),
            ("7 B", 7, "7 B"),
            ("0 B", 0, "0 B"),
            ("2 TB", 2_000_000_000_000, "1953125000 KiB"),
        ] {
            let size: ByteSize = written.parse().unwrap();
            assert_eq!(size, ByteSize(bytes), "{written}");
            assert_eq!(size.to_string(), shown);
        }
    }

    #[test]
    fn a_size_without_a_unit_or_beyond_all_disks_is_refused() {
        for wrong in [
            "64",
            "",
            "MiB",
            "64 mib",
            "1.5 GiB",
            "-1 B",
            "99999999999 TiB",
            "64 MiB each",
        ] {
            assert_eq!(
                wrong.parse::<ByteSize>(),
                Err(SizeError(wrong.to_owned())),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_duration_is_read_with_its_units() {
        assert_eq!("1h 30m".parse(), Ok(Span::seconds(5400)));
        assert_eq!("500ms".parse(), Ok(Span(Duration::from_millis(500))));
        assert_eq!("30".parse::<Span>(), Err(SpanError("30".to_owned())));
        assert_eq!(Span::seconds(90).to_string(), "1m 30s");
    }
}
