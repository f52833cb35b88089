mod condition;

use std::collections::HashSet;

use super::reader::{Kind, Reader};
use super::{
    Field, Fields, MAX_BRANCHES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH, PatternError,
    PatternProblem, Wanted,
};
use crate::is_attribute_name;

type Result<T> = std::result::Result<T, PatternError>;

/// Where an object of a pattern stands: which keys it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Attributes and `data`.
    Event,
    /// Any key.
    Data,
}

pub(super) fn pattern(text: &str) -> Result<Fields> {
    let mut reader = Reader::new(text);
    if text.len() > MAX_PATTERN_BYTES {
        return reader.error(0, PatternProblem::TooLong);
    }
    let start = reader.place();
    let root = fields(&mut reader, Scope::Event, 0)?;
    reader.end()?;
    if branches(&root) > MAX_BRANCHES {
        return reader.error(start, PatternProblem::TooManyBranches);
    }
    Ok(root)
}

fn fields(reader: &mut Reader<'_>, scope: Scope, depth: usize) -> Result<Fields> {
    let start = reader.place();
    if depth >= MAX_PATTERN_DEPTH {
        return reader.error(start, PatternProblem::TooDeep);
    }
    let mut all = Fields::default();
    let mut keys = Keys::default();
    let mut is_first = true;
    while let Some((key, at)) = reader.next_key(is_first)? {
        is_first = false;
        if key == "$or" {
            if !all.alternatives.is_empty() {
                return reader.error(at, PatternProblem::Twice(key.into()));
            }
            all.alternatives = alternatives(reader, scope, depth)?;
            continue;
        }
        if keys.is_repeated(&key, &all.fields) {
            return reader.error(at, PatternProblem::Twice(key.into()));
        }
        let wanted = wanted(reader, &key, at, scope, depth)?;
        all.fields.push(Field {
            key: key.into(),
            wanted,
        });
    }
    if is_first {
        return reader.error(start, PatternProblem::EmptyObject);
    }
    Ok(all)
}

/// The keys of an object that has many; those of others are compared one by one.
#[derive(Default)]
struct Keys(HashSet<Box<str>>);

const MANY_KEYS: usize = 16;

impl Keys {
    /// Whether `key` stands among `fields`, which are those before it.
    fn is_repeated(&mut self, key: &str, fields: &[Field]) -> bool {
        if fields.len() < MANY_KEYS {
            return fields.iter().any(|it| &*it.key == key);
        }
        if self.0.is_empty() {
            self.0.extend(fields.iter().map(|it| it.key.clone()));
        }
        !self.0.insert(key.into())
    }
}

fn wanted(
    reader: &mut Reader<'_>,
    key: &str,
    at: usize,
    scope: Scope,
    depth: usize,
) -> Result<Wanted> {
    let is_attribute = scope == Scope::Event && key != "data";
    if is_attribute && !is_attribute_name(key) {
        return reader.error(at, PatternProblem::AttributeName(key.to_owned()));
    }
    let place = reader.place();
    match reader.kind()? {
        Kind::List => Ok(Wanted::Leaf(condition::list(reader)?)),
        Kind::Object if is_attribute => {
            reader.error(place, PatternProblem::AttributeObject(key.to_owned()))
        }
        Kind::Object => Ok(Wanted::Object(fields(reader, Scope::Data, depth + 1)?)),
        _ => reader.error(place, PatternProblem::NoList(key.to_owned())),
    }
}

fn alternatives(reader: &mut Reader<'_>, scope: Scope, depth: usize) -> Result<Vec<Fields>> {
    let start = reader.place();
    let mut all = Vec::new();
    if reader.kind()? != Kind::List {
        return reader.error(start, PatternProblem::Or);
    }
    while reader.next_element(all.is_empty())? {
        let place = reader.place();
        if reader.kind()? != Kind::Object {
            return reader.error(place, PatternProblem::Or);
        }
        all.push(fields(reader, scope, depth + 1)?);
    }
    if all.len() < 2 {
        return reader.error(start, PatternProblem::Or);
    }
    Ok(all)
}

/// Combinations of all alternatives inside.
fn branches(fields: &Fields) -> usize {
    let inside = fields.fields.iter().map(|it| match &it.wanted {
        Wanted::Leaf(_) => 1,
        Wanted::Object(fields) => branches(fields),
    });
    let own = match &*fields.alternatives {
        [] => 1,
        all => all.iter().map(branches).fold(0, usize::saturating_add),
    };
    inside.fold(own, usize::saturating_mul)
}
