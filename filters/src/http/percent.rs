//! Header values, section 3.1.3.2 of the binding.

/// Space, quote, percent and all outside printable ASCII as `%XX` of their UTF-8.
pub(super) fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' | ..=b' ' | 0x7f.. => {
                out.push('%');
                out.extend([byte >> 4, byte & 0xf].map(hex));
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

/// Unquotes a quoted string, then decodes each `%XX` once; a `%` without two digits stands for itself. `None`: not UTF-8.
pub(super) fn decode(value: &[u8]) -> Option<String> {
    let value = unquoted(value.trim_ascii());
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_slice();
    while let Some((&byte, tail)) = rest.split_first() {
        let (decoded, tail) = match tail {
            [high, low, tail @ ..]
                if byte == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (digit(*high) << 4 | digit(*low), tail)
            }
            _ => (byte, tail),
        };
        out.push(decoded);
        rest = tail;
    }
    String::from_utf8(out).ok()
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let [b'"', inner @ .., b'"'] = value else {
        return value.to_vec();
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        let escaped = if byte == b'\\' { bytes.next() } else { None };
        out.push(*escaped.unwrap_or(&byte));
    }
    out
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}
