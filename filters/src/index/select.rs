use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use super::{
    arena::{Arena, Hasher},
    test::{Step, Test},
};
use crate::{Wildcard, paths::PathId};

/// Bytes of a literal run by which a wildcard can be found.
const MIN_RUN: usize = 3;

/// Estimates how often an access holds, from how many different ones of its kind there are at its path: an event has one of
/// them, mostly.
#[derive(Debug, Default)]
pub(super) struct Selector {
    seen: HashSet<Step, BuildHasherDefault<Hasher>>,
    counts: HashMap<(PathId, Kind), u32, BuildHasherDefault<Hasher>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Value,
    Network,
    Affix,
    Wildcard,
    Range,
    OpenRange,
    Exists,
}

impl Selector {
    /// Counts a test that may become an access.
    pub(super) fn count(&mut self, step: Step, arena: &Arena) {
        if let Test::Any(span) = step.test {
            for test in span.of(&arena.tests) {
                self.count(
                    Step {
                        test: *test,
                        ..step
                    },
                    arena,
                );
            }
        } else if let Some(kind) = kind(step.test, arena)
            && self.seen.insert(step)
        {
            *self.counts.entry((step.path, kind)).or_default() += 1;
        }
    }

    /// The part of all events in which one of `steps` holds, by guess; more than 1 where they cannot be an access.
    pub(super) fn estimate(&self, steps: &[Step], arena: &Arena) -> f64 {
        let each = steps.iter().map(|step| match step.test {
            Test::Any(span) => {
                let tests = span.of(&arena.tests).iter();
                let steps = tests.map(|test| Step {
                    test: *test,
                    ..*step
                });
                steps.map(|it| self.estimate_one(it, arena)).sum()
            }
            _ => self.estimate_one(*step, arena),
        });
        each.sum()
    }

    fn estimate_one(&self, step: Step, arena: &Arena) -> f64 {
        let Some(kind) = kind(step.test, arena) else {
            return f64::INFINITY;
        };
        let count = self.counts.get(&(step.path, kind)).copied().unwrap_or(1);
        let count = f64::from(count.max(1));
        match kind {
            Kind::Value => 0.1 / count,
            Kind::Network => 0.11 / count,
            Kind::Affix => 0.15 / count.min(affix_values(step.test)),
            Kind::Wildcard => 0.2 / count,
            // Ranges overlap; how many there are says little about each.
            Kind::Range => 0.2 / count.min(8.0),
            Kind::OpenRange => 0.5,
            Kind::Exists => 0.9,
        }
    }
}

/// A topic that is one of so many is guessed to come as often as a value that is one of so many.
pub(super) fn estimate_topic(count: usize) -> f64 {
    0.105 / u32::try_from(count).map_or(f64::MAX, f64::from).max(1.0)
}

/// Whether a test can be an access.
pub(super) fn is_access(test: Test, arena: &Arena) -> bool {
    match test {
        Test::Any(span) => span
            .of(&arena.tests)
            .iter()
            .all(|it| kind(*it, arena).is_some()),
        test => kind(test, arena).is_some(),
    }
}

fn kind(test: Test, arena: &Arena) -> Option<Kind> {
    Some(match test {
        Test::Null | Test::Boolean(_) | Test::Number(_) | Test::Text(_) | Test::FoldedText(_) => {
            Kind::Value
        }
        Test::Network(_) => Kind::Network,
        Test::Prefix(_) | Test::FoldedPrefix(_) | Test::Suffix(_) | Test::FoldedSuffix(_) => {
            Kind::Affix
        }
        Test::Wildcard(id) => {
            let run = arena.wildcards.get(id as usize).map(Wildcard::longest_run);
            return run.filter(|it| *it >= MIN_RUN).map(|_| Kind::Wildcard);
        }
        Test::Range(id) => match arena.ranges.get(id as usize) {
            Some(range) if range.is_open() => Kind::OpenRange,
            _ => Kind::Range,
        },
        Test::Integer(id) => match arena.integers.get(id as usize) {
            Some((low, high)) if low == high => Kind::Value,
            Some((i64::MIN, _) | (_, i64::MAX)) => Kind::OpenRange,
            _ => Kind::Range,
        },
        Test::Exists => Kind::Exists,
        Test::Missing | Test::AnythingBut(_) | Test::Any(_) => return None,
    })
}

/// How many values an affix of this length may tell apart.
fn affix_values(test: Test) -> f64 {
    match test {
        Test::Prefix(span)
        | Test::FoldedPrefix(span)
        | Test::Suffix(span)
        | Test::FoldedSuffix(span) => f64::from(8_u32.saturating_pow(span.len)),
        _ => 1.0,
    }
}
