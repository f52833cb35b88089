//! Where the quotes, commas and brackets of a JSON text are, found 64 bytes at a time and before anything is read, so that
//! reading it goes from mark to mark.

use wide::u8x16;

/// The marks of one text: the quotes around texts, and outside of them `{ } [ ]` and `,`.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// A bit for each of 64 bytes.
    blocks: Vec<u64>,
    has_backslash: bool,
}

/// Goes from one mark to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    blocks: &'a [u64],
    /// Where the block begins whose marks `bits` are, as far as they were not passed.
    start: usize,
    bits: u64,
}

const BLOCK: usize = 64;

impl Marks {
    /// Finds the marks of `bytes`. False where a text does not end.
    pub(super) fn find(&mut self, bytes: &[u8]) -> bool {
        self.blocks.clear();
        self.has_backslash = false;
        let mut carry = Carry::default();
        let (chunks, rest) = bytes.as_chunks::<BLOCK>();
        for chunk in chunks {
            self.push(chunk, &mut carry);
        }
        if !rest.is_empty() {
            let mut last = [b' '; BLOCK];
            last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
            self.push(&last, &mut carry);
        }
        carry.in_text == 0
    }

    fn push(&mut self, bytes: &[u8; BLOCK], carry: &mut Carry) {
        let found = Found::of(bytes);
        let mut quotes = found.quotes;
        if found.backslashes != 0 || carry.is_escaped {
            self.has_backslash = true;
            quotes &= !carry.escaped(found.backslashes);
        }
        let in_texts = toggled(quotes) ^ carry.in_text;
        // All ones where a text goes on into the next block.
        carry.in_text = 0_u64.wrapping_sub(in_texts >> 63);
        self.blocks.push(quotes | found.others & !in_texts);
    }

    /// Whether any text may have an escape.
    pub(super) fn has_backslash(&self) -> bool {
        self.has_backslash
    }

    pub(super) fn cursor(&self) -> Cursor<'_> {
        let (bits, blocks) = self.blocks.split_first().unwrap_or((&0, &[]));
        Cursor {
            blocks,
            start: 0,
            bits: *bits,
        }
    }

    pub(super) fn trim(&mut self, kept: usize) {
        self.blocks.clear();
        self.blocks.shrink_to(kept);
    }
}

impl Cursor<'_> {
    /// The next mark, which is passed.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        let at = self.peek()?;
        self.bits &= self.bits - 1;
        Some(at)
    }

    /// The next mark.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<usize> {
        while self.bits == 0 {
            let (bits, blocks) = self.blocks.split_first()?;
            self.bits = *bits;
            self.blocks = blocks;
            self.start += BLOCK;
        }
        Some(self.start + self.bits.trailing_zeros() as usize)
    }
}

/// What one block says about the next.
#[derive(Debug, Default)]
struct Carry {
    /// All ones in a text.
    in_text: u64,
    /// Whether a backslash stands before it that escapes its first byte.
    is_escaped: bool,
}

impl Carry {
    /// The bytes that a backslash escapes.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let mut escaped = u64::from(self.is_escaped);
        let mut rest = backslashes & !escaped;
        self.is_escaped = false;
        while rest != 0 {
            let at = rest.trailing_zeros();
            self.is_escaped = at == 63;
            let next = 2_u64.checked_shl(at).unwrap_or_default();
            escaped |= next;
            rest &= rest - 1;
            rest &= !next;
        }
        escaped
    }
}

struct Found {
    quotes: u64,
    backslashes: u64,
    /// Brackets and commas.
    others: u64,
}

impl Found {
    #[inline]
    fn of(bytes: &[u8; BLOCK]) -> Found {
        let mut found = Found {
            quotes: 0,
            backslashes: 0,
            others: 0,
        };
        let (parts, _) = bytes.as_chunks::<16>();
        for (part, shift) in parts.iter().zip([0, 16, 32, 48]) {
            let part = u8x16::new(*part);
            let is = |byte: u8| part.simd_eq(u8x16::splat(byte));
            // With bit 5 the square brackets are the curly ones.
            let curly = part | u8x16::splat(0x20);
            let opening = curly.simd_eq(u8x16::splat(b'{'));
            let closing = curly.simd_eq(u8x16::splat(b'}'));
            let bits = |mask: u8x16| u64::from(mask.to_bitmask()) << shift;
            found.quotes |= bits(is(b'"'));
            found.backslashes |= bits(is(b'\\'));
            found.others |= bits(opening | closing | is(b','));
        }
        found
    }
}

/// The bits from each odd one of `bits` to the next even one: what is between quotes, the first of each pair with it.
fn toggled(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests;
