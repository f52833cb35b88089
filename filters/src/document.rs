//! What rules read of one event: its leaves, and which of them stand in the same object.

mod marks;
mod scan;
mod text;

use crate::{
    AttributeValue, Attributes, DataView, Number,
    decode::Decoded,
    paths::{DATA, EVENT, PathId, Paths},
};

/// The leaves that one event has at the paths that rules read. Its memory is used again for the next event.
#[derive(Debug, Default)]
pub(crate) struct Document {
    leaves: Vec<Leaf>,
    /// Objects that are elements of arrays, behind the event itself: what stands in the same one has the same instance.
    instances: Vec<Instance>,
    numbers: Vec<Number>,
    /// Texts that are names of numbers.
    named: Vec<Named>,
    /// Texts that were written with escapes, without them.
    decoded: Vec<u8>,
    scan: scan::Memory,
    slots: Vec<Slot>,
    event: u32,
    /// By path and instance; only where there is more than one instance.
    leaf_order: Vec<u32>,
    instance_order: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(crate) path: PathId,
    instance: InstanceId,
    /// The leaf before it at the same path.
    next: u32,
    pub(crate) value: LeafValue,
}

/// A leaf's value; texts by where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeafValue {
    /// A later field with the same key took its place.
    Dead,
    Null,
    Boolean(bool),
    Number(u32),
    /// Start and end in the payload.
    Payload(u32, u32),
    /// Start and end among the decoded texts.
    Decoded(u32, u32),
    /// An attribute, by its place.
    Attribute(u32),
    /// A text that is the name of a number, by its place among those.
    Named(u32),
}

/// Start and end in the payload, and the place of the number.
#[derive(Clone, Copy, Debug)]
struct Named {
    text: (u32, u32),
    number: u32,
}

pub(crate) type InstanceId = u32;

/// The event itself, and every object that is no element of an array in it.
pub(crate) const WHOLE: InstanceId = 0;

#[derive(Clone, Copy, Debug)]
struct Instance {
    parent: InstanceId,
    /// Of the array that it is an element of.
    path: PathId,
    is_dead: bool,
}

/// The last leaf of a path, if it is of this event.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    event: u32,
    first: u32,
}

const NONE: u32 = u32::MAX;
/// Elements of each buffer that are kept for the next event.
const KEPT: usize = 1 << 14;

/// The payload is not what JSON is: too deep, or broken where it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Document {
    /// Forgets the event before.
    pub(crate) fn begin(&mut self, paths: &Paths) {
        trim(&mut self.leaves);
        trim(&mut self.instances);
        trim(&mut self.numbers);
        trim(&mut self.named);
        trim(&mut self.decoded);
        trim(&mut self.leaf_order);
        trim(&mut self.instance_order);
        self.scan.trim(KEPT);
        self.instances.push(Instance {
            parent: WHOLE,
            path: EVENT,
            is_dead: false,
        });
        if self.event == u32::MAX {
            self.slots.clear();
            self.event = 0;
        }
        self.event += 1;
        if self.slots.len() < paths.len() {
            self.slots.resize(paths.len(), Slot::default());
        }
    }

    /// Takes the attributes that rules read.
    pub(crate) fn read_attributes(&mut self, attributes: &Attributes<'_>, paths: &Paths) {
        for (index, (name, value)) in (0..).zip(attributes.iter()) {
            let Some(path) = paths.child(EVENT, name.as_bytes()).filter(|it| *it != DATA) else {
                continue;
            };
            let value = match value {
                AttributeValue::Boolean(value) => LeafValue::Boolean(*value),
                AttributeValue::Integer(value) => self.number(Number::from(i64::from(*value))),
                AttributeValue::Text(_) => LeafValue::Attribute(index),
            };
            self.push(path, WHOLE, value);
        }
        self.link(0);
    }

    /// Takes the leaves of the payload that rules read; none of them where it is malformed.
    pub(crate) fn read_data(&mut self, data: DataView<'_>, paths: &Paths) -> Result<(), Malformed> {
        let before = self.leaves.len();
        self.read_leaves(data, paths)?;
        self.link(before);
        if self.has_instances() {
            self.sort();
        }
        Ok(())
    }

    fn read_leaves(&mut self, data: DataView<'_>, paths: &Paths) -> Result<(), Malformed> {
        match data {
            DataView::Absent => Ok(()),
            DataView::Opaque => Err(Malformed),
            DataView::Text(text) => {
                let end = u32::try_from(text.len()).map_err(|_| Malformed)?;
                self.push(DATA, WHOLE, LeafValue::Payload(0, end));
                Ok(())
            }
            DataView::Json(json) => self.read_json(json, None, paths),
            DataView::Decoded(decoded) => self.read_json(decoded.json(), Some(decoded), paths),
            DataView::Unchecked { bytes, is_declared } => {
                // Who reads `data` itself would see a text that only begins like JSON.
                let may_be_text = !is_declared && paths.is_read(DATA);
                if !may_be_text && self.read_json(bytes, None, paths).is_ok() {
                    return Ok(());
                }
                self.read_leaves(data.checked(), paths)
            }
        }
    }

    fn read_json(
        &mut self,
        json: &[u8],
        decoded: Option<&Decoded>,
        paths: &Paths,
    ) -> Result<(), Malformed> {
        let before = self.leaves.len();
        if scan::scan(json, decoded, paths, self).is_none() {
            self.leaves.truncate(before);
            self.instances.truncate(1);
            return Err(Malformed);
        }
        Ok(())
    }

    /// All leaves, from number `start`; some of them may be [`LeafValue::Dead`].
    pub(crate) fn leaves_from(&self, start: usize) -> &[Leaf] {
        self.leaves.get(start..).unwrap_or_default()
    }

    pub(crate) fn leaf_count(&self) -> usize {
        self.leaves.len()
    }

    /// Whether fields of one array element must be told from those of another.
    pub(crate) fn has_instances(&self) -> bool {
        self.instances.len() > 1
    }

    /// The leaves at `path`, wherever they stand.
    pub(crate) fn leaves_at(&self, path: PathId) -> impl Iterator<Item = LeafValue> {
        let slot = self.slots.get(path as usize);
        let first = slot.filter(|it| it.event == self.event).map(|it| it.first);
        let leaf = |at: u32| self.leaves.get(at as usize);
        std::iter::successors(first.and_then(leaf), move |it| leaf(it.next)).map(|it| it.value)
    }

    /// The leaves at `path` that stand in `instance` itself.
    pub(crate) fn leaves_in(
        &self,
        path: PathId,
        instance: InstanceId,
    ) -> impl Iterator<Item = LeafValue> {
        let of = |at: &u32| self.leaves.get(*at as usize).copied();
        let start = self.leaf_order.partition_point(|at| {
            of(at).is_some_and(|it| (it.path, it.instance) < (path, instance))
        });
        let behind = self.leaf_order.get(start..).unwrap_or_default().iter();
        behind
            .map_while(of)
            .take_while(move |it| it.path == path && it.instance == instance)
            .map(|it| it.value)
    }

    /// The objects in the array at `path` of `instance`.
    pub(crate) fn elements(&self, path: PathId, instance: InstanceId) -> &[InstanceId] {
        let key = |at: &InstanceId| {
            let of = self.instances.get(*at as usize);
            of.map(|it| (it.path, it.parent))
        };
        let start = self
            .instance_order
            .partition_point(|at| key(at) < Some((path, instance)));
        let behind = self.instance_order.get(start..).unwrap_or_default();
        let end = behind.partition_point(|at| key(at) <= Some((path, instance)));
        behind.get(..end).unwrap_or_default()
    }

    /// The number of a leaf that is one, or the name of one.
    pub(crate) fn number_of(&self, value: LeafValue) -> Option<&Number> {
        let id = match value {
            LeafValue::Number(id) => id,
            LeafValue::Named(place) => self.named.get(place as usize)?.number,
            _ => return None,
        };
        self.numbers.get(id as usize)
    }

    /// The text of a leaf that is one.
    pub(crate) fn text<'a>(
        &'a self,
        value: LeafValue,
        payload: &'a [u8],
        attributes: &'a Attributes<'_>,
    ) -> Option<&'a [u8]> {
        match value {
            LeafValue::Payload(start, end) => payload.get(start as usize..end as usize),
            LeafValue::Named(place) => {
                let (start, end) = self.named.get(place as usize)?.text;
                payload.get(start as usize..end as usize)
            }
            LeafValue::Decoded(start, end) => self.decoded.get(start as usize..end as usize),
            LeafValue::Attribute(index) => match attributes.nth(index as usize) {
                Some(AttributeValue::Text(text)) => Some(text.as_bytes()),
                _ => None,
            },
            _ => None,
        }
    }

    fn push(&mut self, path: PathId, instance: InstanceId, value: LeafValue) {
        self.leaves.push(Leaf {
            path,
            instance,
            next: NONE,
            value,
        });
    }

    fn number(&mut self, number: Number) -> LeafValue {
        self.numbers.push(number);
        LeafValue::Number(index(self.numbers.len() - 1))
    }

    fn named(&mut self, text: (u32, u32), number: i32) -> LeafValue {
        self.numbers.push(Number::from(i64::from(number)));
        let number = index(self.numbers.len() - 1);
        self.named.push(Named { text, number });
        LeafValue::Named(index(self.named.len() - 1))
    }

    /// Chains the leaves from number `start` to those of their path.
    fn link(&mut self, start: usize) {
        for (at, leaf) in self.leaves.iter_mut().enumerate().skip(start) {
            if leaf.value == LeafValue::Dead {
                continue;
            }
            if let Some(slot) = self.slots.get_mut(leaf.path as usize) {
                leaf.next = if slot.event == self.event {
                    slot.first
                } else {
                    NONE
                };
                *slot = Slot {
                    event: self.event,
                    first: index(at),
                };
            }
        }
    }

    fn sort(&mut self) {
        let live = self.leaves.iter().enumerate();
        let live = live.filter(|(_, it)| it.value != LeafValue::Dead);
        self.leaf_order.extend(live.map(|(at, _)| index(at)));
        let leaves = &self.leaves;
        self.leaf_order.sort_by_key(|at| {
            let leaf = leaves.get(*at as usize);
            leaf.map(|it| (it.path, it.instance))
        });
        let live = self.instances.iter().enumerate().skip(1);
        let live = live.filter(|(_, it)| !it.is_dead);
        self.instance_order.extend(live.map(|(at, _)| index(at)));
        let instances = &self.instances;
        self.instance_order.sort_by_key(|at| {
            let instance = instances.get(*at as usize);
            instance.map(|it| (it.path, it.parent))
        });
    }
}

/// Empties a buffer, and gives back what one large event made of it.
fn trim<T>(buffer: &mut Vec<T>) {
    buffer.clear();
    buffer.shrink_to(KEPT);
}

/// Places in a payload, of which [`scan::scan`] takes none that is longer than 32 bits can say.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}
