/// The payload, in the form in which formats show it.
///
/// The form follows from `datacontenttype`, so that one event has one form wherever it was decoded: under a JSON media type
/// (or none) valid JSON is `Json` and all else `Binary`; under any other it is `Text` or `Binary`, as the sender said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Valid JSON text in UTF-8, kept as it came: numbers keep their digits, objects their order.
    Json(Vec<u8>),
    /// UTF-8 text that is not JSON by its media type.
    Text(String),
    /// Anything else.
    Binary(Vec<u8>),
}

impl Data {
    /// The payload of a message whose transport says nothing but a media type: JSON where the media type allows it and
    /// the bytes are valid, text where [`is_text`] says so and they are UTF-8, else binary.
    pub fn of(media_type: Option<&str>, bytes: Vec<u8>) -> Data {
        let textual = media_type.is_some_and(|it| !is_json(it) && is_text(it));
        if textual {
            return String::from_utf8(bytes)
                .map_or_else(|error| Data::Binary(error.into_bytes()), Data::Text);
        }
        Data::Binary(bytes).normalized(media_type)
    }

    /// The bytes, whatever their form.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Data::Json(bytes) | Data::Binary(bytes) => bytes,
            Data::Text(text) => text.as_bytes(),
        }
    }

    /// The bytes, whatever their form.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Data::Json(bytes) | Data::Binary(bytes) => bytes,
            Data::Text(text) => text.into_bytes(),
        }
    }

    /// The same bytes in the one form that this media type has for them.
    pub fn normalized(self, media_type: Option<&str>) -> Data {
        match (media_type.is_none_or(is_json), self) {
            (true, Data::Json(bytes)) => Data::Json(bytes),
            (true, other) => {
                let bytes = other.into_bytes();
                if is_valid_json(&bytes) {
                    Data::Json(bytes)
                } else {
                    Data::Binary(bytes)
                }
            }
            (false, Data::Json(bytes)) => String::from_utf8(bytes)
                .map_or_else(|error| Data::Binary(error.into_bytes()), Data::Text),
            (false, other) => other,
        }
    }
}

/// Whether a media type declares JSON: `*/json` and `*/*+json`, parameters aside.
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || subtype(media_type)
            .is_some_and(|it| it.eq_ignore_ascii_case("json") || ends_with(it, "+json"))
}

/// Whether a media type declares text of any kind: `text/*`, JSON and XML.
pub fn is_text(media_type: &str) -> bool {
    let text = media_type
        .get(..5)
        .is_some_and(|it| it.eq_ignore_ascii_case("text/"));
    text || is_json(media_type)
        || subtype(media_type)
            .is_some_and(|it| it.eq_ignore_ascii_case("xml") || ends_with(it, "+xml"))
}

/// Whether people can read a text: it has no control characters but those between columns and lines.
pub fn is_printable(text: &str) -> bool {
    !text
        .chars()
        .any(|it| it.is_control() && !"\t\r\n".contains(it))
}

/// Whether bytes are one JSON value in UTF-8. Reads them once, builds nothing, does not recurse.
pub(crate) fn is_valid_json(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn subtype(media_type: &str) -> Option<&str> {
    let essence = media_type.split(';').next()?;
    essence.split_once('/').map(|(_, subtype)| subtype.trim())
}

fn ends_with(text: &str, suffix: &str) -> bool {
    let start = text.len().saturating_sub(suffix.len());
    text.get(start..)
        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}
