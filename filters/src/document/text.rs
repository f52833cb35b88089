/// Behind the white space at `at`.
#[inline]
pub(super) fn space_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
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
