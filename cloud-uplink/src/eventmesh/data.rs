//! Which field the data travels in, and under which media type.
//!
//! EventMesh decides by the media type alone, to the letter: `application/json` is text, `application/JSON` and
//! `application/json;charset=utf-8` are not. Data in another field than it looks into counts as missing there.

use filters::Data;
use prost::Message;
use prost_types::Any;

use super::proto::cloud_event::Data as WireData;

pub(super) const JSON: &str = "application/json";
pub(super) const OCTET_STREAM: &str = "application/octet-stream";
const PROTOBUF: &str = "application/protobuf";

/// Data as it travels.
pub(super) struct Sent {
    pub(super) data: WireData,
    /// The media type it travels under; `None` where the event has none and needs none.
    pub(super) media_type: Option<String>,
    /// Whether the event's own has to travel beside it.
    pub(super) disguised: bool,
    pub(super) no_data: bool,
    /// Whether bytes are text.
    pub(super) textual: bool,
}

/// Whether EventMesh looks for data of this media type in `text_data`.
pub(super) fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || matches!(media_type, JSON | "application/xml")
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
}

pub(super) fn encode(data: Option<Data>, media_type: Option<&str>) -> Sent {
    let bytes_of = |data: Data| WireData::BinaryData(data.into_bytes());
    let mut sent = Sent {
        data: WireData::TextData(String::new()),
        media_type: media_type.map(str::to_owned),
        disguised: false,
        no_data: false,
        textual: matches!(data, Some(Data::Text(_))),
    };
    let Some(data) = data.filter(|it| !it.bytes().is_empty()) else {
        sent.no_data = true;
        sent.textual = false;
        sent.data = WireData::TextData("null".to_owned());
        sent.disguise(JSON);
        return sent;
    };
    match (media_type, data) {
        (None, Data::Json(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => {
                sent.media_type = Some(JSON.to_owned());
                sent.data = WireData::TextData(text);
            }
            Err(error) => sent.data = WireData::BinaryData(error.into_bytes()),
        },
        (Some(PROTOBUF), data) => match any(data.bytes()) {
            Some(any) => {
                sent.data = WireData::ProtoData(any);
            }
            None => {
                sent.disguise(OCTET_STREAM);
                sent.data = bytes_of(data);
            }
        },
        (Some(media_type), data) if is_text(media_type) => match text(data, media_type) {
            Ok(text) => {
                sent.textual = false;
                sent.data = WireData::TextData(text);
            }
            Err(bytes) => {
                sent.disguise(OCTET_STREAM);
                sent.data = WireData::BinaryData(bytes);
            }
        },
        (_, data) => sent.data = bytes_of(data),
    }
    sent
}

/// Data as it came, without its disguise. `media_type` is the event's own.
pub(super) fn decode(data: WireData, media_type: Option<&str>, textual: bool) -> Data {
    let data = match data {
        WireData::TextData(text) => Data::Text(text),
        WireData::BinaryData(bytes) => Data::Binary(bytes),
        WireData::ProtoData(any) => Data::Binary(any.encode_to_vec()),
    };
    let data = match data {
        Data::Binary(bytes) if textual => {
            String::from_utf8(bytes).map_or_else(|it| Data::Binary(it.into_bytes()), Data::Text)
        }
        other => other,
    };
    data.normalized(media_type)
}

impl Sent {
    fn disguise(&mut self, media_type: &str) {
        self.disguised = true;
        self.media_type = Some(media_type.to_owned());
    }
}

/// The text of data under a textual media type; the bytes where they are none, or where the sender said they are bytes
/// and the media type does not say it again on the other side.
fn text(data: Data, media_type: &str) -> Result<String, Vec<u8>> {
    match data {
        Data::Text(text) => Ok(text),
        Data::Binary(bytes) if !filters::is_json(media_type) => Err(bytes),
        Data::Json(bytes) | Data::Binary(bytes) => {
            String::from_utf8(bytes).map_err(std::string::FromUtf8Error::into_bytes)
        }
    }
}

/// The bytes as the message EventMesh expects under `application/protobuf`, if they are one and it gives them again.
fn any(bytes: &[u8]) -> Option<Any> {
    let any = Any::decode(bytes).ok()?;
    (any.encode_to_vec() == bytes).then_some(any)
}
