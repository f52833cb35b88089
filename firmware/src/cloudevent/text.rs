//! Text in a buffer.

use core::fmt::{self, Write};

use wire::EncodeError;

/// Writes behind what it wrote before. When there is no room, nothing more is written, and [`Text::finish`] says so.
pub(super) struct Text<'b> {
    buffer: &'b mut [u8],
    used: usize,
    is_full: bool,
}

impl<'b> Text<'b> {
    pub(super) fn new(buffer: &'b mut [u8]) -> Self {
        Text {
            buffer,
            used: 0,
            is_full: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Takes back what was written behind the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.used = self.used.min(len);
        self.is_full = false;
    }

    pub(super) fn finish(self) -> Result<&'b [u8], EncodeError> {
        if self.is_full {
            return Err(EncodeError::Room);
        }
        self.buffer.get(..self.used).ok_or(EncodeError::Room)
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.used.saturating_add(bytes.len());
        match self.buffer.get_mut(self.used..end) {
            Some(room) if !self.is_full => {
                room.copy_from_slice(bytes);
                self.used = end;
            }
            _ => self.is_full = true,
        }
        self
    }

    pub(super) fn str(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// What can be formatted.
    pub(super) fn show(&mut self, what: fmt::Arguments<'_>) -> &mut Self {
        let _ = self.write_fmt(what); // a full buffer is noted
        self
    }

    /// A string of JSON.
    pub(super) fn quoted(&mut self, text: &str) -> &mut Self {
        self.str("\"");
        for char in text.chars() {
            match char {
                '"' | '\\' => self.str("\\").show(format_args!("{char}")),
                '\0'..' ' => self.show(format_args!("\\u{:04x}", u32::from(char))),
                _ => self.str(char.encode_utf8(&mut [0; 4])),
            };
        }
        self.str("\"")
    }

    /// The name of a member of an object, and the colon behind it.
    pub(super) fn member(&mut self, name: &str) -> &mut Self {
        self.quoted(name).str(":")
    }

    /// Bytes as a string of JSON.
    pub(super) fn base64(&mut self, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        self.str("\"");
        for group in bytes.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
                let digit = match DIGITS.get((bits >> shift & 0x3f) as usize) {
                    Some(digit) if place <= group.len() => *digit,
                    _ => b'=',
                };
                self.bytes(&[digit]);
            }
        }
        self.str("\"")
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.str(text);
        if self.is_full {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// Writes text as a part of a URI.
pub(super) fn percent(text: &str, into: &mut impl Write) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.write_char(char::from(byte))?;
        } else {
            write!(into, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// Bytes of a timestamp.
pub(super) const TIMESTAMP: usize = "1970-01-01T00:00:00.000Z".len();
const DAY_S: u64 = 86_400;
/// The last moment that RFC 3339 can write.
const LAST_MS: u64 = 253_402_300_799_999;

/// Writes milliseconds since 1970 as RFC 3339 has them.
pub(super) fn timestamp(time_ms: u64, into: &mut impl Write) -> fmt::Result {
    let time_ms = time_ms.min(LAST_MS);
    let (seconds, millis) = (time_ms / 1000, time_ms % 1000);
    let (year, month, day) = date(seconds / DAY_S);
    let second = seconds % DAY_S;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(
        into,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
    )
}

/// The date so many days after 1970-01-01, before the year 10,000.
fn date(days: u64) -> (u64, u64, u64) {
    let (mut year, mut left) = (1970u64, days);
    while let Some(rest) = left.checked_sub(days_of(year)) {
        (year, left) = (year.saturating_add(1), rest);
    }
    let february = if days_of(year) == 366 { 29 } else { 28 };
    let mut month = 1u64;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        let Some(rest) = left.checked_sub(len) else {
            break;
        };
        (month, left) = (month.saturating_add(1), rest);
    }
    (year, month, left.saturating_add(1))
}

fn days_of(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}
