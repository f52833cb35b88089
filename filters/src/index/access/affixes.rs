use crate::{paths::as_u32, span::Span};

/// Texts of which all that a value begins with are found by one binary search and a walk over those that match; for endings,
/// texts and values are turned around.
#[derive(Clone, Debug, Default)]
pub(crate) struct Affixes {
    /// In order of their bytes.
    affixes: Vec<Affix>,
    bytes: Vec<u8>,
    entries: Vec<u32>,
    longest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Affix {
    /// The first bytes, as a number in the order of the texts.
    head: u64,
    text: Span,
    /// The longest other one that this one begins with.
    shorter: u32,
    entries: Span,
}

const NONE: u32 = u32::MAX;

impl Affixes {
    /// Of pairs of text and entry.
    pub(crate) fn new(mut pairs: Vec<(Vec<u8>, u32)>) -> Affixes {
        pairs.sort_unstable();
        pairs.dedup();
        let mut all = Affixes::default();
        for (text, entry) in pairs {
            all.push(&text, entry);
        }
        all.affixes.shrink_to_fit();
        all.bytes.shrink_to_fit();
        all.entries.shrink_to_fit();
        all
    }

    fn push(&mut self, text: &[u8], entry: u32) {
        let last = self.affixes.last_mut();
        if let Some(last) = last.filter(|it| it.text.of(&self.bytes) == text) {
            last.entries.len += 1;
            self.entries.push(entry);
            return;
        }
        let mut shorter = as_u32(self.affixes.len()).wrapping_sub(1);
        while let Some(affix) = self.affixes.get(shorter as usize) {
            if text.starts_with(affix.text.of(&self.bytes)) {
                break;
            }
            shorter = affix.shorter;
        }
        self.affixes.push(Affix {
            head: head(text),
            text: Span {
                start: as_u32(self.bytes.len()),
                len: as_u32(text.len()),
            },
            shorter,
            entries: Span {
                start: as_u32(self.entries.len()),
                len: 1,
            },
        });
        self.bytes.extend_from_slice(text);
        self.entries.push(entry);
        self.longest = self.longest.max(text.len());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.affixes.is_empty()
    }

    /// Bytes of a value that matter.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Shows the entries of every text that `value` begins with.
    pub(crate) fn find(&self, value: &[u8], out: &mut Vec<u32>) {
        let value_head = head(value);
        let behind = self.affixes.partition_point(|it| {
            it.head < value_head || it.head == value_head && it.text.of(&self.bytes) <= value
        });
        let Some(mut at) = behind.checked_sub(1) else {
            return;
        };
        let mut common = None;
        while let Some(affix) = self.affixes.get(at) {
            let shared = *common.get_or_insert_with(|| shared(affix.text.of(&self.bytes), value));
            if affix.text.len as usize <= shared {
                out.extend_from_slice(affix.entries.of(&self.entries));
            }
            if affix.shorter == NONE {
                break;
            }
            at = affix.shorter as usize;
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.affixes.capacity() * size_of::<Affix>()
            + self.bytes.capacity()
            + self.entries.capacity() * 4
    }
}

fn head(text: &[u8]) -> u64 {
    if let Some(chunk) = text.first_chunk::<8>() {
        return u64::from_be_bytes(*chunk);
    }
    let value = text
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    if text.is_empty() {
        0
    } else {
        value << (64 - 8 * text.len())
    }
}

/// Bytes that both begin with.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}
