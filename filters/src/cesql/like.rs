//! The patterns of `LIKE`, matched in one pass over the text.
//!
//! `%` divides a pattern into runs of literal characters and `_`. The first run is held against the beginning of the text,
//! the last against its end, and each one between them is looked for from where the one before ended: taking the earliest
//! place is never wrong, so nothing is tried twice. A run with `_` is looked for with one bit per character of the run.

use crate::{Condition, Scalar, Wildcard};

/// The longest run in words of 64 bits.
const MAX_WORDS: usize = super::MAX_LIKE_BYTES.div_ceil(64);

/// A pattern, ready to be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LikePattern {
    first: Run,
    /// What stands between two `%`, none of it empty.
    middle: Box<[Search]>,
    /// What stands behind the last `%`; `None` where there is no `%`.
    last: Option<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Run {
    Text(Box<str>),
    /// `None` is `_`.
    Chars(Box<[Option<char>]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Search {
    Text(Box<str>),
    Bits(Bits),
}

impl LikePattern {
    /// Any text is a pattern. `\%` and `\_` are literal; any other backslash stands for itself.
    pub(crate) fn parse(text: &str) -> LikePattern {
        let mut runs = vec![Vec::new()];
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let part = match char {
                '%' => {
                    runs.push(Vec::new());
                    continue;
                }
                '_' => None,
                '\\' => Some(
                    chars
                        .next_if(|next| matches!(next, '%' | '_'))
                        .unwrap_or('\\'),
                ),
                _ => Some(char),
            };
            if let Some(run) = runs.last_mut() {
                run.push(part);
            }
        }
        let mut runs = runs.into_iter();
        let first = Run::new(&runs.next().unwrap_or_default());
        let last = runs.next_back().map(|run| Run::new(&run));
        let middle = runs.filter(|run| !run.is_empty());
        LikePattern {
            first,
            middle: middle.map(|run| Search::new(&run)).collect(),
            last,
        }
    }

    /// Whether the whole text is of this form.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(mut rest) = self.first.strip_start(text) else {
            return false;
        };
        let Some(last) = &self.last else {
            return rest.is_empty();
        };
        for search in &self.middle {
            match search.find(rest) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        last.ends(rest)
    }
}

impl LikePattern {
    /// What a text must be like to match: as much of the pattern as an index can look for. `None` for `%` and what says no
    /// more than it. A text that is like this need not match, where the pattern has a `_`.
    pub(crate) fn conditions(&self) -> Option<Vec<Condition>> {
        let first = self.first.literals();
        let Some(last) = &self.last else {
            return match &self.first {
                Run::Text(text) => Some(vec![Condition::Equals(Scalar::Text(text.clone()))]),
                Run::Chars(_) => shape(&first),
            };
        };
        // The runs of one list meet those of the next at a `%`.
        let mut runs = first;
        runs.extend(self.middle.iter().flat_map(Search::literals));
        runs.extend(last.literals());
        shape(&runs)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let middle = self.middle.iter().map(|search| match search {
            Search::Text(text) => text.len(),
            Search::Bits(bits) => {
                bits.run.len() * 4 + bits.places.len() * (16 + bits.any.len() * 8)
            }
        });
        let ends = [Some(&self.first), self.last.as_ref()];
        let ends = ends.into_iter().flatten().map(|run| match run {
            Run::Text(text) => text.len(),
            Run::Chars(chars) => size_of_val(&**chars),
        });
        middle.sum::<usize>() + ends.sum::<usize>() + size_of_val(&*self.middle)
    }
}

/// Literal texts with anything between them, as conditions that all hold.
fn shape(runs: &[String]) -> Option<Vec<Condition>> {
    let [first, .., last] = runs else {
        return None;
    };
    let middle: Vec<&str> = runs
        .get(1..runs.len() - 1)?
        .iter()
        .map(|it| &**it)
        .collect();
    let middle: Vec<&str> = middle.into_iter().filter(|it| !it.is_empty()).collect();
    let mut conditions = Vec::new();
    if !first.is_empty() {
        conditions.push(Condition::Prefix((**first).into()));
    }
    if !last.is_empty() {
        conditions.push(Condition::Suffix((**last).into()));
    }
    if !middle.is_empty() {
        let whole = [&[&**first][..], &middle, &[&**last]].concat();
        let escaped: Vec<String> = whole
            .iter()
            .map(|run| run.replace('\\', "\\\\").replace('*', "\\*"))
            .collect();
        let wildcard = Wildcard::parse(&escaped.join("*"));
        conditions.push(Condition::Wildcard(wildcard.expect("every run is escaped")));
    }
    (!conditions.is_empty()).then_some(conditions)
}

impl Run {
    /// The texts between the `_`: one more than there are of these.
    fn literals(&self) -> Vec<String> {
        match self {
            Run::Text(text) => vec![text.to_string()],
            Run::Chars(chars) => literals(chars),
        }
    }

    fn new(chars: &[Option<char>]) -> Run {
        literal(chars).map_or_else(|| Run::Chars(chars.into()), Run::Text)
    }

    fn strip_start<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Run::Text(run) => text.strip_prefix(&**run),
            Run::Chars(run) => {
                let mut chars = text.chars();
                let fits = run.iter().all(|part| fits(*part, chars.next()));
                fits.then_some(chars.as_str())
            }
        }
    }

    fn ends(&self, text: &str) -> bool {
        match self {
            Run::Text(run) => text.ends_with(&**run),
            Run::Chars(run) => {
                let mut chars = text.chars();
                run.iter().rev().all(|part| fits(*part, chars.next_back()))
            }
        }
    }
}

fn literal(chars: &[Option<char>]) -> Option<Box<str>> {
    let text: Option<String> = chars.iter().copied().collect();
    text.map(Into::into)
}

/// The texts between the `_`.
fn literals(run: &[Option<char>]) -> Vec<String> {
    let texts = run.split(Option::is_none);
    texts
        .map(|text| text.iter().copied().flatten().collect())
        .collect()
}

fn fits(part: Option<char>, char: Option<char>) -> bool {
    char.is_some_and(|char| part.is_none_or(|part| part == char))
}

impl Search {
    fn literals(&self) -> Vec<String> {
        match self {
            Search::Text(text) => vec![text.to_string()],
            Search::Bits(bits) => literals(&bits.run),
        }
    }

    fn new(chars: &[Option<char>]) -> Search {
        literal(chars).map_or_else(|| Search::Bits(Bits::new(chars)), Search::Text)
    }

    /// What stands behind the first place.
    fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Search::Text(run) => text.split_once(&**run).map(|(_, behind)| behind),
            Search::Bits(bits) => bits.find(text),
        }
    }
}

/// Looks for a run with `_` in it: bit n of the state says that the n + 1 characters read last fit the run's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bits {
    run: Box<[Option<char>]>,
    /// The places of the run where a character may stand that it does not name.
    any: Box<[u64]>,
    /// The places of each character that it names, sorted by character.
    places: Box<[(char, Box<[u64]>)]>,
    /// The bit of the run's last place, in the last word.
    last: u64,
}

impl Bits {
    fn new(run: &[Option<char>]) -> Bits {
        let words = run.len().div_ceil(64);
        let places_of = |wanted: Option<char>| -> Box<[u64]> {
            let mut bits = vec![0; words];
            for (index, part) in run.iter().enumerate() {
                if (part.is_none() || *part == wanted)
                    && let Some(word) = bits.get_mut(index / 64)
                {
                    *word |= 1 << (index % 64);
                }
            }
            bits.into()
        };
        let mut named: Vec<char> = run.iter().copied().flatten().collect();
        named.sort_unstable();
        named.dedup();
        Bits {
            run: run.into(),
            any: places_of(None),
            places: named
                .into_iter()
                .map(|char| (char, places_of(Some(char))))
                .collect(),
            last: 1 << (run.len().saturating_sub(1) % 64),
        }
    }

    fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let mut state = [0_u64; MAX_WORDS];
        let state = state.get_mut(..self.any.len())?;
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            let places = match self.places.binary_search_by_key(&char, |(it, _)| *it) {
                Ok(index) => self.places.get(index).map_or(&self.any, |(_, bits)| bits),
                Err(_) => &self.any,
            };
            let mut carry = 1;
            for (word, places) in state.iter_mut().zip(places) {
                let out = *word >> 63;
                *word = ((*word << 1) | carry) & places;
                carry = out;
            }
            if state.last().is_some_and(|word| word & self.last != 0) {
                return Some(chars.as_str());
            }
        }
        None
    }
}
