mod holds;
mod why;

use super::{
    Index, RuleId,
    access::Sink,
    entry::{Entry, NO_TOPIC, What},
};
use crate::{
    AttributeValue, DataView, EventView,
    document::{Document, Leaf, LeafValue},
};
use holds::Holds;

/// Memory for matching, used again from event to event, with any index. Bounded: what one large event made of it is given
/// back.
#[derive(Debug, Default)]
pub struct Scratch {
    document: Document,
    pub(super) found: Sink,
    topics: TopicMarks,
    matched: Vec<RuleId>,
    /// Whether the payload of the event was read, and could be.
    has_data: bool,
    /// Payloads that were read.
    #[cfg(test)]
    pub(super) scans: usize,
}

/// Which topic filters match the event.
#[derive(Debug, Default)]
struct TopicMarks {
    event: u64,
    /// By topic filter: the last event it matched.
    marks: Vec<u64>,
}

impl Index {
    /// How many rules it holds.
    pub fn rule_count(&self) -> usize {
        self.rule_count as usize
    }

    /// Whether a rule reads attributes. If none does, a view without attributes matches the same rules.
    pub fn reads_attributes(&self) -> bool {
        self.has_attributes || !self.checks.is_empty()
    }

    /// The rules that match `event`, in the order in which they were added.
    pub fn matches<'s>(&self, event: &EventView<'_>, scratch: &'s mut Scratch) -> &'s [RuleId] {
        scratch.document.begin(&self.paths);
        scratch.matched.clear();
        scratch.found.begin();
        scratch.found.entries.extend_from_slice(&self.always);
        let mut reads_data = self.finds_in_data | self.find_by_topic(event, scratch);
        self.find_by_attributes(event, scratch);
        reads_data |= scratch.found.entries.iter().any(|it| self.reads_data(*it));
        scratch.has_data = reads_data && self.find_by_data(event, scratch);
        self.test_found(event, scratch);
        &scratch.matched
    }

    /// Whether an entry behind a topic filter that matches is found by something in `data`.
    fn find_by_topic(&self, event: &EventView<'_>, scratch: &mut Scratch) -> bool {
        let Some(topic) = event.topic.filter(|_| !self.topics.list.is_empty()) else {
            return false;
        };
        let Scratch { found, topics, .. } = scratch;
        topics.event += 1;
        if topics.marks.len() < self.topics.list.len() {
            topics.marks.resize(self.topics.list.len(), 0);
        }
        let mut finds_in_data = false;
        self.topics.trie.matches(topic, |id, ()| {
            let (mark, topic) = (topics.marks.get_mut(*id as usize), self.topics.get(*id));
            if let (Some(mark), Some(topic)) = (mark, topic) {
                *mark = topics.event;
                found.entries.extend_from_slice(&topic.entries);
                finds_in_data |= topic.finds_in_data;
            }
        });
        finds_in_data
    }

    fn find_by_attributes(&self, event: &EventView<'_>, scratch: &mut Scratch) {
        if !self.has_attributes {
            return;
        }
        let Scratch {
            document, found, ..
        } = scratch;
        document.read_attributes(&event.attributes, &self.paths);
        for leaf in document.leaves_from(0) {
            self.find_by_leaf(leaf, event, document, found);
            if !self.checks.is_empty() && !matches!(leaf.value, LeafValue::Attribute(_)) {
                let text = match leaf.value {
                    LeafValue::Boolean(value) => AttributeValue::Boolean(value).text().into_owned(),
                    LeafValue::Number(_) => document
                        .number_of(leaf.value)
                        .map(|it| it.to_string())
                        .unwrap_or_default(),
                    _ => continue,
                };
                self.tables.text(leaf.path, text.as_bytes(), found);
            }
        }
    }

    /// Whether the payload can be read.
    fn find_by_data(&self, event: &EventView<'_>, scratch: &mut Scratch) -> bool {
        #[cfg(test)]
        {
            scratch.scans += 1;
        }
        let Scratch {
            document, found, ..
        } = scratch;
        let before = document.leaf_count();
        if document.read_data(event.data, &self.paths).is_err() {
            return false;
        }
        for leaf in document.leaves_from(before) {
            self.find_by_leaf(leaf, event, document, found);
            found.bound();
        }
        true
    }

    fn find_by_leaf(
        &self,
        leaf: &Leaf,
        event: &EventView<'_>,
        document: &Document,
        found: &mut Sink,
    ) {
        match leaf.value {
            LeafValue::Dead => {}
            LeafValue::Null => self.tables.null(leaf.path, found),
            LeafValue::Boolean(value) => self.tables.boolean(leaf.path, value, found),
            LeafValue::Number(_) => {
                if let Some(number) = document.number_of(leaf.value) {
                    self.tables.number(leaf.path, number, found);
                }
            }
            value => {
                if let Some(number) = document.number_of(value) {
                    self.tables.number(leaf.path, number, found);
                }
                let text = document.text(value, payload(event), &event.attributes);
                self.tables.text(leaf.path, text.unwrap_or_default(), found);
            }
        }
    }

    fn holds<'a>(&'a self, event: &'a EventView<'_>, document: &'a Document) -> Holds<'a> {
        Holds {
            paths: &self.paths,
            arena: &self.arena,
            document,
            payload: payload(event),
            attributes: &event.attributes,
        }
    }

    fn test_found(&self, event: &EventView<'_>, scratch: &mut Scratch) {
        let Scratch {
            document,
            found,
            topics,
            matched,
            has_data,
            ..
        } = scratch;
        found.make_unique();
        let holds = self.holds(event, document);
        for entry in found
            .entries
            .iter()
            .filter_map(|it| self.entries.get(*it as usize))
        {
            let passes = (*has_data || !entry.reads_data)
                && (entry.topic == NO_TOPIC || topics.has(entry.topic, event))
                && match &entry.what {
                    What::Steps(steps) => holds.all(steps.of(&self.steps), entry.reads_data),
                    What::Check(at) => self
                        .checks
                        .get(*at as usize)
                        .is_some_and(|it| it.passes(event)),
                };
            // Entries of one rule follow each other.
            if passes && matched.last() != Some(&RuleId(entry.rule)) {
                matched.push(RuleId(entry.rule));
            }
        }
    }

    fn reads_data(&self, entry: u32) -> bool {
        self.entries
            .get(entry as usize)
            .is_some_and(|it: &Entry| it.reads_data)
    }
}

fn payload<'a>(event: &EventView<'a>) -> &'a [u8] {
    match event.data {
        DataView::Json(bytes) | DataView::Unchecked { bytes, .. } => bytes,
        DataView::Decoded(decoded) => decoded.json(),
        DataView::Text(text) => text.as_bytes(),
        DataView::Absent | DataView::Opaque => &[],
    }
}

impl TopicMarks {
    fn has(&self, topic: u32, event: &EventView<'_>) -> bool {
        event.topic.is_some() && self.marks.get(topic as usize) == Some(&self.event)
    }
}
