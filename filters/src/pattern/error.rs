use std::fmt;

use crate::{NetworkError, WildcardError};

use super::{MAX_BRANCHES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH};

/// What is wrong with the text of a pattern, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What it is.
    pub problem: PatternProblem,
    /// The word that was probably meant.
    pub nearest: Option<&'static str>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// No JSON at this place.
    #[error("no valid JSON: expected {0}")]
    Json(&'static str),
    /// More than [`MAX_PATTERN_BYTES`].
    #[error("it is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// Something behind the pattern.
    #[error("something stands behind the end of the pattern")]
    Trailing,
    /// A key stands twice in one object.
    #[error("the key `{0}` stands here twice")]
    Twice(String),
    /// `{}`, which would ask nothing.
    #[error("an object without any field asks nothing")]
    EmptyObject,
    /// `[]`, which nothing could satisfy.
    #[error("an empty list is satisfied by nothing")]
    EmptyList,
    /// A field whose value is neither a list nor an object.
    #[error("`{0}` takes a list of conditions, as in `[\"a\", \"b\"]`")]
    NoList(String),
    /// An attribute whose value is an object.
    #[error(
        "`{0}` is an attribute and has no fields: give a list of conditions; only `data` has fields"
    )]
    AttributeObject(String),
    /// A name that no attribute can have.
    #[error(
        "`{0}` is no name of an attribute (lower-case letters and digits); fields of the payload stand inside `data`"
    )]
    AttributeName(String),
    /// A list inside the list of conditions.
    #[error("a list of conditions holds no list")]
    NestedList,
    /// An unknown word where a condition stands.
    #[error("`{0}` is no condition")]
    UnknownCondition(String),
    /// A condition object with more or less than one key.
    #[error("a condition is an object with exactly one key")]
    OneKey,
    /// A condition's value of another type.
    #[error("`{condition}` takes {takes}")]
    Takes {
        /// The word.
        condition: &'static str,
        /// What it is followed by.
        takes: &'static str,
    },
    /// An unknown word inside `anything-but`, `prefix` or `suffix`.
    #[error("`{inner}` cannot stand inside `{outer}`")]
    Inside {
        /// The condition around it.
        outer: &'static str,
        /// The word.
        inner: String,
    },
    /// An operator that is none.
    #[error("`{0}` is no numeric operator: they are `=`, `!=`, `<`, `<=`, `>`, `>=`")]
    Operator(String),
    /// Bounds that no number is between.
    #[error("no number satisfies these bounds")]
    NoNumber,
    /// An exponent beyond what is compared exactly.
    #[error("the exponent of this number is beyond 10^17")]
    Exponent,
    /// A faulty wildcard.
    #[error(transparent)]
    Wildcard(#[from] WildcardError),
    /// A faulty network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// `$or` with something else than two objects or more.
    #[error("`$or` takes a list of two or more objects")]
    Or,
    /// More than [`MAX_BRANCHES`].
    #[error("the branches of `$or` make more than {MAX_BRANCHES} combinations")]
    TooManyBranches,
    /// More than [`MAX_PATTERN_DEPTH`].
    #[error("objects stand inside each other more than {MAX_PATTERN_DEPTH} deep")]
    TooDeep,
}

impl PatternError {
    /// An error at byte `at` of `text`.
    pub(super) fn at(text: &str, at: usize, problem: PatternProblem) -> PatternError {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        PatternError {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            nearest: nearest(&problem),
            problem,
        }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "line {}, column {}: {}",
            self.line, self.column, self.problem
        )?;
        match self.nearest {
            Some(word) => write!(out, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PatternError {}

pub(super) const CONDITIONS: [&str; 8] = [
    "prefix",
    "suffix",
    "anything-but",
    "equals-ignore-case",
    "wildcard",
    "numeric",
    "cidr",
    "exists",
];
const ATTRIBUTES: [&str; 16] = [
    "data",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "specversion",
    "partitionkey",
    "mqtttopic",
    "traceparent",
    "sequence",
    "severity",
    "expirytime",
    "$or",
];
const OPERATORS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];

fn nearest(problem: &PatternProblem) -> Option<&'static str> {
    match problem {
        PatternProblem::UnknownCondition(word) => match word.as_str() {
            "not" | "anythingbut" | "anything_but" | "anythingBut" => Some("anything-but"),
            "ignore-case" | "ignorecase" | "equalsIgnoreCase" => Some("equals-ignore-case"),
            "startswith" | "starts-with" => Some("prefix"),
            "endswith" | "ends-with" => Some("suffix"),
            "exist" => Some("exists"),
            "ip" | "ip-address" => Some("cidr"),
            "like" | "glob" => Some("wildcard"),
            "number" | "range" => Some("numeric"),
            word => closest(word, &CONDITIONS),
        },
        PatternProblem::Inside { inner, .. } => closest(inner, &CONDITIONS),
        PatternProblem::AttributeName(name) => {
            let bare: String = name.to_lowercase().replace(['-', '_', ' '], "");
            closest(&bare, &ATTRIBUTES)
        }
        PatternProblem::Operator(operator) => match operator.as_str() {
            "==" => Some("="),
            "<>" => Some("!="),
            "=>" => Some(">="),
            "=<" => Some("<="),
            operator => OPERATORS.into_iter().find(|it| *it == operator.trim()),
        },
        _ => None,
    }
}

/// The word with the fewest differing letters, if they are few.
fn closest(word: &str, words: &[&'static str]) -> Option<&'static str> {
    let distances = words.iter().map(|it| (distance(word, it), *it));
    let (edits, nearest) = distances.min_by_key(|it| it.0)?;
    (edits <= (nearest.len() / 3).max(1)).then_some(nearest)
}

/// Letters to insert, delete or replace (Levenshtein); capped, so that a long word costs nothing.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > 2 * other.len() + 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, a) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let edited = (diagonal + usize::from(a != b))
                .min(*cell + 1)
                .min(left + 1);
            diagonal = std::mem::replace(cell, edited);
            left = edited;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
