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

/// Which texts were seen in the value that is looked through: of each text the number of the last value that has it. Kept from value to value.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    value: u64,
    last: Vec<u64>,
}

impl Seen {
    fn begin(&mut self, texts: usize) {
        self.value += 1;
        if self.last.len() < texts {
            self.last.resize(texts, 0);
        }
    }

    fn is_first(&mut self, text: usize) -> bool {
        let last = self.last.get_mut(text);
        last.is_some_and(|it| std::mem::replace(it, self.value) != self.value)
    }
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

    /// Shows the entries of every text that stands in `value`, once.
    pub(crate) fn find(&self, value: &[u8], seen: &mut Seen, out: &mut Vec<u32>) {
        seen.begin(self.spans.len());
        for found in self.automaton.find_overlapping_iter(value) {
            let text = found.pattern().as_usize();
            if seen.is_first(text) {
                let span = self.spans.get(text);
                out.extend_from_slice(span.map_or(&[], |it| it.of(&self.entries)));
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.automaton.memory_usage()
            + self.spans.capacity() * size_of::<Span>()
            + self.entries.capacity() * 4
    }
}
