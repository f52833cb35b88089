use std::borrow::Cow;

use crate::{
    Attributes,
    condition::fold_case,
    document::{Document, InstanceId, LeafValue, WHOLE},
    index::{
        access::{address, integer},
        arena::Arena,
        test::{Step, Test},
    },
    paths::{EVENT, PathId, Paths},
};

/// Tests steps on what was read of an event.
pub(super) struct Holds<'a> {
    pub(super) paths: &'a Paths,
    pub(super) arena: &'a Arena,
    pub(super) document: &'a Document,
    pub(super) payload: &'a [u8],
    pub(super) attributes: &'a Attributes<'a>,
}

impl Holds<'_> {
    /// Whether all steps hold, those below one array in the same element of it.
    pub(super) fn all(&self, steps: &[Step], reads_data: bool) -> bool {
        if reads_data && self.document.has_instances() {
            return self.in_object(EVENT, WHOLE, steps);
        }
        steps
            .iter()
            .all(|it| self.field(it.test, self.document.leaves_at(it.path)))
    }

    /// Whether all steps, which are below `at`, hold in one object. As deep as patterns are.
    fn in_object(&self, at: PathId, instance: InstanceId, steps: &[Step]) -> bool {
        let mut rest = steps;
        while let Some(first) = rest.first() {
            let field = self.paths.branch_towards(at, first.path);
            let below = |it: &&Step| self.paths.branch_towards(at, it.path) == field;
            let count = rest.iter().take_while(below).count();
            let (group, others) = rest.split_at(count);
            rest = others;
            let own = group.iter().take_while(|it| it.path == field).count();
            let (own, below) = group.split_at(own);
            let holds = own
                .iter()
                .all(|it| self.field(it.test, self.document.leaves_in(field, instance)));
            if !holds || !self.below(field, instance, below) {
                return false;
            }
        }
        true
    }

    /// Whether the steps hold in the object that the field is, or in one of the objects of the array that it is.
    fn below(&self, field: PathId, instance: InstanceId, steps: &[Step]) -> bool {
        if steps.is_empty() {
            return true;
        }
        match self.document.elements(field, instance) {
            [] => self.in_object(field, instance, steps),
            elements => elements.iter().any(|it| self.in_object(field, *it, steps)),
        }
    }

    /// Whether one of a field's leaves passes, or there is none where there should be none.
    fn field(&self, test: Test, leaves: impl Iterator<Item = LeafValue>) -> bool {
        let mut is_missing = true;
        for leaf in leaves {
            if self.leaf(test, leaf) {
                return true;
            }
            is_missing = false;
        }
        is_missing && self.is_missing(test)
    }

    fn is_missing(&self, test: Test) -> bool {
        match test {
            Test::Missing => true,
            Test::Any(span) => span.of(&self.arena.tests).contains(&Test::Missing),
            _ => false,
        }
    }

    fn leaf(&self, test: Test, leaf: LeafValue) -> bool {
        match test {
            Test::Exists => true,
            Test::Missing => false,
            Test::Null => leaf == LeafValue::Null,
            Test::Boolean(value) => leaf == LeafValue::Boolean(value),
            Test::Any(span) => span
                .of(&self.arena.tests)
                .iter()
                .any(|it| self.leaf(*it, leaf)),
            Test::AnythingBut(span) => {
                let mut excluded = span.of(&self.arena.tests).iter();
                !excluded.any(|it| self.leaf(*it, leaf))
            }
            Test::Number(_) | Test::Range(_) => self.number(test, leaf),
            Test::Integer(id) => self.integer(id, leaf),
            _ => {
                let text = self.document.text(leaf, self.payload, self.attributes);
                text.is_some_and(|it| self.text(test, it))
            }
        }
    }

    fn number(&self, test: Test, leaf: LeafValue) -> bool {
        let Some(number) = self.document.number_of(leaf) else {
            return false;
        };
        match test {
            Test::Number(id) => self.arena.numbers.get(id as usize) == Some(number),
            Test::Range(id) => {
                let range = self.arena.ranges.get(id as usize);
                range.is_some_and(|it| it.contains(number))
            }
            _ => false,
        }
    }

    fn integer(&self, id: u32, leaf: LeafValue) -> bool {
        let value = match self.document.number_of(leaf) {
            Some(number) => number.integer(),
            None => {
                let text = self.document.text(leaf, self.payload, self.attributes);
                text.and_then(integer)
            }
        };
        let bounds = self.arena.integers.get(id as usize);
        value
            .zip(bounds)
            .is_some_and(|(it, (low, high))| (low..=high).contains(&&it))
    }

    fn text(&self, test: Test, text: &[u8]) -> bool {
        let bytes = &self.arena.bytes;
        match test {
            Test::Text(span) => text == span.of(bytes),
            Test::Prefix(span) => text.starts_with(span.of(bytes)),
            Test::Suffix(span) => text.ends_with(span.of(bytes)),
            Test::FoldedText(span) => folded(text).as_bytes() == span.of(bytes),
            Test::FoldedPrefix(span) => folded(text).as_bytes().starts_with(span.of(bytes)),
            Test::FoldedSuffix(span) => folded(text).as_bytes().ends_with(span.of(bytes)),
            Test::Wildcard(id) => {
                let shape = self.arena.wildcards.get(id as usize);
                shape.is_some_and(|it| it.matches_bytes(text))
            }
            Test::Network(id) => {
                let network = self.arena.networks.get(id as usize);
                network
                    .zip(address(text))
                    .is_some_and(|(it, address)| it.contains(address))
            }
            _ => false,
        }
    }
}

fn folded(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => fold_case(text),
        Err(_) => fold_case(&String::from_utf8_lossy(text))
            .into_owned()
            .into(),
    }
}
