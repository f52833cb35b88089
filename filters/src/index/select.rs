use super::{
    arena::Arena,
    test::{Step, Test},
};
use crate::{
    Wildcard,
    hash::{IdTable, hash_word},
    paths::as_u32,
};

/// Bytes of a literal run by which a wildcard can be found.
const MIN_RUN: usize = 3;

/// Estimates how often an access holds, from how many different ones of its kind there are at its path: an event has one of
/// them, mostly.
#[derive(Debug, Default)]
pub(super) struct Selector {
    seen: IdTable,
    seen_steps: Vec<Step>,
    /// By path and kind.
    counts: Vec<[u32; KINDS]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Value,
    Network,
    Affix,
    Wildcard,
    Range,
    OpenRange,
    Exists,
}

const KINDS: usize = Kind::Exists as usize + 1;

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
            && self.is_new(step)
        {
            let path = step.path as usize;
            if self.counts.len() <= path {
                self.counts.resize(path + 1, [0; KINDS]);
            }
            if let Some(count) = self
                .counts
                .get_mut(path)
                .and_then(|it| it.get_mut(kind as usize))
            {
                *count += 1;
            }
        }
    }

    fn is_new(&mut self, step: Step) -> bool {
        let hash = hash_word(step.path.into(), step.test.digest());
        let is_it = |id: u32| self.seen_steps.get(id as usize) == Some(&step);
        if self.seen.find(hash, is_it).is_some() {
            return false;
        }
        self.seen.insert(hash, as_u32(self.seen_steps.len()));
        self.seen_steps.push(step);
        true
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
        let counts = self.counts.get(step.path as usize);
        let count = counts.and_then(|it| it.get(kind as usize)).copied();
        let count = f64::from(count.unwrap_or_default().max(1));
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
