//! Reads values of an event for steps that use them.

use std::borrow::Cow;

use super::{
    TransformError,
    document::{Document, quoted, unquoted},
    path::{JsonPath, Root},
};
use crate::{
    Data, Event,
    cesql::{EventRef, Value, attribute::Attribute},
};

impl JsonPath {
    /// The JSON text of the value it leads to; `None` where there is none. Data that is text is a string; bytes that
    /// nobody can read have no value.
    pub(super) fn read<'a>(
        &self,
        event: &'a Event,
    ) -> Result<Option<Cow<'a, str>>, TransformError> {
        let data = match (&self.root, &event.data) {
            (Root::Event, _) => {
                let json = crate::json::encode(event);
                return Ok(String::from_utf8(json).ok().map(Cow::Owned));
            }
            (Root::Attribute(name), _) => return Ok(attribute(name, event)),
            (Root::Data, None | Some(Data::Binary(_))) => return Ok(None),
            (Root::Data, Some(Data::Text(text))) => {
                return Ok(self.steps.is_empty().then(|| quoted(text).into()));
            }
            (Root::Data, Some(Data::Json(json))) => json,
        };
        let json = str::from_utf8(data).map_err(|_| TransformError::NotJson)?;
        let mut document = Document::raw(json);
        let found = document.find(&self.steps)?;
        Ok(found.map(|found| match found {
            Document::Raw(Cow::Borrowed(text)) => Cow::Borrowed(*text),
            other => Cow::Owned(other.to_json()),
        }))
    }

    /// The value as text that is no JSON: a string without its quotes, everything else as JSON writes it.
    pub(super) fn read_text(&self, event: &Event) -> Result<Option<String>, TransformError> {
        let found = self.read(event)?;
        Ok(found.map(|json| unquoted(&json).unwrap_or_else(|| json.into_owned())))
    }
}

fn attribute(name: &str, event: &Event) -> Option<Cow<'static, str>> {
    let value = Attribute::named(name).value(EventRef::Event(event))?;
    Some(match value {
        Value::String(text) => quoted(&text).into(),
        other => other.to_string().into(),
    })
}

/// The data of an event as a document to change.
pub(super) fn document(event: &Event) -> Result<Document<'_>, TransformError> {
    match &event.data {
        Some(Data::Json(json)) => {
            let json = str::from_utf8(json).map_err(|_| TransformError::NotJson)?;
            Ok(Document::raw(json))
        }
        _ => Err(TransformError::NotJson),
    }
}
