mod condition;

use std::collections::HashSet;

use super::reader::{Kind, Reader, Result};
use super::{
    MAX_BRANCHES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH, Pattern, PatternProblem, fields::What,
};
use crate::is_attribute_name;

/// Where an object of a pattern stands: which keys it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Attributes and `data`.
    Event,
    /// Any key.
    Data,
}

pub(super) fn pattern(text: &str) -> Result<Pattern> {
    let mut reader = Reader::new(text);
    if text.len() > MAX_PATTERN_BYTES {
        return reader.error(0, PatternProblem::TooLong);
    }
    let start = reader.place();
    let mut pattern = Pattern::with_few_fields();
    let branches = fields(&mut reader, &mut pattern, Scope::Event, 0)?;
    reader.end()?;
    if branches > MAX_BRANCHES {
        return reader.error(start, PatternProblem::TooManyBranches);
    }
    Ok(pattern)
}

/// Reads an object; gives the combinations of all alternatives inside.
fn fields(
    reader: &mut Reader<'_>,
    pattern: &mut Pattern,
    scope: Scope,
    depth: usize,
) -> Result<usize> {
    let start = reader.place();
    if depth >= MAX_PATTERN_DEPTH {
        return reader.error(start, PatternProblem::TooDeep);
    }
    let mut keys = Keys::before(pattern);
    let mut has_alternatives = false;
    let mut is_first = true;
    let mut branches = 1_usize;
    while let Some((key, at)) = reader.next_key(is_first)? {
        is_first = false;
        let inside = if key == "$or" {
            if std::mem::replace(&mut has_alternatives, true) {
                return reader.error(at, PatternProblem::Twice(key.into()));
            }
            alternatives(reader, pattern, scope, depth)?
        } else {
            if keys.is_repeated(&key, pattern) {
                return reader.error(at, PatternProblem::Twice(key.into()));
            }
            wanted(reader, pattern, (&key, at), scope, depth)?
        };
        branches = branches.saturating_mul(inside);
    }
    if is_first {
        return reader.error(start, PatternProblem::EmptyObject);
    }
    Ok(branches)
}

/// The keys of one object.
struct Keys {
    /// Where its nodes begin.
    start: usize,
    count: usize,
    /// Where they are so many that they are not compared one by one.
    many: Option<HashSet<Box<[u8]>>>,
}

const MANY_KEYS: usize = 16;

impl Keys {
    /// Of an object whose nodes follow.
    fn before(pattern: &Pattern) -> Keys {
        Keys {
            start: pattern.end(),
            count: 0,
            many: None,
        }
    }

    /// Whether `key` stands among the fields before it.
    fn is_repeated(&mut self, key: &str, pattern: &Pattern) -> bool {
        let key = key.as_bytes();
        self.count += 1;
        if self.count <= MANY_KEYS {
            return pattern.keys_from(self.start).any(|it| it == key);
        }
        let all = || pattern.keys_from(self.start).map(Box::from).collect();
        !self.many.get_or_insert_with(all).insert(key.into())
    }
}

fn wanted(
    reader: &mut Reader<'_>,
    pattern: &mut Pattern,
    (key, at): (&str, usize),
    scope: Scope,
    depth: usize,
) -> Result<usize> {
    let is_attribute = scope == Scope::Event && key != "data";
    if is_attribute && !is_attribute_name(key) {
        return reader.error(at, PatternProblem::AttributeName(key.to_owned()));
    }
    let place = reader.place();
    match reader.kind()? {
        Kind::List => {
            let start = pattern.conditions.len();
            condition::list(reader, &mut pattern.conditions)?;
            pattern.push_leaf(key, start);
            Ok(1)
        }
        Kind::Object if is_attribute => {
            reader.error(place, PatternProblem::AttributeObject(key.to_owned()))
        }
        Kind::Object => {
            let node = pattern.open(What::Object, key);
            let branches = fields(reader, pattern, Scope::Data, depth + 1)?;
            pattern.close(node);
            Ok(branches)
        }
        _ => reader.error(place, PatternProblem::NoList(key.to_owned())),
    }
}

fn alternatives(
    reader: &mut Reader<'_>,
    pattern: &mut Pattern,
    scope: Scope,
    depth: usize,
) -> Result<usize> {
    let start = reader.place();
    if reader.kind()? != Kind::List {
        return reader.error(start, PatternProblem::Or);
    }
    let or = pattern.open(What::Or, "");
    let mut count = 0;
    let mut branches = 0_usize;
    while reader.next_element(count == 0)? {
        let place = reader.place();
        if reader.kind()? != Kind::Object {
            return reader.error(place, PatternProblem::Or);
        }
        let one = pattern.open(What::Object, "");
        branches = branches.saturating_add(fields(reader, pattern, scope, depth + 1)?);
        pattern.close(one);
        count += 1;
    }
    if count < 2 {
        return reader.error(start, PatternProblem::Or);
    }
    pattern.close(or);
    Ok(branches)
}
