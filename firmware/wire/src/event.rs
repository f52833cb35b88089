//! Structs that are kinds: `#[derive(Event)]` makes the table of one and reads and writes its data, the same in firmware
//! and in whoever consumes the events.

use crate::{
    DecodeError, EncodeError, MAX_DATA,
    kind::{Kind, Scalar, Shape},
    reader::Reader,
    writer::Writer,
};

/// What is published as an event. Derived; see `event_derive`.
pub trait Event: Sized {
    /// Type, version and fields.
    const KIND: Kind<'static>;

    /// Writes the data; the part of `into` that holds it.
    ///
    /// # Errors
    ///
    /// `into` is too small, or the data longer than [`MAX_DATA`].
    fn encode<'b>(&self, into: &'b mut [u8]) -> Result<&'b [u8], EncodeError>;

    /// Reads the data.
    ///
    /// # Errors
    ///
    /// It is not what [`Event::KIND`] says.
    fn decode(data: &[u8]) -> Result<Self, DecodeError>;
}

/// Writes the fields of an event one after the other.
#[derive(Debug)]
pub struct DataWriter<'b>(Writer<'b>);

impl<'b> DataWriter<'b> {
    /// Into a buffer of the caller's.
    #[must_use]
    pub fn new(into: &'b mut [u8]) -> Self {
        DataWriter(Writer::new(into))
    }

    /// The data, or the first error.
    ///
    /// # Errors
    ///
    /// The buffer is too small, or the data longer than [`MAX_DATA`].
    pub fn finish(self) -> Result<&'b [u8], EncodeError> {
        let data = self.0.finish()?;
        if data.len() > MAX_DATA {
            Err(EncodeError::Bound)
        } else {
            Ok(data)
        }
    }
}

/// Reads the fields of an event one after the other.
#[derive(Debug)]
pub struct DataReader<'a>(Reader<'a>);

impl<'a> DataReader<'a> {
    /// From the data of an event.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        DataReader(Reader::new(data))
    }

    /// Refuses what follows the last field.
    ///
    /// # Errors
    ///
    /// There is more.
    pub fn end(self) -> Result<(), DecodeError> {
        self.0.end()
    }
}

/// A type a field of an event may have: a number, an array of them, or, with the feature `heapless`, a bounded vector of
/// them or a bounded text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an event",
    note = "bool, integers, floats, arrays of them, `heapless::Vec` of them and `heapless::String` can"
)]
pub trait FieldType: Sized {
    /// The type of one element.
    const SCALAR: Scalar;
    /// How many there are.
    const SHAPE: Shape;

    /// Writes it.
    fn put(&self, data: &mut DataWriter<'_>);

    /// Reads it.
    ///
    /// # Errors
    ///
    /// The data is not of this type.
    fn take(data: &mut DataReader<'_>) -> Result<Self, DecodeError>;
}

/// A type that can be an element of an array.
pub trait Element: FieldType + Copy {}

macro_rules! elements {
    ($($type:ty, $scalar:ident, |$value:ident, $writer:ident| $put:expr, |$reader:ident| $take:expr;)*) => {
        $(
            impl FieldType for $type {
                const SCALAR: Scalar = Scalar::$scalar;
                const SHAPE: Shape = Shape::One;

                fn put(&self, data: &mut DataWriter<'_>) {
                    let ($value, $writer) = (*self, &mut data.0);
                    $put;
                }

                fn take(data: &mut DataReader<'_>) -> Result<Self, DecodeError> {
                    let $reader = &mut data.0;
                    $take
                }
            }

            impl Element for $type {}
        )*
    };
}

elements! {
    bool, Bool, |value, writer| writer.u8(value.into()), |reader| match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Value),
    };
    u8, U8, |value, writer| writer.u8(value), |reader| reader.u8();
    u16, U16, |value, writer| writer.varint(value), |reader| reader.varint16();
    u32, U32, |value, writer| writer.varint(value), |reader| reader.varint32();
    u64, U64, |value, writer| writer.varint(value), |reader| reader.varint64();
    i8, I8, |value, writer| writer.u8(value.cast_unsigned()), |reader| reader.u8().map(u8::cast_signed);
    i16, I16, |value, writer| writer.varint(zigzag(value.into())), |reader| narrow(reader.signed(16)?);
    i32, I32, |value, writer| writer.varint(zigzag(value.into())), |reader| narrow(reader.signed(32)?);
    i64, I64, |value, writer| writer.varint(zigzag(value)), |reader| reader.signed(64);
    f32, F32, |value, writer| writer.raw(&value.to_le_bytes()), |reader| reader.array().map(f32::from_le_bytes);
    f64, F64, |value, writer| writer.raw(&value.to_le_bytes()), |reader| reader.array().map(f64::from_le_bytes);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, DecodeError> {
    T::try_from(value).map_err(|_| DecodeError::Value)
}

/// A bound as a table has it.
const fn bound(count: usize) -> u16 {
    assert!(
        count <= u16::MAX as usize,
        "a field has at most 65,535 elements"
    );
    count as u16
}

impl<T: Element, const N: usize> FieldType for [T; N] {
    const SCALAR: Scalar = T::SCALAR;
    const SHAPE: Shape = Shape::Array(bound(N));

    fn put(&self, data: &mut DataWriter<'_>) {
        for element in self {
            element.put(data);
        }
    }

    fn take(data: &mut DataReader<'_>) -> Result<Self, DecodeError> {
        // Without a value to begin with, the array is made from the first element on.
        let mut error = None;
        let elements = core::array::from_fn(|_| match error {
            None => T::take(data).map_err(|first| error = Some(first)).ok(),
            Some(_) => None,
        });
        match error {
            Some(error) => Err(error),
            None => Ok(elements.map(|element: Option<T>| element.expect("there was no error"))),
        }
    }
}

#[cfg(feature = "heapless")]
impl<T: Element, const N: usize> FieldType for heapless::Vec<T, N> {
    const SCALAR: Scalar = T::SCALAR;
    const SHAPE: Shape = Shape::UpTo(bound(N));

    fn put(&self, data: &mut DataWriter<'_>) {
        data.0.length(self.len(), N);
        for element in self {
            element.put(data);
        }
    }

    fn take(data: &mut DataReader<'_>) -> Result<Self, DecodeError> {
        let count = data.0.varint32()?;
        let mut elements = heapless::Vec::new();
        for _ in 0..count {
            elements
                .push(T::take(data)?)
                .map_err(|_| DecodeError::Bound)?;
        }
        Ok(elements)
    }
}

#[cfg(feature = "heapless")]
impl<const N: usize> FieldType for heapless::String<N> {
    const SCALAR: Scalar = Scalar::Text;
    const SHAPE: Shape = Shape::UpTo(bound(N));

    fn put(&self, data: &mut DataWriter<'_>) {
        data.0.text(self, N);
    }

    fn take(data: &mut DataReader<'_>) -> Result<Self, DecodeError> {
        heapless::String::try_from(data.0.text(N)?).map_err(|_| DecodeError::Bound)
    }
}
