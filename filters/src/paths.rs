use crate::hash::{IdTable, ends, hash};

/// Where values stand in an event, as a trie of keys: attributes and `data` below the root, fields below `data`. Its nodes
/// are numbered; it has those that some rule reads, and those on the way there.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
    children: IdTable,
    /// All keys, one after the other.
    keys: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Node {
    /// One bit for each child's length and first byte: most keys of an event are no child's, and end here.
    child_bits: u64,
    child_count: u32,
    last_child: PathId,
    /// The child of its parent before it.
    sibling: PathId,
    parent: PathId,
    /// Of its key.
    ends: (u64, u64),
    key_at: u32,
    key_len: u32,
    is_read: bool,
}

/// So many children are compared one by one, which is quicker than a look into the table.
const FEW: u32 = 8;
/// Bytes of a key of which its ends say all.
const SHORT: usize = 16;

/// A node of [`Paths`].
pub(crate) type PathId = u32;

/// The event as one object.
pub(crate) const EVENT: PathId = 0;
/// Its `data`.
pub(crate) const DATA: PathId = 1;

impl Paths {
    pub(crate) fn new() -> Paths {
        let mut paths = Paths {
            nodes: Vec::new(),
            children: IdTable::default(),
            keys: Vec::new(),
        };
        paths.push(EVENT, b"");
        paths.add(EVENT, "data");
        paths
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The field `key` of `parent`.
    pub(crate) fn child(&self, parent: PathId, key: &[u8]) -> Option<PathId> {
        self.children(parent).find(key)
    }

    fn find(&self, parent: PathId, key: &[u8]) -> Option<PathId> {
        let above = self.node(parent)?;
        if above.child_count > FEW {
            return self.children.find(hash_of(parent, key), |id| {
                self.node(id)
                    .is_some_and(|it| it.parent == parent && self.key_of(it) == key)
            });
        }
        let ends = ends(key);
        let mut child = above.last_child;
        for _ in 0..above.child_count {
            let node = self.node(child)?;
            if node.ends == ends
                && node.key_len as usize == key.len()
                && (key.len() <= SHORT || self.key_of(node) == key)
            {
                return Some(child);
            }
            child = node.sibling;
        }
        None
    }

    /// The fields of `parent`, for whoever looks for many.
    pub(crate) fn children(&self, parent: PathId) -> Children<'_> {
        Children {
            paths: self,
            parent,
            bits: self.node(parent).map_or(0, |it| it.child_bits),
        }
    }

    /// The same, put there if it is not.
    pub(crate) fn add(&mut self, parent: PathId, key: &str) -> PathId {
        let key = key.as_bytes();
        if let Some(there) = self.child(parent, key) {
            return there;
        }
        let id = self.push(parent, key);
        self.children.insert(hash_of(parent, key), id);
        id
    }

    /// Says that some rule reads the leaves at `path`.
    pub(crate) fn read(&mut self, path: PathId) {
        if let Some(node) = self.nodes.get_mut(path as usize) {
            node.is_read = true;
        }
    }

    pub(crate) fn is_read(&self, path: PathId) -> bool {
        self.node(path).is_some_and(|it| it.is_read)
    }

    pub(crate) fn has_children(&self, path: PathId) -> bool {
        self.node(path).is_some_and(|it| it.child_bits != 0)
    }

    /// Whether some rule reads an attribute.
    pub(crate) fn has_attributes(&self) -> bool {
        let behind_data = self.nodes.iter().skip(DATA as usize + 1);
        behind_data.into_iter().any(|it| it.parent == EVENT)
    }

    pub(crate) fn is_data(&self, path: PathId) -> bool {
        self.branch_towards(EVENT, path) == DATA
    }

    /// The child of `above` that `path` is, or is below of. `path` is below `above`.
    pub(crate) fn branch_towards(&self, above: PathId, path: PathId) -> PathId {
        let mut at = path;
        while let Some(node) = self.node(at) {
            if node.parent == above {
                break;
            }
            at = node.parent;
        }
        at
    }

    /// The nodes from the event to it: in their order, what is below one node stands together, behind it.
    pub(crate) fn ancestors(&self, path: PathId) -> Vec<PathId> {
        let parent = |at: &PathId| self.node(*at).filter(|_| *at != EVENT).map(|it| it.parent);
        let mut all: Vec<PathId> = std::iter::successors(Some(path), parent).collect();
        all.reverse();
        all
    }

    /// The keys to it, as a rule's author would say them: `type`, `data.temperature`.
    pub(crate) fn name(&self, path: PathId) -> String {
        let mut keys = Vec::new();
        let mut at = path;
        while let Some(node) = self.node(at).filter(|_| at != EVENT) {
            keys.push(String::from_utf8_lossy(self.key_of(node)));
            at = node.parent;
        }
        keys.reverse();
        keys.join(".")
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.children.heap_bytes()
            + self.keys.capacity()
    }

    pub(crate) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.keys.shrink_to_fit();
    }

    fn push(&mut self, parent: PathId, key: &[u8]) -> PathId {
        let id = as_u32(self.nodes.len());
        let mut sibling = EVENT;
        if id != EVENT
            && let Some(parent) = self.nodes.get_mut(parent as usize)
        {
            parent.child_bits |= bit(key);
            parent.child_count += 1;
            sibling = std::mem::replace(&mut parent.last_child, id);
        }
        self.nodes.push(Node {
            child_bits: 0,
            child_count: 0,
            last_child: EVENT,
            sibling,
            parent,
            ends: ends(key),
            key_at: as_u32(self.keys.len()),
            key_len: as_u32(key.len()),
            is_read: false,
        });
        self.keys.extend_from_slice(key);
        id
    }

    fn node(&self, path: PathId) -> Option<&Node> {
        self.nodes.get(path as usize)
    }

    fn key_of(&self, node: &Node) -> &[u8] {
        key_in(&self.keys, node)
    }
}

/// The fields of one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Children<'a> {
    paths: &'a Paths,
    parent: PathId,
    bits: u64,
}

impl Children<'_> {
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<PathId> {
        if self.bits & bit(key) == 0 {
            return None;
        }
        self.paths.find(self.parent, key)
    }
}

fn key_in<'a>(keys: &'a [u8], node: &Node) -> &'a [u8] {
    let start = node.key_at as usize;
    keys.get(start..start + node.key_len as usize)
        .unwrap_or_default()
}

fn hash_of(parent: PathId, key: &[u8]) -> u64 {
    hash(parent.into(), key)
}

fn bit(key: &[u8]) -> u64 {
    let first = key.first().copied().unwrap_or_default();
    1 << ((usize::from(first) * 5 + key.len()) & 63)
}

/// Sizes that the budget of a rule set keeps far below 2^32.
pub(crate) fn as_u32(size: usize) -> u32 {
    u32::try_from(size)
        .expect("the budget of a rule set ends before four thousand million of anything")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_below_its_parent_however_many_there_are_and_however_long() {
        let long = |at: usize| format!("at both ends{at:02}as the others");
        let short = (0..20).map(|len| "k".repeat(len));
        let keys: Vec<String> = short.chain((0..20).map(long)).collect();
        for count in 1..=keys.len() {
            let mut paths = Paths::new();
            let (known, others) = keys.split_at(count);
            let ids: Vec<PathId> = known.iter().map(|it| paths.add(DATA, it)).collect();
            let found = |key: &String| paths.child(DATA, key.as_bytes());
            assert!(known.iter().map(found).eq(ids.iter().copied().map(Some)));
            assert!(others.iter().all(|it| found(it).is_none()), "{count}");
            let below = paths.child(EVENT, b"kk");
            assert_eq!(below, None, "it is below `data`");
        }
    }
}
