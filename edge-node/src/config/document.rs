//! The text of the file, and where in it each value stands.

use std::{cell::OnceCell, ops::Range};

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Fault, Place};

pub(super) struct Document<'a> {
    name: &'a str,
    text: &'a str,
    /// Where values stand, once that is asked: mostly where one is wrong. It takes many times the bytes of the text.
    root: OnceCell<DeValue<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Document<'a> {
        let root = OnceCell::new();
        Document { name, text, root }
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error| fault(self.name, self.text, &error))
    }

    /// Where the value at a dotted path such as `uplink.0.name` stands; the start of the file if it is not there.
    pub(super) fn place(&self, path: &str) -> Place {
        place(self.name, self.text, &self.span(path).unwrap_or_default())
    }

    /// Whether the file says anything at this dotted path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.span(path).is_some()
    }

    /// The text at this dotted path.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.1.as_str()
    }

    fn span(&self, path: &str) -> Option<Range<usize>> {
        self.at(path).map(|(span, _)| span)
    }

    /// An empty table where the text is no TOML.
    fn root(&self) -> &DeValue<'a> {
        self.root.get_or_init(|| {
            let table = DeTable::parse(self.text).map(|it| it.into_inner());
            DeValue::Table(table.unwrap_or_default())
        })
    }

    fn at(&self, path: &str) -> Option<(Range<usize>, &DeValue<'a>)> {
        let mut span = 0..0;
        let mut value = self.root();
        for step in path.split('.') {
            let next = match step.parse::<usize>() {
                Ok(index) => value.get(index)?,
                Err(_) => value.get(step)?,
            };
            span = next.span();
            value = next.get_ref();
        }
        Some((span, value))
    }
}

fn fault(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let place = place(name, text, &error.span().unwrap_or_default());
    ConfigError::At {
        place,
        fault: Fault::from_message(error.message()),
    }
}

fn place(name: &str, text: &str, span: &Range<usize>) -> Place {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    Place::File {
        name: name.to_owned(),
        line,
        column,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_for_places_only_when_one_is_asked_for() {
        let document = Document::new("rules.toml", "first = 1\n\nsecond = 2\n");
        let read: toml::Table = document.read().unwrap();
        assert_eq!(read.len(), 2);
        assert!(document.root.get().is_none());
        assert_eq!(document.place("second").to_string(), "rules.toml:3:10");
    }

    #[test]
    fn a_text_that_is_no_toml_has_no_places_but_says_where_it_is_none() {
        let document = Document::new("rules.toml", "first = 1\nsecond = =\n");
        assert!(!document.has("first"));
        let error = document.read::<toml::Table>().unwrap_err();
        assert!(error.to_string().contains("rules.toml:2:10"), "{error}");
    }
}
