//! Events of devices as JSON, by the tables that their births announce.
//!
//! ```text
//!  {"events": [{"id": "00c0ffee00000007-3-41", "type": "pump.reading", "uptime": 90000000, "data": {"celsius": 61.5, "bar": [3, 4]}}, …]}
//! ```
//!
//! Floats that are none are `null`, bytes are base64. The number of a kind stands for one table for ever, so that a table which is known decodes every record of its
//! kind, wherever it stands in the log.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use wire::{
    DecodeError as WireError,
    birth::Presence,
    envelope::Envelope,
    kind::{Field, KindId, Scalar, Shape, Table},
    topic::{Channel, Prefix},
    value::{Value, take_field},
};

use super::Decoded;

/// Devices whose tables are known; one more takes the place of the one whose name is the first.
const MAX_DEVICES: usize = 10_000;
/// Kinds known of one device.
const MAX_KINDS: usize = 255;
/// Memory that the kinds of one device may take, in bytes: what a device can keep of tables in a page of its flash, four times.
const MAX_KIND_BYTES: usize = 16 << 10;

/// The tables of devices, by device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    devices: BTreeMap<Box<str>, DeviceKinds>,
}

/// What one device announced, for checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKinds {
    /// Of the outbox of its latest birth.
    incarnation: u32,
    kinds: BTreeMap<[u8; 2], Kind>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kind {
    event_type: Box<str>,
    version: u16,
    fields: Vec<KindField>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KindField {
    name: Box<str>,
    /// Its place among the types.
    scalar: u8,
    shape: KindShape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KindShape {
    One,
    Array(u16),
    UpTo(u16),
}

/// A message of a device that cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// What the decoder says of it.
    #[error("not a message of a device: {0}")]
    Malformed(WireError),
    /// Only the topic `d` of a device has events.
    #[error("the topic is none on which devices publish events")]
    NoEvents,
    /// Its kind was never announced.
    #[error("the device announced no kind {:02x}{:02x}", .0[1], .0[0])]
    UnknownKind([u8; 2]),
}

impl Devices {
    /// Takes the tables of a birth, and of the messages that belong to one; whether it was one. Others say nothing of tables.
    ///
    /// # Errors
    ///
    /// The payload is no message of its topic.
    pub fn apply(&mut self, topic: &str, payload: &[u8]) -> Result<bool, DeviceError> {
        let Some((Channel::Birth, device)) = split(topic) else {
            return Ok(false);
        };
        match Presence::decode(payload).map_err(DeviceError::Malformed)? {
            Presence::Birth(birth) => {
                let device = self.device(device);
                device.incarnation = birth.device.incarnation;
                device.learn(birth.kinds.iter());
            }
            Presence::Kinds(kinds) => self.device(device).learn(kinds.iter()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The events of a message.
    ///
    /// # Errors
    ///
    /// The payload is no message of its topic, or of a kind that was not announced.
    pub fn decode(&self, topic: &str, payload: &[u8]) -> Result<Decoded, DeviceError> {
        let Some((Channel::Data, device)) = split(topic) else {
            return Err(DeviceError::NoEvents);
        };
        let unknown = DeviceKinds::default();
        self.devices.get(device).unwrap_or(&unknown).decode(payload)
    }

    /// What is known of each, for a checkpoint.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DeviceKinds)> {
        self.devices.iter().map(|(name, it)| (&**name, it))
    }

    /// Puts back what a checkpoint kept.
    pub fn recover(&mut self, device: &str, kinds: DeviceKinds) {
        *self.device(device) = kinds;
    }

    fn device(&mut self, name: &str) -> &mut DeviceKinds {
        if self.devices.len() >= MAX_DEVICES && !self.devices.contains_key(name) {
            self.devices.pop_first();
        }
        self.devices.entry(name.into()).or_default()
    }
}

/// A kind that cannot be what a device says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindConflict {
    /// The device announced this type and version with other fields before.
    #[error("kind {:02x}{:02x} has other fields than the same version had before: count the version up", .0[1], .0[0])]
    Changed([u8; 2]),
    /// The device announced another kind under this number before.
    #[error("kind {:02x}{:02x} has the number of another kind of this device", .0[1], .0[0])]
    Twin([u8; 2]),
    /// The device would have more than 255 kinds, or their tables would take more than 16 KiB.
    #[error("more than {MAX_KINDS} kinds, or than {MAX_KIND_BYTES} bytes of tables")]
    TooMany,
}

impl DeviceKinds {
    /// Takes an announced table; whether it was new. What is known stays as it is.
    ///
    /// # Errors
    ///
    /// It contradicts what is known.
    pub fn announce(&mut self, table: &Table<'_>) -> Result<bool, KindConflict> {
        self.add(table.id.0, Kind::of(table))
    }

    fn add(&mut self, id: [u8; 2], kind: Kind) -> Result<bool, KindConflict> {
        let is_named = |known: &Kind| known.is_named_as(&kind);
        match self.kinds.get(&id) {
            Some(known) if *known == kind => return Ok(false),
            Some(known) if is_named(known) => return Err(KindConflict::Changed(id)),
            Some(_) => return Err(KindConflict::Twin(id)),
            None if self.kinds.values().any(is_named) => return Err(KindConflict::Changed(id)),
            None if !self.has_room_for(&kind) => return Err(KindConflict::TooMany),
            None => {}
        }
        self.kinds.insert(id, kind);
        Ok(true)
    }

    fn has_room_for(&self, kind: &Kind) -> bool {
        let bytes: usize = self.kinds.values().map(Kind::bytes).sum();
        self.kinds.len() < MAX_KINDS && bytes + kind.bytes() <= MAX_KIND_BYTES
    }

    /// Takes all that is known in `other`.
    ///
    /// # Errors
    ///
    /// It contradicts what is known here.
    pub fn merge(&mut self, other: &DeviceKinds) -> Result<(), KindConflict> {
        for (id, kind) in &other.kinds {
            self.add(*id, kind.clone())?;
        }
        Ok(())
    }

    /// The CloudEvents `type` of a kind that was announced.
    pub fn event_type(&self, kind: KindId) -> Option<&str> {
        self.kinds.get(&kind.0).map(|known| &*known.event_type)
    }

    /// Type and version of each kind.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        let kinds = self.kinds.values();
        kinds.map(|kind| (&*kind.event_type, kind.version))
    }

    /// The version of a kind that was announced.
    pub fn version(&self, kind: KindId) -> Option<u16> {
        self.kinds.get(&kind.0).map(|known| known.version)
    }

    /// How many kinds there are.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The data of one event.
    ///
    /// # Errors
    ///
    /// The kind was not announced, or the data is not what it says.
    pub fn event(&self, kind: KindId, data: &[u8]) -> Result<Json, DeviceError> {
        let known = self.kinds.get(&kind.0);
        known.ok_or(DeviceError::UnknownKind(kind.0))?.data(data)
    }

    fn decode(&self, payload: &[u8]) -> Result<Decoded, DeviceError> {
        let envelope = Envelope::decode(payload).map_err(DeviceError::Malformed)?;
        let kind = envelope.head().kind;
        let known = self.kinds.get(&kind.0);
        let known = known.ok_or(DeviceError::UnknownKind(kind.0))?;
        let mut events = Vec::with_capacity(envelope.count());
        for event in envelope.events(self.incarnation) {
            let mut json = Map::new();
            json.insert("id".into(), event.id.to_string().into());
            json.insert("type".into(), (&*known.event_type).into());
            json.insert("uptime".into(), event.uptime_ms.into());
            json.insert("data".into(), known.data(event.data)?);
            events.push(Json::Object(json));
        }
        let json = Map::from_iter([("events".to_owned(), Json::Array(events))]);
        Ok(Json::Object(json).to_string().into_bytes().into())
    }

    fn learn<'a>(&mut self, tables: impl Iterator<Item = Table<'a>>) {
        for table in tables {
            let kind = Kind::of(&table);
            self.kinds.remove(&table.id.0);
            if self.has_room_for(&kind) {
                self.kinds.insert(table.id.0, kind);
            }
        }
    }
}

impl Kind {
    /// Memory that it takes, nearly.
    fn bytes(&self) -> usize {
        let names = self.fields.iter().map(|field| field.name.len());
        let fields = size_of::<KindField>() * self.fields.len();
        size_of::<Kind>() + self.event_type.len() + fields + names.sum::<usize>()
    }

    fn of(table: &Table<'_>) -> Kind {
        let fields = table.fields.iter().map(|it| KindField {
            name: it.name.into(),
            scalar: it.scalar as u8,
            shape: match it.shape {
                Shape::One => KindShape::One,
                Shape::Array(count) => KindShape::Array(count),
                Shape::UpTo(count) => KindShape::UpTo(count),
            },
        });
        Kind {
            event_type: table.event_type.into(),
            version: table.version,
            fields: fields.collect(),
        }
    }

    fn is_named_as(&self, other: &Kind) -> bool {
        self.event_type == other.event_type && self.version == other.version
    }

    fn data(&self, data: &[u8]) -> Result<Json, DeviceError> {
        let mut json = Map::new();
        let mut rest = data;
        for field in &self.fields {
            let field = field
                .wire()
                .ok_or(DeviceError::Malformed(WireError::Value))?;
            let (elements, behind) = take_field(&field, rest).map_err(DeviceError::Malformed)?;
            let mut elements = elements.map(shown);
            let is_one = field.scalar.is_run() || field.shape == Shape::One;
            let value = match is_one {
                true => elements.next().unwrap_or_default(),
                false => elements.collect(),
            };
            json.insert(field.name.to_owned(), value);
            rest = behind;
        }
        match rest {
            [] => Ok(Json::Object(json)),
            _ => Err(DeviceError::Malformed(WireError::Trailing)),
        }
    }
}

impl KindField {
    /// `None` if a checkpoint holds a type that there is not.
    fn wire(&self) -> Option<Field<'_>> {
        use Scalar::{Bool, Bytes, F32, F64, I8, I16, I32, I64, Text, U8, U16, U32, U64};
        const ALL: [Scalar; 13] = [
            Bool, U8, U16, U32, U64, I8, I16, I32, I64, F32, F64, Text, Bytes,
        ];
        Some(Field {
            name: &self.name,
            scalar: *ALL.get(usize::from(self.scalar))?,
            shape: match self.shape {
                KindShape::One => Shape::One,
                KindShape::Array(count) => Shape::Array(count),
                KindShape::UpTo(count) => Shape::UpTo(count),
            },
        })
    }
}

fn shown(value: Value<'_>) -> Json {
    match value {
        Value::Bool(it) => it.into(),
        Value::Unsigned(it) => it.into(),
        Value::Signed(it) => it.into(),
        Value::F32(it) => super::float_json(it),
        Value::F64(it) => it.into(),
        Value::Text(it) => it.into(),
        Value::Bytes(it) => STANDARD.encode(it).into(),
    }
}

/// The channel and the device of a topic, whatever prefix is in front of them.
fn split(topic: &str) -> Option<(Channel, &str)> {
    let id = topic.rfind('/')?;
    let channel = topic.get(..id)?.rfind('/').map_or(0, |it| it + 1);
    let (channel, _) = Prefix::NONE.split(topic.get(channel..)?)?;
    Some((channel, topic.get(id + 1..)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wire::{
        Mark, Stream, Versions,
        birth::{Device, encode_birth, encode_kinds},
        envelope::{BatchEncoder, Head, encode_event},
        kind::{self, Announced},
    };

    use super::*;

    const fn field(name: &'static str, scalar: Scalar, shape: Shape) -> Field<'static> {
        Field {
            name,
            scalar,
            shape,
        }
    }

    const READING: kind::Kind<'static> = kind::Kind {
        event_type: "pump.reading",
        version: 2,
        fields: &[
            field("celsius", Scalar::F32, Shape::One),
            field("bar", Scalar::U16, Shape::Array(2)),
            field("peaks", Scalar::I16, Shape::UpTo(3)),
            field("note", Scalar::Text, Shape::UpTo(32)),
            field("raw", Scalar::Bytes, Shape::UpTo(8)),
            field("on", Scalar::Bool, Shape::One),
            field("total", Scalar::U64, Shape::One),
        ],
    };
    const DATA: (f32, [u16; 2], &[i16], &str, &[u8], bool, u64) =
        (0.1, [3, 400], &[-1, 300], "é", &[255, 0], true, u64::MAX);

    fn birth(kinds: &[Announced<'_>]) -> Vec<u8> {
        let device = Device {
            versions: Versions::OURS,
            incarnation: 0x00c0_ffee,
            boot: 7,
            uptime_ms: 0,
            firmware: "1.4.2",
            configuration: 0,
            kinds: 1,
        };
        let mut bytes = [0; 512];
        let birth = encode_birth(&device, &[], &[], kinds, &mut bytes);
        birth.unwrap().to_vec()
    }

    fn head() -> Head {
        Head {
            incarnation: None,
            stream: Stream::new(3).unwrap(),
            mark: Mark { boot: 7, seq: 41 },
            uptime_ms: 1000,
            kind: READING.id(),
        }
    }

    fn event() -> Vec<u8> {
        let data = postcard::to_stdvec(&DATA).unwrap();
        let mut bytes = [0; 512];
        encode_event(&head(), &data, &mut bytes).unwrap().to_vec()
    }

    fn shown(devices: &Devices, payload: &[u8]) -> Result<Json, DeviceError> {
        let decoded = devices.decode("plant/d/pump-7", payload)?;
        Ok(serde_json::from_slice(decoded.json()).unwrap())
    }

    #[test]
    fn an_event_is_shown_by_the_table_of_its_birth() {
        let mut devices = Devices::default();
        let unknown = shown(&devices, &event()).unwrap_err();
        assert_eq!(unknown, DeviceError::UnknownKind(READING.id().0));
        devices
            .apply("plant/b/pump-7", &birth(&[Announced::new(READING)]))
            .unwrap();
        let data = json!({"celsius": 0.1, "bar": [3, 400], "peaks": [-1, 300], "note": "é", "raw": "/wA=", "on": true, "total": u64::MAX});
        let expected = json!({"events": [{"id": "00c0ffee00000007-3-41", "type": "pump.reading", "uptime": 1000, "data": data}]});
        assert_eq!(shown(&devices, &event()), Ok(expected));
    }

    #[test]
    fn a_kind_keeps_its_number_its_name_and_its_fields() {
        let table = |announced: Announced<'static>, then: &mut dyn FnMut(&Table<'_>)| {
            let bytes = birth(&[announced]);
            let Presence::Birth(birth) = Presence::decode(&bytes).unwrap() else {
                panic!("no birth");
            };
            birth.kinds.iter().for_each(|table| then(&table));
        };
        let mut kinds = DeviceKinds::default();
        let mut announce = |announced| {
            let mut result = None;
            table(announced, &mut |table| result = Some(kinds.announce(table)));
            result.unwrap()
        };
        let reading = Announced::new(READING);
        assert_eq!(announce(reading), Ok(true));
        assert_eq!(announce(reading), Ok(false));
        let fewer = kind::Kind {
            fields: &[],
            ..READING
        };
        let changed = announce(Announced::new(fewer));
        assert_eq!(changed, Err(KindConflict::Changed(fewer.id().0)));
        let later = kind::Kind {
            version: 3,
            ..fewer
        };
        let twin = Announced {
            id: reading.id,
            kind: later,
        };
        assert_eq!(announce(twin), Err(KindConflict::Twin(reading.id.0)));
        assert_eq!(announce(Announced::new(later)), Ok(true));
        assert_eq!(kinds.len(), 2);
        assert_eq!(kinds.event_type(reading.id), Some("pump.reading"));
    }

    #[test]
    fn kinds_that_come_beside_a_birth_belong_to_it_and_stay_known() {
        let mut devices = Devices::default();
        let mut bytes = [0; 512];
        let kinds = encode_kinds(&[Announced::new(READING)], &mut bytes)
            .unwrap()
            .to_vec();
        devices.apply("b/pump-7", &kinds).unwrap();
        devices.apply("b/pump-7", &birth(&[])).unwrap();
        let mut again = Devices::default();
        for (name, kinds) in devices.iter() {
            let stored = postcard::to_stdvec(kinds).unwrap();
            again.recover(name, postcard::from_bytes(&stored).unwrap());
        }
        assert_eq!(again, devices);
        let shown = shown(&again, &event()).unwrap();
        assert_eq!(shown["events"][0]["id"], "00c0ffee00000007-3-41");
    }

    #[test]
    fn a_batch_is_a_list_of_events() {
        let mut devices = Devices::default();
        devices
            .apply("b/pump-7", &birth(&[Announced::new(READING)]))
            .unwrap();
        let data = postcard::to_stdvec(&DATA).unwrap();
        let mut bytes = [0; 512];
        let mut batch = BatchEncoder::new(&head(), &mut bytes).unwrap();
        batch.push(1000, &data).unwrap();
        batch.push(1250, &data).unwrap();
        let shown = shown(&devices, batch.finish()).unwrap();
        let events = shown["events"].as_array().unwrap();
        let of = |it: &Json| (it["id"].clone(), it["uptime"].clone());
        let all: Vec<_> = events.iter().map(of).collect();
        assert_eq!(
            all,
            [
                (json!("00c0ffee00000007-3-41"), json!(1000)),
                (json!("00c0ffee00000007-3-42"), json!(1250))
            ]
        );
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let mut devices = Devices::default();
        devices
            .apply("b/pump-7", &birth(&[Announced::new(READING)]))
            .unwrap();
        for length in 0..event().len() {
            let cut = event().get(..length).unwrap().to_vec();
            assert!(
                matches!(shown(&devices, &cut), Err(DeviceError::Malformed(_))),
                "{length}"
            );
        }
        let long = [event(), vec![0]].concat();
        let error = shown(&devices, &long).unwrap_err();
        assert_eq!(error, DeviceError::Malformed(WireError::Trailing));
        let error = devices.apply("b/pump-7", &[0]).unwrap_err();
        assert!(matches!(error, DeviceError::Malformed(_)));
        assert_eq!(devices.apply("d/pump-7", &[0]), Ok(false));
        assert_eq!(
            devices.decode("b/pump-7", &event()),
            Err(DeviceError::NoEvents)
        );
    }
}
