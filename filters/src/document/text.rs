//! Lexing of JSON, eight bytes at a time.

/// Where a text ends whose first byte is at `start`: the place of its quote, and whether a backslash stands in it.
#[inline]
pub(super) fn text_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let at = next(bytes, start, |word| {
        zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES)
    })?;
    if bytes.get(at) == Some(&b'"') {
        return Some((at, false));
    }
    escaped_text_end(bytes, at).map(|at| (at, true))
}

#[cold]
fn escaped_text_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    while bytes.get(at) != Some(&b'"') {
        at = next(bytes, at + 2, |word| {
            zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES)
        })?;
    }
    Some(at)
}

/// Where the value ends that begins at `at`: the place behind it, which for what is neither text nor container is the next
/// comma or closing bracket.
#[inline]
pub(super) fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => text_end(bytes, at + 1).map(|it| it.0 + 1),
        b'{' | b'[' => container_end(bytes, at),
        b',' | b':' | b'}' | b']' => None,
        _ => Some(next(bytes, at, word_ends).unwrap_or(bytes.len())),
    }
}

fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut depth = 0_usize;
    loop {
        at = next(bytes, at, |word| {
            let brackets = word | BIT_5;
            zeros(word ^ QUOTES) | zeros(brackets ^ OPENING) | zeros(brackets ^ CLOSING)
        })?;
        match bytes.get(at)? {
            b'"' => at = text_end(bytes, at + 1)?.0,
            b'{' | b'[' => depth += 1,
            _ => depth -= 1,
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Behind the white space at `at`.
#[inline]
pub(super) fn space_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The first place from `at` on where `marks` finds something: the lowest bit that it sets is in the byte it means.
#[inline]
fn next(bytes: &[u8], mut at: usize, marks: impl Fn(u64) -> u64) -> Option<usize> {
    let mut rest = bytes.get(at..)?;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let found = marks(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        rest = behind;
    }
    // Filled up with a byte that nothing looks for.
    let mut last = [b' '; 8];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    let found = marks(u64::from_le_bytes(last));
    (found != 0).then(|| at + found.trailing_zeros() as usize / 8)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const BIT_5: u64 = ONES * 0x20;
const QUOTES: u64 = ONES * b'"' as u64;
const BACKSLASHES: u64 = ONES * b'\\' as u64;
const COMMAS: u64 = ONES * b',' as u64;
/// With bit 5 the square ones are the curly ones.
const OPENING: u64 = ONES * b'{' as u64;
const CLOSING: u64 = ONES * b'}' as u64;

fn word_ends(word: u64) -> u64 {
    zeros(word ^ COMMAS) | zeros((word | BIT_5) ^ CLOSING)
}

/// The high bit of each byte that is zero; bytes above the lowest of them may be wrong.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// Appends what a text with escapes says. Half of a surrogate pair, which is no character, becomes U+FFFD.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    loop {
        let plain = rest.iter().position(|it| *it == b'\\');
        let (before, escape) = rest.split_at(plain.unwrap_or(rest.len()));
        out.extend_from_slice(before);
        let [b'\\', kind, behind @ ..] = escape else {
            return escape.is_empty().then_some(());
        };
        rest = behind;
        let byte = match kind {
            b'"' | b'\\' | b'/' => *kind,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                rest = decode_unit(rest, out)?;
                continue;
            }
            _ => return None,
        };
        out.push(byte);
    }
}

/// Appends the character whose digits `text` begins with; gives back what follows it.
fn decode_unit<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (unit, mut rest) = unit(text)?;
    let mut code = unit;
    if (0xd800..0xdc00).contains(&unit)
        && let [b'\\', b'u', behind @ ..] = rest
        && let Some((low @ 0xdc00..0xe000, behind)) = self::unit(behind)
    {
        code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        rest = behind;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

fn unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16)?;
    }
    Some((code, rest))
}
