use aho_corasick::AhoCorasick;

use crate::{paths::as_u32, span::Span};

/// Texts of which all that stand somewhere in a value are found by one pass over the value.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    automaton: AhoCorasick,
    /// By pattern of the automaton.
    spans: Vec<Span>,
    entries: Vec<u32>,
}

impl Runs {
    /// Of pairs of text and entry; `None` where there are none, or too many or too long ones for one automaton.
    pub(crate) fn new(pairs: &mut Vec<(Vec<u8>, u32)>) -> Option<Runs> {
        if pairs.is_empty() {
            return None;
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut texts: Vec<&[u8]> = Vec::new();
        let mut spans: Vec<Span> = Vec::new();
        for (index, (text, _)) in pairs.iter().enumerate() {
            if texts.last() == Some(&&**text) {
                spans.last_mut()?.len += 1;
            } else {
                texts.push(text);
                let start = as_u32(index);
                spans.push(Span { start, len: 1 });
            }
        }
        Some(Runs {
            automaton: AhoCorasick::new(&texts).ok()?,
            spans,
            entries: pairs.iter().map(|it| it.1).collect(),
        })
    }

    /// Shows the entries of every text that stands in `value`; the same ones as often as it stands there.
    pub(crate) fn find(&self, value: &[u8], out: &mut Vec<u32>) {
        for found in self.automaton.find_overlapping_iter(value) {
            let span = self.spans.get(found.pattern().as_usize());
            out.extend_from_slice(span.map_or(&[], |it| it.of(&self.entries)));
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.automaton.memory_usage()
            + self.spans.capacity() * size_of::<Span>()
            + self.entries.capacity() * 4
    }
}
