use std::{net::IpAddr, ops::Bound, str::FromStr};

use super::{affixes::Affixes, exact::Exact, intervals::Intervals, runs::Runs, sink::Sink};
use crate::{
    Number, Wildcard,
    condition::fold_into,
    hash::{hash, hash_word},
    index::{
        arena::{Arena, Hasher},
        test::{Step, Test},
    },
    paths::{PathId, as_u32},
};

/// Every access of every path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    exact: Exact,
    paths: Vec<PathTables>,
    other: Vec<OtherTables>,
}

/// What is there to look up at one path.
#[derive(Clone, Copy, Debug, Default)]
struct PathTables {
    has_exact: bool,
    has_folded: bool,
    /// The place of its other tables, and 1; 0 where it has none.
    other: u32,
}

/// Tables that few paths have.
#[derive(Clone, Debug)]
struct OtherTables {
    exists: Vec<u32>,
    prefixes: Affixes,
    folded_prefixes: Affixes,
    suffixes: Affixes,
    folded_suffixes: Affixes,
    runs: Option<Runs>,
    ranges: Intervals<Number>,
    integers: Intervals<i64>,
    networks: Intervals<IpAddr>,
}

impl Tables {
    pub(crate) fn null(&self, path: PathId, sink: &mut Sink) {
        self.constant(path, Test::Null, sink);
    }

    pub(crate) fn boolean(&self, path: PathId, value: bool, sink: &mut Sink) {
        self.constant(path, Test::Boolean(value), sink);
    }

    fn constant(&self, path: PathId, test: Test, sink: &mut Sink) {
        let Some(tables) = self.paths.get(path as usize) else {
            return;
        };
        if tables.has_exact {
            self.exact
                .find(constant_hash(path, test), &mut sink.entries);
        }
        if let Some(other) = self.other(tables) {
            sink.entries.extend_from_slice(&other.exists);
        }
    }

    pub(crate) fn number(&self, path: PathId, number: &Number, sink: &mut Sink) {
        let Some(tables) = self.paths.get(path as usize) else {
            return;
        };
        if tables.has_exact {
            self.exact
                .find(number_hash(path, number), &mut sink.entries);
        }
        let Some(other) = self.other(tables) else {
            return;
        };
        sink.entries.extend_from_slice(&other.exists);
        other.ranges.find(number, &mut sink.entries);
        if let Some(integer) = number.integer() {
            other.integers.find(&integer, &mut sink.entries);
        }
    }

    pub(crate) fn text(&self, path: PathId, text: &[u8], sink: &mut Sink) {
        let Some(tables) = self.paths.get(path as usize) else {
            return;
        };
        if tables.has_exact {
            self.exact
                .find(text_hash(path, TEXT, text), &mut sink.entries);
        }
        let other = self.other(tables);
        if tables.has_folded {
            let mut folded = std::mem::take(&mut sink.folded);
            folded.clear();
            fold_into(&String::from_utf8_lossy(text), &mut folded);
            self.exact
                .find(text_hash(path, FOLDED, &folded), &mut sink.entries);
            if let Some(other) = other {
                other.folded_prefixes.find(&folded, &mut sink.entries);
                suffixes(&other.folded_suffixes, &folded, sink);
            }
            folded.shrink_to(KEPT_BYTES);
            sink.folded = folded;
        }
        if let Some(other) = other {
            other.text(text, sink);
        }
    }

    fn other(&self, tables: &PathTables) -> Option<&OtherTables> {
        self.other.get(tables.other.checked_sub(1)? as usize)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let other = self.other.iter().map(OtherTables::heap_bytes);
        self.exact.heap_bytes()
            + self.paths.capacity() * size_of::<PathTables>()
            + self.other.capacity() * size_of::<OtherTables>()
            + other.sum::<usize>()
    }
}

/// Bytes of a buffer that are kept for the next event.
const KEPT_BYTES: usize = 1 << 16;

impl OtherTables {
    fn text(&self, text: &[u8], sink: &mut Sink) {
        sink.entries.extend_from_slice(&self.exists);
        self.prefixes.find(text, &mut sink.entries);
        suffixes(&self.suffixes, text, sink);
        if let Some(runs) = &self.runs {
            runs.find(text, &mut sink.seen, &mut sink.entries);
        }
        if !self.integers.is_empty()
            && let Some(integer) = integer(text)
        {
            self.integers.find(&integer, &mut sink.entries);
        }
        if !self.networks.is_empty()
            && let Some(address) = address(text)
        {
            self.networks.find(&address, &mut sink.entries);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.exists.capacity() * 4
            + self.prefixes.heap_bytes()
            + self.folded_prefixes.heap_bytes()
            + self.suffixes.heap_bytes()
            + self.folded_suffixes.heap_bytes()
            + self.runs.as_ref().map_or(0, Runs::heap_bytes)
            + self.ranges.heap_bytes()
            + self.integers.heap_bytes()
            + self.networks.heap_bytes()
    }
}

fn suffixes(table: &Affixes, text: &[u8], sink: &mut Sink) {
    if table.is_empty() {
        return;
    }
    sink.reversed.clear();
    let end = text.iter().rev().take(table.longest());
    sink.reversed.extend(end);
    table.find(&sink.reversed, &mut sink.entries);
}

/// Where a literal run of a wildcard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Between,
    Last,
}

/// The longest literal run; of equal ones the first.
fn longest_run(shape: &Wildcard) -> Option<(Place, &str)> {
    let last = shape.runs().len() - 1;
    let runs = shape.runs().enumerate().map(|(index, run)| match index {
        0 => (Place::First, run),
        _ if index == last => (Place::Last, run),
        _ => (Place::Between, run),
    });
    runs.rev().max_by_key(|it| it.1.len())
}

/// The integer that a text is by the rules of [`Condition::Integer`](crate::Condition::Integer); beyond 64 bits the nearest.
pub(in crate::index) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0_i64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    Some(if negative { -size } else { size })
}

pub(in crate::index) fn address(text: &[u8]) -> Option<IpAddr> {
    // No address is longer; what is no address mostly ends here.
    if text.len() > 45
        || !text
            .iter()
            .all(|it| it.is_ascii_hexdigit() || matches!(it, b'.' | b':'))
    {
        return None;
    }
    IpAddr::from_str(std::str::from_utf8(text).ok()?).ok()
}

const TEXT: u64 = 1 << 32;
const FOLDED: u64 = 2 << 32;
const NUMBER: u64 = 3 << 32;
const CONSTANT: u64 = 4 << 32;

fn text_hash(path: PathId, kind: u64, text: &[u8]) -> u64 {
    hash(kind | u64::from(path), text)
}

fn number_hash(path: PathId, number: &Number) -> u64 {
    hash_word(NUMBER | u64::from(path), Hasher::of(number))
}

fn constant_hash(path: PathId, test: Test) -> u64 {
    let value = match test {
        Test::Boolean(value) => u64::from(value),
        _ => 2,
    };
    hash_word(CONSTANT | u64::from(path), value)
}

/// Accesses, gathered.
#[derive(Debug, Default)]
pub(crate) struct TablesBuilder {
    exact: Vec<(u64, u32)>,
    paths: Vec<PathTables>,
    other: Vec<OtherPairs>,
}

#[derive(Debug, Default)]
struct OtherPairs {
    exists: Vec<u32>,
    prefixes: Vec<(Vec<u8>, u32)>,
    folded_prefixes: Vec<(Vec<u8>, u32)>,
    suffixes: Vec<(Vec<u8>, u32)>,
    folded_suffixes: Vec<(Vec<u8>, u32)>,
    runs: Vec<(Vec<u8>, u32)>,
    ranges: Vec<(Bound<Number>, Bound<Number>, u32)>,
    integers: Vec<(Bound<i64>, Bound<i64>, u32)>,
    networks: Vec<(Bound<IpAddr>, Bound<IpAddr>, u32)>,
}

impl TablesBuilder {
    pub(crate) fn new(path_count: usize) -> TablesBuilder {
        TablesBuilder {
            exact: Vec::new(),
            paths: vec![PathTables::default(); path_count],
            other: Vec::new(),
        }
    }

    /// Lets `entry` be found by `step`, a test that can be an access.
    pub(crate) fn add(&mut self, step: Step, entry: u32, arena: &Arena) {
        let Step { path, test } = step;
        match test {
            Test::Null | Test::Boolean(_) => self.add_exact(path, constant_hash(path, test), entry),
            Test::Number(id) => {
                let number = arena.numbers.get(id as usize);
                let hash = number.map_or(0, |it| number_hash(path, it));
                self.add_exact(path, hash, entry);
            }
            Test::Text(span) => {
                let hash = text_hash(path, TEXT, span.of(&arena.bytes));
                self.add_exact(path, hash, entry);
            }
            Test::FoldedText(span) => {
                let hash = text_hash(path, FOLDED, span.of(&arena.bytes));
                self.exact.push((hash, entry));
                self.of(path).has_folded = true;
            }
            Test::Any(span) => {
                for test in span.of(&arena.tests) {
                    self.add(Step { path, test: *test }, entry, arena);
                }
            }
            test => self.add_other(path, test, entry, arena),
        }
    }

    fn add_exact(&mut self, path: PathId, hash: u64, entry: u32) {
        self.exact.push((hash, entry));
        self.of(path).has_exact = true;
    }

    fn add_other(&mut self, path: PathId, test: Test, entry: u32, arena: &Arena) {
        if matches!(test, Test::FoldedPrefix(_) | Test::FoldedSuffix(_)) {
            self.of(path).has_folded = true;
        }
        let Some(pairs) = self.pairs(path) else {
            return;
        };
        let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect();
        match test {
            Test::Exists => pairs.exists.push(entry),
            Test::Prefix(span) => pairs.prefixes.push((span.of(&arena.bytes).to_vec(), entry)),
            Test::FoldedPrefix(span) => {
                pairs
                    .folded_prefixes
                    .push((span.of(&arena.bytes).to_vec(), entry));
            }
            Test::Suffix(span) => pairs
                .suffixes
                .push((reversed(span.of(&arena.bytes)), entry)),
            Test::FoldedSuffix(span) => {
                pairs
                    .folded_suffixes
                    .push((reversed(span.of(&arena.bytes)), entry));
            }
            Test::Wildcard(id) => {
                let run = arena.wildcards.get(id as usize).and_then(longest_run);
                match run {
                    Some((Place::First, run)) => pairs.prefixes.push((run.into(), entry)),
                    Some((Place::Last, run)) => {
                        pairs.suffixes.push((reversed(run.as_bytes()), entry))
                    }
                    Some((Place::Between, run)) => pairs.runs.push((run.into(), entry)),
                    None => pairs.exists.push(entry),
                }
            }
            Test::Range(id) => {
                if let Some((low, high)) = arena.ranges.get(id as usize).map(|it| it.bounds()) {
                    pairs.ranges.push((low.clone(), high.clone(), entry));
                }
            }
            Test::Integer(id) => {
                if let Some((low, high)) = arena.integers.get(id as usize) {
                    let (low, high) = (Bound::Included(*low), Bound::Included(*high));
                    pairs.integers.push((low, high, entry));
                }
            }
            Test::Network(id) => {
                if let Some((first, last)) = arena.networks.get(id as usize).map(|it| it.bounds()) {
                    let (first, last) = (Bound::Included(first), Bound::Included(last));
                    pairs.networks.push((first, last, entry));
                }
            }
            other => unreachable!("{other:?} is no access"),
        }
    }

    fn of(&mut self, path: PathId) -> &mut PathTables {
        let at = path as usize;
        if self.paths.len() <= at {
            self.paths.resize(at + 1, PathTables::default());
        }
        self.paths.get_mut(at).expect("there are as many by now")
    }

    fn pairs(&mut self, path: PathId) -> Option<&mut OtherPairs> {
        let mut place = self.of(path).other;
        if place == 0 {
            self.other.push(OtherPairs::default());
            place = as_u32(self.other.len());
            self.of(path).other = place;
        }
        self.other.get_mut(place as usize - 1)
    }

    pub(crate) fn build(self) -> Tables {
        Tables {
            exact: Exact::new(self.exact),
            paths: self.paths,
            other: self.other.into_iter().map(OtherPairs::build).collect(),
        }
    }
}

impl OtherPairs {
    fn build(mut self) -> OtherTables {
        // Without an automaton every entry that it would find is a candidate wherever its field exists.
        let runs = Runs::new(&mut self.runs);
        if runs.is_none() {
            self.exists.extend(self.runs.iter().map(|it| it.1));
        }
        self.exists.sort_unstable();
        self.exists.dedup();
        OtherTables {
            exists: self.exists,
            prefixes: Affixes::new(self.prefixes),
            folded_prefixes: Affixes::new(self.folded_prefixes),
            suffixes: Affixes::new(self.suffixes),
            folded_suffixes: Affixes::new(self.folded_suffixes),
            runs,
            ranges: Intervals::new(&self.ranges),
            integers: Intervals::new(&self.integers),
            networks: Intervals::new(&self.networks),
        }
    }
}
