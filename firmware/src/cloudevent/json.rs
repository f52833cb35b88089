//! The data of an event as JSON, by the table of its kind: an object with a member for each field. Floats that are none are
//! `null`, bytes are base64.

use wire::{
    List,
    kind::{Field, Shape},
    value::{Value, check, take_field},
};

use super::text::Text;

/// Why data is not shown as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    /// The table of its kind is gone.
    Kind,
    /// It is not what the table says.
    Data,
    /// The JSON would be too long.
    Long,
}

impl Invalid {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Invalid::Kind => "the device does not know its kind any more",
            Invalid::Data => "the data is not what its table says",
            Invalid::Long => "its JSON is longer than the device can send",
        }
    }
}

/// Writes the object, at most `most` bytes; nothing where it cannot be.
pub(super) fn put_data(
    fields: &List<'_, Field<'_>>,
    data: &[u8],
    text: &mut Text<'_>,
    most: usize,
) -> Result<(), Invalid> {
    check(fields.iter(), data).map_err(|_| Invalid::Data)?;
    let before = text.len();
    let mut rest = data;
    text.str("{");
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            text.str(",");
        }
        text.member(field.name);
        rest = put_field(&field, rest, text);
    }
    text.str("}");
    if text.is_full() || text.len().saturating_sub(before) > most {
        text.truncate(before);
        return Err(Invalid::Long);
    }
    Ok(())
}

/// Writes a field off the front of checked data: the rest.
fn put_field<'a>(field: &Field<'_>, data: &'a [u8], text: &mut Text<'_>) -> &'a [u8] {
    let Ok((elements, rest)) = take_field(field, data) else {
        return &[];
    };
    let is_one = field.scalar.is_run() || field.shape == Shape::One;
    if !is_one {
        text.str("[");
    }
    for (index, element) in elements.enumerate() {
        if index > 0 {
            text.str(",");
        }
        put_value(element, text);
    }
    if !is_one {
        text.str("]");
    }
    rest
}

fn put_value(value: Value<'_>, text: &mut Text<'_>) {
    match value {
        Value::Bool(it) => text.show(format_args!("{it}")),
        Value::Unsigned(it) => text.show(format_args!("{it}")),
        Value::Signed(it) => text.show(format_args!("{it}")),
        // The shortest digits that mean this number, and no other of its type.
        Value::F32(it) if it.is_finite() => text.show(format_args!("{it:?}")),
        Value::F64(it) if it.is_finite() => text.show(format_args!("{it:?}")),
        Value::F32(_) | Value::F64(_) => text.str("null"),
        Value::Text(it) => text.quoted(it),
        Value::Bytes(it) => text.base64(it),
    };
}
