//! Kinds of events and the tables that describe them, so that whoever has the table can read the data.
//! The bytes are specified in the crate's documentation.

use crate::{
    DecodeError, EncodeError, List, MAX_TEXT,
    list::{Item, put_count},
    reader::Reader,
    writer::Writer,
};

/// Names a kind of event, so that a record can outlive its firmware: [`Kind::id`], or any other number that a device
/// gives to one kind alone. The node takes it from the device's announcement and never computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindId(pub [u8; 2]);

impl Item<'_> for KindId {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array().map(KindId)
    }

    fn put(&self, writer: &mut Writer<'_>) {
        writer.raw(&self.0);
    }
}

/// What the data of an event is, as the device declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind<'a> {
    /// The CloudEvents `type`.
    pub event_type: &'a str,
    /// Counts up with every change of the fields.
    pub version: u16,
    /// The fields of the data, in the order of their encoding.
    pub fields: &'a [Field<'a>],
}

/// One field of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name in the event's JSON.
    pub name: &'a str,
    /// The type of one element.
    pub scalar: Scalar,
    /// How many elements there are.
    pub shape: Shape,
}

/// The types a field may have; their numbers on the wire are their places here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scalar {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    Text,
    Bytes,
}

impl Scalar {
    const ALL: [Scalar; 13] = {
        use Scalar::{Bool, Bytes, F32, F64, I8, I16, I32, I64, Text, U8, U16, U32, U64};
        [
            Bool, U8, U16, U32, U64, I8, I16, I32, I64, F32, F64, Text, Bytes,
        ]
    };

    /// Whether its elements are bytes of one value, which has a length in front.
    #[must_use]
    pub const fn is_run(self) -> bool {
        matches!(self, Scalar::Text | Scalar::Bytes)
    }
}

/// How many elements a field has; its number on the wire is its place here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    One,
    /// Exactly so many, one after the other.
    Array(u16),
    /// At most so many, with their count in front. The only shape of [`Scalar::Text`] and [`Scalar::Bytes`], in bytes.
    UpTo(u16),
}

impl Item<'_> for Shape {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Shape::One),
            1 => reader.varint16().map(Shape::Array),
            2 => reader.varint16().map(Shape::UpTo),
            _ => Err(DecodeError::Value),
        }
    }

    fn put(&self, writer: &mut Writer<'_>) {
        match self {
            Shape::One => writer.u8(0),
            Shape::Array(count) => writer.u8(1).varint(*count),
            Shape::UpTo(count) => writer.u8(2).varint(*count),
        };
    }
}

impl Field<'_> {
    const fn is_sound(&self) -> bool {
        !self.scalar.is_run() || matches!(self.shape, Shape::UpTo(_))
    }
}

impl<'a> Item<'a> for Field<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let name = reader.text(MAX_TEXT)?;
        let scalar = *Scalar::ALL
            .get(usize::from(reader.u8()?))
            .ok_or(DecodeError::Value)?;
        let field = Field {
            name,
            scalar,
            shape: Shape::take(reader)?,
        };
        if field.is_sound() {
            Ok(field)
        } else {
            Err(DecodeError::Value)
        }
    }

    fn put(&self, writer: &mut Writer<'_>) {
        if !self.is_sound() {
            writer.fail(EncodeError::Bound);
        }
        writer.text(self.name, MAX_TEXT).u8(self.scalar as u8);
        self.shape.put(writer);
    }
}

impl Kind<'_> {
    /// FNV-1a (32 bit) over type, 0, version (u16le) and for each field name, 0, scalar, shape, count (u16le, 1 for
    /// [`Shape::One`]); its halves xored.
    #[must_use]
    pub const fn id(&self) -> KindId {
        let mut hash = fnv(0x811c_9dc5, self.event_type.as_bytes());
        hash = fnv(fnv(hash, &[0]), &self.version.to_le_bytes());
        let mut fields = self.fields;
        while let [field, rest @ ..] = fields {
            let (shape, count) = match field.shape {
                Shape::One => (0, 1u16),
                Shape::Array(count) => (1, count),
                Shape::UpTo(count) => (2, count),
            };
            hash = fnv(
                fnv(hash, field.name.as_bytes()),
                &[0, field.scalar as u8, shape],
            );
            hash = fnv(hash, &count.to_le_bytes());
            fields = rest;
        }
        let [a, b, c, d] = hash.to_le_bytes();
        KindId([a ^ c, b ^ d])
    }
}

const fn fnv(mut hash: u32, mut bytes: &[u8]) -> u32 {
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        bytes = rest;
    }
    hash
}

/// A kind under the number its records carry, as a device announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced<'a> {
    /// What records of this kind carry.
    pub id: KindId,
    /// What it is.
    pub kind: Kind<'a>,
}

impl<'a> Announced<'a> {
    /// `kind` under its own number.
    #[must_use]
    pub const fn new(kind: Kind<'a>) -> Self {
        Announced {
            id: kind.id(),
            kind,
        }
    }

    fn put(&self, writer: &mut Writer<'_>) {
        self.id.put(writer);
        writer
            .text(self.kind.event_type, MAX_TEXT)
            .varint(self.kind.version);
        crate::list::put_list(writer, self.kind.fields);
    }
}

/// Writes how many kinds there are and each of them.
pub(crate) fn put_kinds(writer: &mut Writer<'_>, kinds: &[Announced<'_>]) {
    put_count(writer, kinds.len());
    for kind in kinds {
        kind.put(writer);
    }
}

/// An announced kind, read.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// What records of this kind carry.
    pub id: KindId,
    /// The CloudEvents `type`.
    pub event_type: &'a str,
    /// Counts up with every change of the fields.
    pub version: u16,
    /// The fields of the data, in the order of their encoding.
    pub fields: List<'a, Field<'a>>,
}

impl<'a> Item<'a> for Table<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Table {
            id: KindId::take(reader)?,
            event_type: reader.text(MAX_TEXT)?,
            version: reader.varint16()?,
            fields: List::take(reader)?,
        })
    }

    fn put(&self, writer: &mut Writer<'_>) {
        self.id.put(writer);
        writer.text(self.event_type, MAX_TEXT).varint(self.version);
        put_count(writer, self.fields.len());
        for field in self.fields.iter() {
            field.put(writer);
        }
    }
}

/// Refuses a list in which two kinds share a number.
pub(crate) fn check_ids(kinds: &List<'_, Table<'_>>) -> Result<(), DecodeError> {
    let twins = kinds.iter().enumerate().any(|(index, kind)| {
        kinds
            .iter()
            .take(index)
            .any(|earlier| earlier.id == kind.id)
    });
    if twins {
        Err(DecodeError::Count)
    } else {
        Ok(())
    }
}
