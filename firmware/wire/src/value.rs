//! The data of an event, read by the table of its kind.
//!
//! ```text
//! field     One: element      Array(n): n × element      UpTo(n): count varint (≤ n) · count × element
//! element   bool u8 (0, 1) · u8, i8 one byte · u16–u64 varint · i16–i64 zigzag varint · f32, f64 little endian
//! Text, Bytes   length varint (≤ n) · bytes
//! ```
//!
//! This is postcard's encoding of a struct with the same fields, arrays as `[T; n]`, `UpTo` as a vector or string.

use crate::{
    DecodeError,
    kind::{Field, Scalar, Shape},
    reader::Reader,
};

/// One element of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value<'a> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// The elements of one field. They were walked when the field was taken, so reading them cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    scalar: Scalar,
    left: u16,
    reader: Reader<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        element(&mut self.reader, self.scalar).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Elements<'_> {}

/// Takes a field off the front of the data: its elements (a text or bytes are one) and the rest.
///
/// # Errors
///
/// The data is not what the field says.
pub fn take_field<'a>(
    field: &Field<'_>,
    data: &'a [u8],
) -> Result<(Elements<'a>, &'a [u8]), DecodeError> {
    let mut reader = Reader::new(data);
    let left = match field.shape {
        Shape::One => 1,
        Shape::Array(count) => count,
        Shape::UpTo(most) if field.scalar.is_run() => {
            reader.bytes(usize::from(most))?;
            reader = Reader::new(data);
            1
        }
        Shape::UpTo(most) => {
            let count = reader.varint32()?;
            let count = u16::try_from(count).map_err(|_| DecodeError::Bound)?;
            if count > most {
                return Err(DecodeError::Bound);
            }
            count
        }
    };
    let elements = Elements {
        scalar: field.scalar,
        left,
        reader,
    };
    for _ in 0..left {
        element(&mut reader, field.scalar)?;
    }
    Ok((elements, reader.rest()))
}

/// Whether `data` is exactly what `fields` say.
///
/// # Errors
///
/// The first difference.
pub fn check<'f>(
    fields: impl IntoIterator<Item = Field<'f>>,
    data: &[u8],
) -> Result<(), DecodeError> {
    let mut rest = data;
    for field in fields {
        (_, rest) = take_field(&field, rest)?;
    }
    Reader::new(rest).end()
}

fn element<'a>(reader: &mut Reader<'a>, scalar: Scalar) -> Result<Value<'a>, DecodeError> {
    Ok(match scalar {
        Scalar::Bool => match reader.u8()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err(DecodeError::Value),
        },
        Scalar::U8 => Value::Unsigned(reader.u8()?.into()),
        Scalar::U16 => Value::Unsigned(reader.varint16()?.into()),
        Scalar::U32 => Value::Unsigned(reader.varint32()?.into()),
        Scalar::U64 => Value::Unsigned(reader.varint64()?),
        Scalar::I8 => Value::Signed(reader.u8()?.cast_signed().into()),
        Scalar::I16 => Value::Signed(reader.signed(16)?),
        Scalar::I32 => Value::Signed(reader.signed(32)?),
        Scalar::I64 => Value::Signed(reader.signed(64)?),
        Scalar::F32 => Value::F32(f32::from_le_bytes(reader.array()?)),
        Scalar::F64 => Value::F64(f64::from_le_bytes(reader.array()?)),
        Scalar::Text => Value::Text(reader.text(usize::from(u16::MAX))?),
        Scalar::Bytes => Value::Bytes(reader.bytes(usize::from(u16::MAX))?),
    })
}
