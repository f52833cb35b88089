use std::ops::Range;

use crate::paths::PathId;

/// A condition, compiled: a few bytes, with what is longer in an [`Arena`](super::arena::Arena). Equal conditions are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// A piece of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// A test of the leaves at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Step {
    pub(super) path: PathId,
    pub(super) test: Test,
}

impl Span {
    pub(super) fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }

    pub(super) fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.range()).unwrap_or_default()
    }
}
