//! Questions and answers on their pipes.

use std::io::{self, Read, Write};

use super::{MAX_MADE_BYTES, Outcome};

const MADE: u8 = 0;
const NO_PROGRAM: u8 = 1;
const ERROR: u8 = 2;
const TOO_MUCH: u8 = 3;
const NO_JSON: u8 = 4;

const TAKEN: u8 = 5;

/// Bytes of what a program says of its errors.
const MAX_WORDS: usize = 1024;

pub(super) fn ask(to: &mut impl Write, program: &[u8], event: &[u8]) -> io::Result<()> {
    for part in [program, event] {
        to.write_all(&length(part)?)?;
    }
    to.write_all(program)?;
    to.write_all(event)?;
    to.flush()
}

/// Of a question.
pub(super) fn lengths(bytes: [u8; 8]) -> [usize; 2] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [[a, b, c, d], [e, f, g, h]].map(|it| u32::from_le_bytes(it) as usize)
}

/// So many bytes, if they are within the bound.
pub(super) fn bytes(from: &mut impl Read, count: usize, bound: usize) -> io::Result<Vec<u8>> {
    if count > bound {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Says that the question is here, before it is worked on.
pub(super) fn write_taken(to: &mut impl Write) -> io::Result<()> {
    to.write_all(&[TAKEN])?;
    to.flush()
}

pub(super) fn read_taken(from: &mut impl Read) -> io::Result<()> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    match kind {
        [TAKEN] => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Answers. Values are written without line ends: each is a line.
pub(super) fn write(to: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let words = |text: &String| text.bytes().take(MAX_WORDS).collect();
    let (kind, body): (u8, Vec<u8>) = match outcome {
        Outcome::Made(values) => (MADE, values.join(&b'\n')),
        Outcome::NoProgram(why) => (NO_PROGRAM, words(why)),
        Outcome::Error(why) => (ERROR, words(why)),
        Outcome::TooMuch => (TOO_MUCH, Vec::new()),
        Outcome::NoJson | Outcome::Killed(_) => (NO_JSON, Vec::new()),
    };
    to.write_all(&[kind])?;
    to.write_all(&length(&body)?)?;
    to.write_all(&body)?;
    to.flush()
}

pub(super) fn read(from: &mut impl Read) -> io::Result<Outcome> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [kind, a, b, c, d] = head;
    let count = u32::from_le_bytes([a, b, c, d]) as usize;
    let body = bytes(from, count, MAX_MADE_BYTES + super::MAX_MADE)?;
    let words = |body: Vec<u8>| String::from_utf8_lossy(&body).into_owned();
    Ok(match kind {
        MADE if body.is_empty() => Outcome::Made(Vec::new()),
        MADE => Outcome::Made(body.split(|it| *it == b'\n').map(<[u8]>::to_vec).collect()),
        NO_PROGRAM => Outcome::NoProgram(words(body)),
        ERROR => Outcome::Error(words(body)),
        TOO_MUCH => Outcome::TooMuch,
        _ => Outcome::NoJson,
    })
}

fn length(part: &[u8]) -> io::Result<[u8; 4]> {
    let length = u32::try_from(part.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(length.to_le_bytes())
}
