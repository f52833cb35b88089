use super::Pattern;
use crate::{Condition, paths::as_u32, span::Span};

/// A field of a pattern, an `$or`, or one of the objects in that. What is inside stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    what: What,
    /// Of a field: in the keys of the pattern.
    key: Span,
    /// So many nodes.
    inside: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A field with these conditions of the pattern.
    Leaf(Span),
    /// A field with others inside, or one of the objects of `$or`.
    Object,
    /// `$or`.
    Or,
}

/// What is asked of one object, in the order of the text: at least one field or alternative, keys unique.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pattern: &'a Pattern,
    nodes: &'a [Node],
}

/// What is asked of one field, or beside the fields.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    /// Of the leaves of a field: one of these conditions, of which there is at least one.
    Leaf(&'a str, &'a [Condition]),
    /// Of the object that a field is.
    Object(&'a str, Fields<'a>),
    /// What one of these objects asks: there are two or more. Stands once.
    Or(Alternatives<'a>),
}

/// The objects of an `$or`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alternatives<'a>(Fields<'a>);

impl Pattern {
    /// What is asked of the event as one object: its attributes, and `data`.
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields {
            pattern: self,
            nodes: &self.nodes,
        }
    }

    /// The keys of the fields of the object whose nodes begin at `place` and are the last.
    pub(super) fn keys_from(&self, place: usize) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.nodes.get(place..).unwrap_or_default();
        let own = std::iter::from_fn(move || {
            let (node, behind) = rest.split_first()?;
            rest = behind.get(node.inside as usize..).unwrap_or_default();
            Some(node)
        });
        own.filter(|it| it.what != What::Or)
            .map(|it| it.key.of(self.keys.as_bytes()))
    }

    /// The place of the next node.
    pub(super) fn end(&self) -> usize {
        self.nodes.len()
    }

    /// Empty, with room for what most patterns ask.
    pub(super) fn with_few_fields() -> Pattern {
        Pattern {
            nodes: Vec::with_capacity(8),
            keys: String::with_capacity(64),
            conditions: Vec::with_capacity(4),
        }
    }

    /// A field with the conditions from place `start` on.
    pub(super) fn push_leaf(&mut self, key: &str, start: usize) {
        let conditions = Span {
            start: as_u32(start),
            len: as_u32(self.conditions.len() - start),
        };
        self.open(What::Leaf(conditions), key);
    }

    /// Begins a node, which is to be ended with [`Pattern::close`]; gives its place.
    pub(super) fn open(&mut self, what: What, key: &str) -> usize {
        self.nodes.push(Node {
            what,
            key: Span {
                start: as_u32(self.keys.len()),
                len: as_u32(key.len()),
            },
            inside: 0,
        });
        self.keys.push_str(key);
        self.nodes.len() - 1
    }

    /// What was put there since [`Pattern::open`] is inside of the node.
    pub(super) fn close(&mut self, place: usize) {
        let inside = self.nodes.len() - 1 - place;
        if let Some(node) = self.nodes.get_mut(place) {
            node.inside = as_u32(inside);
        }
    }
}

impl<'a> Fields<'a> {
    /// The next node, and what is inside of it.
    fn next_node(&mut self) -> Option<(Node, Fields<'a>)> {
        let (node, behind) = self.nodes.split_first()?;
        let (nodes, rest) = behind.split_at_checked(node.inside as usize)?;
        self.nodes = rest;
        let pattern = self.pattern;
        Some((*node, Fields { pattern, nodes }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Asked<'a>;

    fn next(&mut self) -> Option<Asked<'a>> {
        let pattern = self.pattern;
        let (node, inside) = self.next_node()?;
        let key = pattern.keys.get(node.key.range()).unwrap_or_default();
        Some(match node.what {
            What::Leaf(span) => Asked::Leaf(key, span.of(&pattern.conditions)),
            What::Object => Asked::Object(key, inside),
            What::Or => Asked::Or(Alternatives(inside)),
        })
    }
}

impl<'a> Iterator for Alternatives<'a> {
    type Item = Fields<'a>;

    fn next(&mut self) -> Option<Fields<'a>> {
        Some(self.0.next_node()?.1)
    }
}
