use super::{
    Index, RuleId,
    arena::Arena,
    entry::{Entry, Found, What},
    test::{Step, Test},
};
use crate::span::Span;

/// How an index finds one of its rules, and what that costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The conditions by which it is found, in words: one for each combination of the branches of its `$or`. `None` for a
    /// combination that has none, and is tested on every event.
    pub access: Vec<Option<String>>,
    /// Bytes that it takes, about: its share of what it has in common with others is not in it.
    pub bytes: usize,
}

impl Index {
    /// How the rule `id` is found; `None` if there is no such rule.
    pub fn explain(&self, id: RuleId) -> Option<Explanation> {
        let start = self.entries.partition_point(|it| it.rule < id.0);
        let entries = self.entries.iter().zip(&self.found).skip(start);
        let own: Vec<_> = entries.take_while(|it| it.0.rule == id.0).collect();
        if own.is_empty() {
            return None;
        }
        Some(Explanation {
            access: own
                .iter()
                .map(|(entry, found)| self.access_of(entry, **found))
                .collect(),
            bytes: own
                .iter()
                .map(|(entry, found)| self.bytes_of(entry, **found))
                .sum(),
        })
    }

    /// The rules that are tested on every event, in order: nothing in them can be looked up.
    pub fn unindexed(&self) -> &[RuleId] {
        &self.unindexed
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let topics = self
            .topics
            .list
            .iter()
            .map(|it| 300 + it.filter.len() + 4 * it.entries.capacity());
        self.paths.heap_bytes()
            + self.arena.heap_bytes()
            + (self.steps.capacity() + self.found_steps.capacity()) * size_of::<Step>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.found.capacity() * size_of::<Found>()
            + self.tables.heap_bytes()
            + self.check_bytes
            + topics.sum::<usize>()
    }

    fn access_of(&self, entry: &Entry, found: Found) -> Option<String> {
        match found {
            Found::Always => None,
            Found::Topic => self
                .topics
                .get(entry.topic)
                .map(|it| format!("topic {}", it.filter)),
            Found::Steps(span) => {
                let steps = span.of(&self.found_steps).iter();
                let steps = steps.map(|it| {
                    format!(
                        "{} {}",
                        self.paths.name(it.path),
                        Words(it.test, &self.arena)
                    )
                });
                Some(steps.collect::<Vec<_>>().join(" or "))
            }
        }
    }

    fn bytes_of(&self, entry: &Entry, found: Found) -> usize {
        let (steps, beside) = match &entry.what {
            What::Steps(steps) => (steps.of(&self.steps), steps.heap_bytes()),
            What::Check(at) => {
                let check = self.checks.get(*at as usize);
                (&[][..], check.map_or(0, |it| it.heap_bytes()))
            }
        };
        let found_steps = match found {
            Found::Steps(span) => span.of(&self.found_steps),
            _ => &[],
        };
        let tests = steps.iter().map(|it| self.arena.bytes_of(it.test));
        let lookups = found_steps
            .iter()
            .map(|it| size_of::<Step>() + 48 + self.arena.bytes_of(it.test));
        size_of::<Entry>()
            + size_of::<Found>()
            + beside
            + tests.sum::<usize>()
            + lookups.sum::<usize>()
    }
}

/// A test in the words of the pattern language.
pub(super) struct Words<'a>(pub(super) Test, pub(super) &'a Arena);

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Words(test, arena) = *self;
        let list = |span: Span, out: &mut std::fmt::Formatter<'_>| {
            for (index, test) in span.of(&arena.tests).iter().enumerate() {
                let comma = if index > 0 { ", " } else { "" };
                write!(out, "{comma}{}", Words(*test, arena))?;
            }
            Ok(())
        };
        match test {
            Test::Any(span) => list(span, out),
            Test::AnythingBut(span) => {
                out.write_str("anything-but ")?;
                list(span, out)
            }
            test => match arena.condition(test) {
                Some(condition) => write!(out, "{condition}"),
                None => Ok(()),
            },
        }
    }
}
