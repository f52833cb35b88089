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

type Result<T> = std::result::Result<T, PatternError>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// Where the next value or key begins.
    pub(super) fn place(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    pub(super) fn error<T>(&self, at: usize, problem: PatternProblem) -> Result<T> {
        Err(PatternError::at(self.text, at, problem))
    }

    pub(super) fn kind(&mut self) -> Result<Kind> {
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::List),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f' | b'n') => Ok(Kind::Word),
            _ => self.expected("a value"),
        }
    }

    /// The next key of an object, with its place, and past the colon; none at its end. `is_first` says whether it is the
    /// first one, before which no comma stands.
    pub(super) fn next_key(&mut self, is_first: bool) -> Result<Option<(Cow<'a, str>, usize)>> {
        if is_first {
            self.take(b'{', "an object")?;
        }
        if self.take_if(b'}') {
            return Ok(None);
        }
        if !is_first {
            self.take(b',', "`,` or `}`")?;
        }
        let at = self.place();
        if self.peek() != Some(b'"') {
            return self.expected("a key in quotes");
        }
        let key = self.text()?;
        self.take(b':', "`:`")?;
        Ok(Some((key, at)))
    }

    /// Whether a list goes on, past its comma; as with [`Reader::next_key`].
    pub(super) fn next_element(&mut self, is_first: bool) -> Result<bool> {
        if is_first {
            self.take(b'[', "a list")?;
        }
        if self.take_if(b']') {
            return Ok(false);
        }
        if !is_first {
            self.take(b',', "`,` or `]`")?;
        }
        Ok(true)
    }

    pub(super) fn text(&mut self) -> Result<Cow<'a, str>> {
        self.take(b'"', "a text")?;
        let start = self.at;
        let mut escaped = false;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(0..0x20) => return self.expected("no control character in a text"),
                Some(_) => self.at += 1,
                None => return self.expected("the end of the text, `\"`"),
            }
        }
        let inner = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        if !escaped {
            return Ok(Cow::Borrowed(inner));
        }
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
        self.skip_space();
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
        match self.peek() {
            None => Ok(()),
            Some(_) => self.error(self.at, PatternProblem::Trailing),
        }
    }

    pub(super) fn expected<T>(&self, what: &'static str) -> Result<T> {
        self.error(self.at.min(self.text.len()), PatternProblem::Json(what))
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.take_if(byte) {
            Ok(())
        } else {
            self.expected(what)
        }
    }

    fn take_if(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }
}
