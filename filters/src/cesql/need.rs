//! What an event must have for an expression to pass, seen before anything is evaluated: how an index finds the rule.
//!
//! It may say too much, never too little. That an attribute is read at all is such a need, because its absence is an error
//! and an error ends everything: `a = 'x' OR b = 'y'` needs an `a` whatever `b` is.

use crate::{Condition, Path, Scalar, cesql::attribute::Attribute, index::Access};

/// Sets that are kept where more are needed: the narrowest ones.
const MAX_SETS: usize = 8;
/// Conditions of one set. What needs more is found by its other sets, or not at all.
const MAX_SET: usize = 16_384;

/// What must hold of an event.
#[derive(Clone, Debug)]
pub(crate) enum Need {
    /// No event will do.
    Never,
    /// Of each set at least one. Without a set nothing is known.
    Sets(Vec<Vec<Access>>),
}

impl Need {
    pub(crate) fn anything() -> Need {
        Need::Sets(Vec::new())
    }

    /// One of these conditions on an attribute; none of them is never.
    pub(crate) fn one_of(
        attribute: &Attribute,
        conditions: impl IntoIterator<Item = Condition>,
    ) -> Need {
        let path = Path::Attribute(attribute.name().into());
        let access = |condition| Access {
            path: path.clone(),
            condition,
        };
        let set: Vec<Access> = conditions.into_iter().map(access).collect();
        if set.is_empty() {
            Need::Never
        } else {
            Need::Sets(vec![set])
        }
    }

    /// That the attribute is there; nothing for those that always are.
    pub(crate) fn exists(attribute: &Attribute) -> Need {
        if attribute.is_required() {
            Need::anything()
        } else {
            Need::one_of(attribute, [Condition::Exists])
        }
    }

    /// Both.
    pub(crate) fn and(self, other: Need) -> Need {
        let (Need::Sets(mut sets), Need::Sets(more)) = (self, other) else {
            return Need::Never;
        };
        for set in more {
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        if sets.len() > MAX_SETS {
            sets.sort_by_cached_key(|set| breadth(set));
            sets.truncate(MAX_SETS);
        }
        Need::Sets(sets)
    }

    /// One of the two: something of the narrowest set of each.
    pub(crate) fn or(self, other: Need) -> Need {
        let (left, right) = match (self, other) {
            (Need::Never, only) | (only, Need::Never) => return only,
            (Need::Sets(left), Need::Sets(right)) => (left, right),
        };
        let (Some(mut set), Some(more)) = (narrowest(left), narrowest(right)) else {
            return Need::anything();
        };
        if set == more {
            return Need::Sets(vec![set]);
        }
        if set.len() + more.len() > MAX_SET {
            return Need::anything();
        }
        set.extend(more);
        Need::Sets(vec![set])
    }

    /// As an index takes it: a set without conditions is one that no event has anything of.
    pub(crate) fn into_sets(self) -> Vec<Vec<Access>> {
        match self {
            Need::Never => vec![Vec::new()],
            Need::Sets(sets) => sets,
        }
    }
}

fn narrowest(mut sets: Vec<Vec<Access>>) -> Option<Vec<Access>> {
    // A chain of OR grows one set, which nobody has to look through.
    if sets.len() < 2 {
        return sets.pop();
    }
    sets.into_iter().min_by_key(|set| breadth(set))
}

/// How many events a set lets through, by a guess that only has to put sets in order.
fn breadth(set: &[Access]) -> (u8, usize) {
    let each = set.iter().map(|access| match &access.condition {
        Condition::Equals(Scalar::Text(_) | Scalar::Number(_)) => 0,
        Condition::Integer(low, high) if low == high => 1,
        Condition::EqualsIgnoreCase(_) | Condition::Equals(_) => 2,
        Condition::Wildcard(_) => 3,
        Condition::Prefix(text) | Condition::Suffix(text) if text.len() > 2 => 4,
        Condition::Prefix(_) | Condition::Suffix(_) => 6,
        Condition::Exists => 8,
        _ => 5,
    });
    (each.max().unwrap_or(0), set.len())
}
