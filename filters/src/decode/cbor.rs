//! CBOR as JSON, after RFC 8949 §6.1.
//!
//! | CBOR | JSON |
//! |---|---|
//! | integers, bignums (tags 2, 3), decimal fractions (tag 4) | numbers, exact |
//! | floats | numbers; NaN and infinities `null` |
//! | text | strings |
//! | bytes | strings: base64url without padding; base64 or base16 under tags 22 and 23 |
//! | epoch times (tag 1) | strings: RFC 3339 in UTC, with milliseconds |
//! | arrays, maps | arrays, objects; integer keys as decimal text, keys that are neither text nor integer are refused |
//! | false, true, null | the same |
//! | undefined, other simple values | `null` |
//! | encoded CBOR (tag 24) | what it encodes |
//! | any other tag | what it tags |

mod item;
mod number;
#[cfg(test)]
mod tests;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use crate::timestamp_text;
use item::{Head, Reader};

/// How deep arrays, maps, tags and encoded CBOR may stand in each other.
const MAX_DEPTH: usize = 64;

/// Bytes that are not one item of CBOR, or one that JSON has no form for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CBOR at byte {at}: {problem}")]
pub struct CborError {
    /// Where the item begins, counted in the innermost encoded CBOR.
    pub at: usize,
    /// What is wrong with it.
    pub problem: CborProblem,
}

/// What is wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborProblem {
    /// More bytes were announced than there are.
    #[error("it ends early")]
    Truncated,
    /// There is a second item behind the first.
    #[error("bytes are left over")]
    LeftOver,
    /// A first byte that RFC 8949 gives no meaning, or a break, or a chunk, where none may stand.
    #[error("this cannot stand here")]
    Malformed,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A key that is neither text nor an integer.
    #[error("a key of a map is neither text nor an integer")]
    Key,
    /// Deeper than 64.
    #[error("more than {MAX_DEPTH} levels")]
    TooDeep,
    /// What a tag holds is not what the tag is for.
    #[error("a tag holds what it is not for")]
    Tag,
    /// A number of more than 2,048 bits, or an exponent of more than 32.
    #[error("a number is too large")]
    TooLarge,
}

/// The JSON text of one item of CBOR.
///
/// The text has at most about 6 bytes for each byte of the item. Takes time in proportion to the bytes, save for bignums, whose length is bounded.
///
/// ```
/// let json = filters::decode::cbor_to_json(&[0xA1, 0x01, 0xF9, 0x3C, 0x00]).unwrap();
/// assert_eq!(json, br#"{"1":1.0}"#);
/// ```
///
/// # Errors
///
/// The bytes are not one item, or JSON has no form for it.
pub fn cbor_to_json(bytes: &[u8]) -> Result<Vec<u8>, CborError> {
    let mut json = Vec::with_capacity(bytes.len() * 2);
    transcode_whole(bytes, &mut json, MAX_DEPTH, BytesAs::Base64Url)?;
    Ok(json)
}

/// How a string of bytes is written, as the nearest tag around it says.
#[derive(Clone, Copy)]
enum BytesAs {
    Base64Url,
    Base64,
    Base16,
}

fn transcode_whole(
    bytes: &[u8],
    json: &mut Vec<u8>,
    depth: usize,
    bytes_as: BytesAs,
) -> Result<(), CborError> {
    let mut reader = Reader::new(bytes);
    item(&mut reader, json, depth, bytes_as)?;
    reader.finish()
}

fn item(
    reader: &mut Reader<'_>,
    json: &mut Vec<u8>,
    depth: usize,
    bytes_as: BytesAs,
) -> Result<(), CborError> {
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| reader.error(CborProblem::TooDeep))?;
    match reader.head()? {
        Head::Unsigned(value) => put(json, value),
        Head::Negative(value) => put(json, -1 - i128::from(value)),
        Head::Bytes(length) => {
            let bytes = reader.bytes(length)?;
            put_bytes(json, &bytes, bytes_as);
        }
        Head::Text(length) => put_text(json, &reader.text(length)?),
        Head::Array(length) => list(reader, json, length, *b"[]", |reader, json| {
            item(reader, json, depth, bytes_as)
        })?,
        Head::Map(length) => list(reader, json, length, *b"{}", |reader, json| {
            key(reader, json)?;
            json.push(b':');
            item(reader, json, depth, bytes_as)
        })?,
        Head::Tag(tag) => tagged(reader, json, tag, depth, bytes_as)?,
        Head::Bool(value) => put(json, value),
        Head::Null => json.extend_from_slice(b"null"),
        Head::Float(value) => number::put_float(json, value),
        Head::Break => return Err(reader.error(CborProblem::Malformed)),
    }
    Ok(())
}

/// The items of an array or the entries of a map, each put by `put_next`, between brackets.
fn list(
    reader: &mut Reader<'_>,
    json: &mut Vec<u8>,
    length: Option<u64>,
    [open, close]: [u8; 2],
    mut put_next: impl FnMut(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), CborError>,
) -> Result<(), CborError> {
    json.push(open);
    let mut index = 0;
    while reader.has_more(length, index)? {
        if index > 0 {
            json.push(b',');
        }
        put_next(reader, json)?;
        index += 1;
    }
    json.push(close);
    Ok(())
}

fn key(reader: &mut Reader<'_>, json: &mut Vec<u8>) -> Result<(), CborError> {
    match reader.head()? {
        Head::Text(length) => put_text(json, &reader.text(length)?),
        Head::Unsigned(value) => put_text(json, &value.to_string()),
        Head::Negative(value) => put_text(json, &(-1 - i128::from(value)).to_string()),
        _ => return Err(reader.error(CborProblem::Key)),
    }
    Ok(())
}

fn tagged(
    reader: &mut Reader<'_>,
    json: &mut Vec<u8>,
    tag: u64,
    depth: usize,
    bytes_as: BytesAs,
) -> Result<(), CborError> {
    match tag {
        1 => epoch(reader, json),
        2 | 3 => {
            let bytes = tagged_bytes(reader)?;
            let done = number::put_bignum(json, &bytes, tag == 3);
            done.map_err(|problem| reader.error(problem))
        }
        4 => decimal_fraction(reader, json),
        21 => item(reader, json, depth, BytesAs::Base64Url),
        22 => item(reader, json, depth, BytesAs::Base64),
        23 => item(reader, json, depth, BytesAs::Base16),
        24 => transcode_whole(&tagged_bytes(reader)?, json, depth, bytes_as),
        _ => item(reader, json, depth, bytes_as),
    }
}

fn tagged_bytes(reader: &mut Reader<'_>) -> Result<Vec<u8>, CborError> {
    match reader.head()? {
        Head::Bytes(length) => reader.bytes(length),
        _ => Err(reader.error(CborProblem::Tag)),
    }
}

/// Times before 1970 and times that no calendar of four digits has are written as numbers of seconds.
fn epoch(reader: &mut Reader<'_>, json: &mut Vec<u8>) -> Result<(), CborError> {
    const FIRST_OF_10000: f64 = 253_402_300_800.0;
    let seconds = match reader.head()? {
        Head::Unsigned(value) if (value as f64) < FIRST_OF_10000 => {
            put_text(json, &timestamp_text(value * 1000));
            return Ok(());
        }
        Head::Unsigned(value) => {
            put(json, value);
            return Ok(());
        }
        Head::Negative(value) => {
            put(json, -1 - i128::from(value));
            return Ok(());
        }
        Head::Float(value) => value,
        _ => return Err(reader.error(CborProblem::Tag)),
    };
    if (0.0..FIRST_OF_10000).contains(&seconds) {
        put_text(json, &timestamp_text((seconds * 1000.0).round() as u64));
    } else {
        number::put_float(json, seconds);
    }
    Ok(())
}

fn decimal_fraction(reader: &mut Reader<'_>, json: &mut Vec<u8>) -> Result<(), CborError> {
    if !matches!(reader.head()?, Head::Array(Some(2))) {
        return Err(reader.error(CborProblem::Tag));
    }
    let exponent = match reader.head()? {
        Head::Unsigned(value) => i32::try_from(value).ok(),
        Head::Negative(value) => i32::try_from(value).ok().map(|it| -1 - it),
        _ => return Err(reader.error(CborProblem::Tag)),
    };
    let exponent = exponent.ok_or_else(|| reader.error(CborProblem::TooLarge))?;
    match reader.head()? {
        Head::Unsigned(value) => put(json, value),
        Head::Negative(value) => put(json, -1 - i128::from(value)),
        Head::Tag(tag @ (2 | 3)) => {
            let bytes = tagged_bytes(reader)?;
            number::put_bignum(json, &bytes, tag == 3).map_err(|it| reader.error(it))?;
        }
        _ => return Err(reader.error(CborProblem::Tag)),
    }
    json.push(b'e');
    put(json, exponent);
    Ok(())
}

fn put(json: &mut Vec<u8>, value: impl std::fmt::Display) {
    json.extend_from_slice(value.to_string().as_bytes());
}

fn put_text(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("text is written to memory");
}

fn put_bytes(json: &mut Vec<u8>, bytes: &[u8], bytes_as: BytesAs) {
    let text = match bytes_as {
        BytesAs::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
        BytesAs::Base64 => STANDARD.encode(bytes),
        BytesAs::Base16 => bytes.iter().map(|it| format!("{it:02X}")).collect(),
    };
    put_text(json, &text);
}
