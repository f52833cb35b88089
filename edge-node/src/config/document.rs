//! The text of the file, and where in it each value stands.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Fault, Place};

pub(super) struct Document<'a> {
    name: &'a str,
    text: &'a str,
    root: DeValue<'a>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(name: &'a str, text: &'a str) -> Result<Document<'a>, ConfigError> {
        match DeTable::parse(text) {
            Ok(table) => Ok(Document {
                name,
                text,
                root: DeValue::Table(table.into_inner()),
            }),
            Err(error) => Err(fault(name, text, &error)),
        }
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

    fn at(&self, path: &str) -> Option<(Range<usize>, &DeValue<'a>)> {
        let mut span = 0..0;
        let mut value = &self.root;
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
