//! Headers as a table of texts, each checked to be one.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub(super) fn serialize<S: Serializer>(
    headers: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    headers.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let headers = BTreeMap::<String, String>::deserialize(deserializer)?;
    for (name, value) in &headers {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(de::Error::custom(format_args!(
                "`{name}` is no name of a header"
            )));
        }
        if HeaderValue::from_str(value).is_err() {
            return Err(de::Error::custom(format_args!(
                "the header `{name}` has a value that no header may have"
            )));
        }
    }
    Ok(headers)
}
