use std::borrow::Cow;

use super::{PatternError, PatternProblem};
use crate::Number;

/// JSON text, read value by value; knows where it is.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// What begins at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    List,
    Text,
    Number,
    /// `true`, `false` or `null`.
    Word,
}

/// Errors are in a box, since they are rare and large.
pub(super) type Result<T> = std::result::Result<T, Box<PatternError>>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// Where the next value or key begins.
    pub(super) fn place(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// Where it is.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[cold]
    pub(super) fn error<T>(&self, at: usize, problem: PatternProblem) -> Result<T> {
        Err(Box::new(PatternError::at(self.text, at, problem)))
    }

    #[inline]
    pub(super) fn kind(&mut self) -> Result<Kind> {
        match self.peek() {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::List),
            b'"' => Ok(Kind::Text),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            b't' | b'f' | b'n' => Ok(Kind::Word),
            _ => self.expected("a value"),
        }
    }

    /// The next key of an object, with its place, and past the colon; none at its end. `is_first` says whether it is the
    /// first one, before which no comma stands.
    #[inline]
    pub(super) fn next_key(&mut self, is_first: bool) -> Result<Option<(Cow<'a, str>, usize)>> {
        if is_first {
            self.take(b'{', "an object")?;
        }
        let mut next = self.peek();
        if next == b'}' {
            self.at += 1;
            return Ok(None);
        }
        if !is_first {
            self.take(b',', "`,` or `}`")?;
            next = self.peek();
        }
        if next != b'"' {
            return self.expected("a key in quotes");
        }
        let at = self.at;
        let key = self.text()?;
        self.take(b':', "`:`")?;
        Ok(Some((key, at)))
    }

    /// Whether a list goes on, past its comma; as with [`Reader::next_key`].
    #[inline]
    pub(super) fn next_element(&mut self, is_first: bool) -> Result<bool> {
        if is_first {
            self.take(b'[', "a list")?;
        }
        if self.peek() == b']' {
            self.at += 1;
            return Ok(false);
        }
        if !is_first {
            self.take(b',', "`,` or `]`")?;
        }
        Ok(true)
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>> {
        self.take(b'"', "a text")?;
        let start = self.at;
        self.at += plain_len(self.text.as_bytes().get(start..).unwrap_or_default());
        if self.text.as_bytes().get(self.at) != Some(&b'"') {
            return self.escaped_text(start);
        }
        let inner = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Cow::Borrowed(inner))
    }

    #[cold]
    /// The text that begins at `start`, and is read up to its first escape or fault.
    fn escaped_text(&mut self, start: usize) -> Result<Cow<'a, str>> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(0..0x20) => return self.expected("no control character in a text"),
                Some(_) => self.at += 1,
                None => return self.expected("the end of the text, `\"`"),
            }
        }
        self.at += 1;
        let quoted = self.text.get(start - 1..self.at).unwrap_or_default();
        match serde_json::from_str(quoted) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(_) => self.error(start - 1, PatternProblem::Json("a text with valid escapes")),
        }
    }

    pub(super) fn number(&mut self) -> Result<Number> {
        let start = self.place();
        let rest = self.text.get(start..).unwrap_or_default();
        let end = rest
            .bytes()
            .position(|it| !matches!(it, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let digits = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let Some(number) = Number::parse(digits) else {
            return self.expected("a number");
        };
        if !number.is_exact() {
            return self.error(start, PatternProblem::Exponent);
        }
        self.at = start + digits.len();
        Ok(number)
    }

    /// `Some` of a boolean, or `None` of null.
    pub(super) fn word(&mut self) -> Result<Option<bool>> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (word, value) in [("true", Some(true)), ("false", Some(false)), ("null", None)] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.expected("`true`, `false` or `null`")
    }

    pub(super) fn end(&mut self) -> Result<()> {
        self.peek();
        if self.at < self.text.len() {
            return self.error(self.at, PatternProblem::Trailing);
        }
        Ok(())
    }

    #[cold]
    pub(super) fn expected<T>(&self, what: &'static str) -> Result<T> {
        self.error(self.at.min(self.text.len()), PatternProblem::Json(what))
    }

    #[inline]
    fn take(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.peek() != byte {
            return self.expected(what);
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is no white space; 0, which JSON has nowhere, at the end.
    #[inline]
    fn peek(&mut self) -> u8 {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(next @ 0x21..) => return *next,
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                _ => return 0,
            }
        }
    }
}

/// Bytes before the first one that ends a text, begins an escape or is refused in a text.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = EACH << 7;
    let mut len = 0;
    let mut rest = bytes;
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // The lowest byte that is marked is below 0x20 or equal; those above it may be marked for nothing.
        let below = |word: u64, bound: u64| word.wrapping_sub(EACH * bound) & !word & HIGH;
        let quotes = below(word ^ (EACH * u64::from(b'"')), 1);
        let escapes = below(word ^ (EACH * u64::from(b'\\')), 1);
        let marks = quotes | escapes | below(word, 0x20);
        if marks != 0 {
            return len + marks.trailing_zeros() as usize / 8;
        }
        len += 8;
        rest = behind;
    }
    let is_special = |it: &u8| matches!(it, b'"' | b'\\' | 0..0x20);
    len + rest.iter().position(is_special).unwrap_or(rest.len())
}
