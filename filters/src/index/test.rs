use crate::{hash::hash_word, paths::PathId, span::Span};

/// A condition, compiled: a few bytes, with what is longer in an [`Arena`](super::arena::Arena). Equal conditions are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Null,
    Boolean(bool),
    Number(u32),
    Text(Span),
    FoldedText(Span),
    Prefix(Span),
    FoldedPrefix(Span),
    Suffix(Span),
    FoldedSuffix(Span),
    Wildcard(u32),
    Range(u32),
    Integer(u32),
    Network(u32),
    Exists,
    Missing,
    /// None of these tests.
    AnythingBut(Span),
    /// One of these tests.
    Any(Span),
}

impl Test {
    /// What it is as one number, for hashing: other tests mostly have others.
    pub(super) fn digest(self) -> u64 {
        let span = |it: Span| u64::from(it.start) << 32 | u64::from(it.len);
        let (kind, what) = match self {
            Test::Null => (0, 0),
            Test::Boolean(value) => (1, value.into()),
            Test::Number(id) => (2, id.into()),
            Test::Text(text) => (3, span(text)),
            Test::FoldedText(text) => (4, span(text)),
            Test::Prefix(text) => (5, span(text)),
            Test::FoldedPrefix(text) => (6, span(text)),
            Test::Suffix(text) => (7, span(text)),
            Test::FoldedSuffix(text) => (8, span(text)),
            Test::Wildcard(id) => (9, id.into()),
            Test::Range(id) => (10, id.into()),
            Test::Integer(id) => (11, id.into()),
            Test::Network(id) => (12, id.into()),
            Test::Exists => (13, 0),
            Test::Missing => (14, 0),
            Test::AnythingBut(list) => (15, span(list)),
            Test::Any(list) => (16, span(list)),
        };
        hash_word(kind, what)
    }
}

/// A test of the leaves at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) path: PathId,
    pub(super) test: Test,
}
