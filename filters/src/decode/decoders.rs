use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::{
    Births, BirthsUndo, CborError, Decoded, DescriptorError, DeviceError, Protobuf, ProtobufError,
    cbor_to_json,
    sparkplug::{SparkplugError, Topic},
};
use crate::{DataView, TopicFilter, TopicTrie, stage::Moment};

/// `[[decoder]]`: how the payloads on some topics are read. Of several whose topic fits, the first counts; where none does, the content type says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DecoderDefinition {
    /// The topics.
    pub topic: TopicFilter,
    /// What is published on them.
    pub format: Format,
    /// Of `protobuf`: the file of descriptors, as `protoc --include_imports --descriptor_set_out` writes it. A relative path begins at the folder of the file of rules.
    pub descriptors: Option<String>,
    /// Of `protobuf`: the full name of the message.
    pub message: Option<String>,
    /// What uplinks get; default `original`.
    #[serde(default)]
    pub emit: Emit,
    /// Of `sparkplug`: whether nodes whose messages do not fit their births are asked for them, at most once a minute each; default no.
    #[serde(default)]
    pub rebirth: bool,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// JSON, whatever its content type says.
    Json,
    /// CBOR; see [`cbor_to_json`].
    Cbor,
    /// One message of a descriptor set; see [`Protobuf`].
    Protobuf,
    /// See [`sparkplug`](super::sparkplug).
    Sparkplug,
    /// The envelope of devices; see [`device`](super::device).
    Device,
}

/// What uplinks get of a payload that is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emit {
    /// The payload as it came.
    #[default]
    Original,
    /// What the decoder shows.
    Json,
}

/// All decoders, ready to be used.
#[derive(Debug, Default)]
pub struct Decoders {
    list: Vec<Decoder>,
    topics: TopicTrie<usize, ()>,
}

#[derive(Debug)]
struct Decoder {
    reader: Reader,
    emit: Emit,
}

#[derive(Debug)]
enum Reader {
    Json,
    Cbor,
    Protobuf(Box<Protobuf>),
    Sparkplug { rebirth: bool },
    Device,
}

/// A decoder that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DecoderError {
    /// Which of the definitions it is, from 0.
    pub decoder: usize,
    /// What is wrong with it.
    pub problem: DecoderProblem,
}

/// What is wrong with a decoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecoderProblem {
    /// A protobuf decoder has both.
    #[error("a decoder of protobuf has `descriptors` and `message`, and no other has them")]
    Names,
    /// Only Sparkplug has births that a node can be asked for.
    #[error("only a decoder of sparkplug has `rebirth`")]
    Rebirth,
    /// No bytes were given for this file.
    #[error("the descriptors {0:?} were not read")]
    NotRead(String),
    /// The file is none of descriptors, or has no such message.
    #[error(transparent)]
    Descriptors(DescriptorError),
}

/// A payload as it came.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The topic on which it came.
    pub topic: Option<&'a str>,
    /// What it says it is.
    pub content_type: Option<&'a str>,
    /// The payload.
    pub payload: &'a [u8],
    /// Where its record will stand, or stands.
    pub position: u64,
}

/// What a payload is shown as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// No decoder is needed: the event's own data is what conditions see.
    #[default]
    Plain,
    /// This.
    Decoded(Decoded),
    /// It could not be decoded: no condition on data holds.
    Opaque(PayloadError),
}

/// Why a payload could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "named as the decoders")]
pub enum PayloadError {
    #[error("not JSON: {0}")]
    Json(String),
    #[error(transparent)]
    Cbor(CborError),
    #[error(transparent)]
    Protobuf(ProtobufError),
    #[error(transparent)]
    Sparkplug(SparkplugError),
    #[error(transparent)]
    Device(DeviceError),
}

/// A payload, decoded while it is published.
#[derive(Debug, Default)]
pub struct Decoding {
    /// What conditions see of it.
    pub view: View,
    /// Whether births changed: then its record must be in the log, whoever it is owed to.
    pub is_kept: bool,
    /// For [`Births::undo`].
    pub undo: BirthsUndo,
}

impl Decoders {
    /// Checks what was written; `descriptors` are the bytes of the files that are named.
    ///
    /// # Errors
    ///
    /// The first decoder that cannot be used.
    pub fn compile(
        definitions: &[DecoderDefinition],
        descriptors: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Decoders, DecoderError> {
        let mut decoders = Decoders::default();
        for (decoder, definition) in definitions.iter().enumerate() {
            let reader = reader(definition, descriptors);
            let reader = reader.map_err(|problem| DecoderError { decoder, problem })?;
            let emit = definition.emit;
            decoders.topics.insert(&definition.topic, decoder, ());
            decoders.list.push(Decoder { reader, emit });
        }
        Ok(decoders)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Decodes what is being published at `now`. Births move at once; if it is not committed, [`Births::undo`] takes that back.
    pub fn decode(&self, births: &mut Births, incoming: &Incoming<'_>, now: Moment) -> Decoding {
        let plain = |view| Decoding {
            view,
            is_kept: false,
            undo: BirthsUndo::default(),
        };
        let Some(decoder) = self.find(incoming.topic) else {
            return plain(by_content_type(incoming));
        };
        match (&decoder.reader, incoming.topic) {
            (Reader::Sparkplug { rebirth }, Some(topic)) => {
                let Some(topic) = Topic::parse(topic) else {
                    return plain(by_content_type(incoming));
                };
                let Incoming {
                    payload, position, ..
                } = *incoming;
                let sparkplug = &mut births.sparkplug;
                match sparkplug.handle_message(&topic, payload, position, now, *rebirth) {
                    Ok(seen) => Decoding {
                        view: View::Decoded(seen.decoded.emitted(decoder.emit)),
                        is_kept: seen.is_kept,
                        undo: BirthsUndo(Some(seen.undo)),
                    },
                    Err(error) => plain(View::Opaque(PayloadError::Sparkplug(error))),
                }
            }
            (Reader::Device, Some(topic)) => {
                // What is no birth announces nothing.
                let announced = births.devices.apply(topic, incoming.payload);
                Decoding {
                    is_kept: announced == Ok(true),
                    ..plain(decoder.view(births, incoming))
                }
            }
            _ => plain(decoder.view(births, incoming)),
        }
    }

    /// Reads a record again at recovery: what it says of births is known from then on. What cannot be decoded says nothing, as it did when it came.
    pub fn apply(&self, births: &mut Births, incoming: &Incoming<'_>) {
        let Some((decoder, topic)) = self.find(incoming.topic).zip(incoming.topic) else {
            return;
        };
        match &decoder.reader {
            Reader::Sparkplug { .. } => {
                if let Some(topic) = Topic::parse(topic) {
                    let sparkplug = &mut births.sparkplug;
                    let _ = sparkplug.apply(&topic, incoming.payload, incoming.position);
                }
            }
            Reader::Device => {
                let _ = births.devices.apply(topic, incoming.payload);
            }
            _ => {}
        }
    }

    fn find(&self, topic: Option<&str>) -> Option<&Decoder> {
        let mut first = None::<usize>;
        self.topics.matches(topic?, |place, ()| {
            first = Some(first.map_or(*place, |it| it.min(*place)));
        });
        self.list.get(first?)
    }
}

impl Decoder {
    fn view(&self, births: &Births, incoming: &Incoming<'_>) -> View {
        let Incoming {
            topic,
            payload,
            position,
            ..
        } = *incoming;
        let topic = topic.unwrap_or_default();
        let decoded = match &self.reader {
            Reader::Json | Reader::Cbor if payload.is_empty() => return View::Plain,
            Reader::Json => json(payload),
            Reader::Cbor => cbor(payload),
            Reader::Protobuf(protobuf) => protobuf.decode(payload).map_err(PayloadError::Protobuf),
            Reader::Sparkplug { .. } => match Topic::parse(topic) {
                Some(topic) => {
                    let decoded = births.sparkplug.decode_at(&topic, payload, position);
                    decoded.map_err(PayloadError::Sparkplug)
                }
                None => return by_content_type(incoming),
            },
            Reader::Device => {
                let decoded = births.devices.decode(topic, payload);
                decoded.map_err(PayloadError::Device)
            }
        };
        match decoded {
            Ok(decoded) => View::Decoded(decoded.emitted(self.emit)),
            Err(error) => View::Opaque(error),
        }
    }
}

impl View {
    /// What conditions see, where `own` is the event's own data.
    pub fn data<'a>(&'a self, own: DataView<'a>) -> DataView<'a> {
        match self {
            View::Plain => own,
            View::Decoded(decoded) => DataView::Decoded(decoded),
            View::Opaque(_) => DataView::Opaque,
        }
    }
}

impl PayloadError {
    /// A word for counters.
    pub fn class(&self) -> &'static str {
        match self {
            PayloadError::Json(_) => "json",
            PayloadError::Cbor(_) => "cbor",
            PayloadError::Protobuf(_) => "protobuf",
            PayloadError::Sparkplug(_) => "sparkplug",
            PayloadError::Device(_) => "device",
        }
    }
}

fn reader(
    definition: &DecoderDefinition,
    descriptors: &BTreeMap<String, Vec<u8>>,
) -> Result<Reader, DecoderProblem> {
    if definition.rebirth && definition.format != Format::Sparkplug {
        return Err(DecoderProblem::Rebirth);
    }
    let reader = match (
        definition.format,
        &definition.descriptors,
        &definition.message,
    ) {
        (Format::Protobuf, Some(file), Some(message)) => {
            let set = descriptors.get(file);
            let set = set.ok_or_else(|| DecoderProblem::NotRead(file.clone()))?;
            let protobuf = Protobuf::new(set, message).map_err(DecoderProblem::Descriptors)?;
            Reader::Protobuf(Box::new(protobuf))
        }
        (Format::Json, None, None) => Reader::Json,
        (Format::Cbor, None, None) => Reader::Cbor,
        (Format::Sparkplug, None, None) => Reader::Sparkplug {
            rebirth: definition.rebirth,
        },
        (Format::Device, None, None) => Reader::Device,
        _ => return Err(DecoderProblem::Names),
    };
    Ok(reader)
}

fn by_content_type(incoming: &Incoming<'_>) -> View {
    if incoming.content_type != Some("application/cbor") || incoming.payload.is_empty() {
        return View::Plain;
    }
    match cbor(incoming.payload) {
        Ok(decoded) => View::Decoded(decoded),
        Err(error) => View::Opaque(error),
    }
}

fn json(payload: &[u8]) -> Result<Decoded, PayloadError> {
    match serde_json::from_slice::<IgnoredAny>(payload) {
        Ok(_) => Ok(payload.to_vec().into()),
        Err(error) => Err(PayloadError::Json(error.to_string())),
    }
}

fn cbor(payload: &[u8]) -> Result<Decoded, PayloadError> {
    let json = cbor_to_json(payload).map_err(PayloadError::Cbor)?;
    Ok(json.into())
}
