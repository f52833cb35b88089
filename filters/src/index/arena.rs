use std::{collections::HashMap, hash::BuildHasherDefault};

use super::test::Test;
use crate::{
    Condition, Network, Number, NumberRange, Scalar, Wildcard,
    hash::{IdTable, hash, hash_word},
    paths::as_u32,
    span::Span,
};

/// What tests refer to. What is equal is there once.
#[derive(Clone, Debug, Default)]
pub(super) struct Arena {
    pub(super) bytes: Vec<u8>,
    pub(super) numbers: Vec<Number>,
    pub(super) ranges: Vec<NumberRange>,
    pub(super) integers: Vec<(i64, i64)>,
    pub(super) networks: Vec<Network>,
    pub(super) wildcards: Vec<Wildcard>,
    pub(super) tests: Vec<Test>,
}

/// Finds what an arena has already. Needed while rules are added, and dropped then.
#[derive(Debug, Default)]
pub(super) struct Interner {
    texts: IdTable,
    spans: Vec<Span>,
    lists: IdTable,
    list_spans: Vec<Span>,
    numbers: Map<Number>,
    ranges: Map<NumberRange>,
    integers: Map<(i64, i64)>,
    networks: Map<Network>,
    wildcards: Map<Wildcard>,
}

type Map<T> = HashMap<T, u32, BuildHasherDefault<Hasher>>;

impl Arena {
    /// Compiles a list of which one must hold.
    pub(super) fn any(&mut self, conditions: &[Condition], interner: &mut Interner) -> Test {
        match conditions {
            [one] => self.test(one, interner),
            all => Test::Any(self.list(all, interner)),
        }
    }

    pub(super) fn test(&mut self, condition: &Condition, interner: &mut Interner) -> Test {
        match condition {
            Condition::Equals(Scalar::Null) => Test::Null,
            Condition::Equals(Scalar::Boolean(value)) => Test::Boolean(*value),
            Condition::Equals(Scalar::Number(number)) => {
                Test::Number(intern(number, &mut self.numbers, &mut interner.numbers))
            }
            Condition::Equals(Scalar::Text(text)) => Test::Text(self.text(text, interner)),
            Condition::EqualsIgnoreCase(text) => Test::FoldedText(self.text(text, interner)),
            Condition::Prefix(text) => Test::Prefix(self.text(text, interner)),
            Condition::PrefixIgnoreCase(text) => Test::FoldedPrefix(self.text(text, interner)),
            Condition::Suffix(text) => Test::Suffix(self.text(text, interner)),
            Condition::SuffixIgnoreCase(text) => Test::FoldedSuffix(self.text(text, interner)),
            Condition::Wildcard(shape) => self.wildcard(shape, interner),
            Condition::Number(range) => self.range(range, interner),
            Condition::Integer(low, high) => Test::Integer(intern(
                &(*low, *high),
                &mut self.integers,
                &mut interner.integers,
            )),
            Condition::Network(network) => {
                Test::Network(intern(network, &mut self.networks, &mut interner.networks))
            }
            Condition::Exists => Test::Exists,
            Condition::Missing => Test::Missing,
            Condition::AnythingBut(all) => Test::AnythingBut(self.list(all, interner)),
        }
    }

    pub(super) fn text(&mut self, text: &str, interner: &mut Interner) -> Span {
        let text = text.as_bytes();
        let hash = hash(0, text);
        let Interner { texts, spans, .. } = interner;
        let span_of = |id: u32| spans.get(id as usize).copied();
        let is_it = |id: u32| span_of(id).is_some_and(|it| it.of(&self.bytes) == text);
        if let Some(span) = texts.find(hash, is_it).and_then(span_of) {
            return span;
        }
        texts.insert(hash, as_u32(spans.len()));
        let span = Span {
            start: as_u32(self.bytes.len()),
            len: as_u32(text.len()),
        };
        self.bytes.extend_from_slice(text);
        spans.push(span);
        span
    }

    /// A shape with nothing but a run at one side is a prefix or a suffix.
    fn wildcard(&mut self, shape: &Wildcard, interner: &mut Interner) -> Test {
        if let Some(text) = shape.literal() {
            return Test::Text(self.text(text, interner));
        }
        let mut runs = shape.runs();
        match (runs.next(), runs.next(), runs.next()) {
            (Some(before), Some(""), None) => Test::Prefix(self.text(before, interner)),
            (Some(""), Some(behind), None) => Test::Suffix(self.text(behind, interner)),
            _ => Test::Wildcard(intern(shape, &mut self.wildcards, &mut interner.wildcards)),
        }
    }

    fn range(&mut self, range: &NumberRange, interner: &mut Interner) -> Test {
        match range.single() {
            Some(number) => Test::Number(intern(number, &mut self.numbers, &mut interner.numbers)),
            None => Test::Range(intern(range, &mut self.ranges, &mut interner.ranges)),
        }
    }

    fn list(&mut self, conditions: &[Condition], interner: &mut Interner) -> Span {
        let compiled = conditions.iter().map(|it| self.test(it, interner));
        let list: Vec<Test> = compiled.collect();
        let words = list.iter().map(|it| it.digest());
        let hash = words.fold(list.len() as u64, hash_word);
        let Interner {
            lists, list_spans, ..
        } = interner;
        let span_of = |id: u32| list_spans.get(id as usize).copied();
        let is_it = |id: u32| span_of(id).is_some_and(|it| it.of(&self.tests) == list);
        if let Some(span) = lists.find(hash, is_it).and_then(span_of) {
            return span;
        }
        lists.insert(hash, as_u32(list_spans.len()));
        let span = Span {
            start: as_u32(self.tests.len()),
            len: as_u32(list.len()),
        };
        self.tests.extend(list);
        list_spans.push(span);
        span
    }

    /// The condition that a test other than a list of them was made of.
    pub(super) fn condition(&self, test: Test) -> Option<Condition> {
        let text = |span: Span| String::from_utf8_lossy(span.of(&self.bytes)).into();
        Some(match test {
            Test::Null => Condition::Equals(Scalar::Null),
            Test::Boolean(value) => Condition::Equals(Scalar::Boolean(value)),
            Test::Number(id) => {
                Condition::Equals(Scalar::Number(self.numbers.get(id as usize)?.clone()))
            }
            Test::Text(span) => Condition::Equals(Scalar::Text(text(span))),
            Test::FoldedText(span) => Condition::EqualsIgnoreCase(text(span)),
            Test::Prefix(span) => Condition::Prefix(text(span)),
            Test::FoldedPrefix(span) => Condition::PrefixIgnoreCase(text(span)),
            Test::Suffix(span) => Condition::Suffix(text(span)),
            Test::FoldedSuffix(span) => Condition::SuffixIgnoreCase(text(span)),
            Test::Wildcard(id) => Condition::Wildcard(self.wildcards.get(id as usize)?.clone()),
            Test::Range(id) => Condition::Number(self.ranges.get(id as usize)?.clone()),
            Test::Integer(id) => {
                let (low, high) = self.integers.get(id as usize)?;
                Condition::Integer(*low, *high)
            }
            Test::Network(id) => Condition::Network(*self.networks.get(id as usize)?),
            Test::Exists => Condition::Exists,
            Test::Missing => Condition::Missing,
            Test::Any(_) | Test::AnythingBut(_) => return None,
        })
    }

    /// What a test takes beside itself.
    pub(super) fn bytes_of(&self, test: Test) -> usize {
        match test {
            Test::Text(span)
            | Test::FoldedText(span)
            | Test::Prefix(span)
            | Test::FoldedPrefix(span)
            | Test::Suffix(span)
            | Test::FoldedSuffix(span) => span.len as usize,
            Test::Number(_) => size_of::<Number>(),
            Test::Range(_) => size_of::<NumberRange>(),
            Test::Wildcard(id) => {
                let shape = self.wildcards.get(id as usize);
                size_of::<Wildcard>() + shape.map_or(0, Wildcard::heap_bytes)
            }
            Test::Integer(_) => size_of::<(i64, i64)>(),
            Test::Network(_) => size_of::<Network>(),
            Test::Any(span) | Test::AnythingBut(span) => {
                let tests = span.of(&self.tests).iter();
                tests.map(|it| size_of::<Test>() + self.bytes_of(*it)).sum()
            }
            Test::Null | Test::Boolean(_) | Test::Exists | Test::Missing => 0,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.numbers.capacity() * size_of::<Number>()
            + self.ranges.capacity() * size_of::<NumberRange>()
            + self.integers.capacity() * size_of::<(i64, i64)>()
            + self.networks.capacity() * size_of::<Network>()
            + self.wildcards.capacity() * size_of::<Wildcard>()
            + self
                .wildcards
                .iter()
                .map(Wildcard::heap_bytes)
                .sum::<usize>()
            + self.tests.capacity() * size_of::<Test>()
    }

    /// About what [`Arena::heap_bytes`] says, in constant time.
    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
            + self.numbers.len() * size_of::<Number>()
            + self.ranges.len() * size_of::<NumberRange>()
            + self.integers.len() * size_of::<(i64, i64)>()
            + self.networks.len() * size_of::<Network>()
            + self.wildcards.len() * 3 * size_of::<Wildcard>()
            + self.tests.len() * size_of::<Test>()
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.numbers.shrink_to_fit();
        self.ranges.shrink_to_fit();
        self.integers.shrink_to_fit();
        self.networks.shrink_to_fit();
        self.wildcards.shrink_to_fit();
        self.tests.shrink_to_fit();
    }
}

fn intern<T: Clone + Eq + std::hash::Hash>(
    value: &T,
    list: &mut Vec<T>,
    known: &mut Map<T>,
) -> u32 {
    if let Some(id) = known.get(value) {
        return *id;
    }
    let id = as_u32(list.len());
    list.push(value.clone());
    known.insert(value.clone(), id);
    id
}

/// [`hash`] as the standard library wants it.
#[derive(Default)]
pub(super) struct Hasher(u64);

impl Hasher {
    pub(super) fn of(value: &impl std::hash::Hash) -> u64 {
        let mut hasher = Hasher::default();
        value.hash(&mut hasher);
        hasher.0
    }
}

impl std::hash::Hasher for Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(self.0, bytes);
    }

    fn write_u32(&mut self, word: u32) {
        self.0 = hash_word(self.0, word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = hash_word(self.0, word);
    }

    fn write_usize(&mut self, word: usize) {
        self.0 = hash_word(self.0, word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
