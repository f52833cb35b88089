use std::collections::{BTreeMap, HashMap};

use super::TopicFilter;

/// Topic filters with values, found by topic.
///
/// Finding costs in proportion to the topic's levels and the matches, not to the filters that are there: below each level
/// at most the level's own name and `+` are followed. There is no recursion. Memory is proportional to the most levels of
/// filters that were in it at once; what is removed makes room for what is put in later.
#[derive(Clone, Debug)]
pub struct TopicTrie<K, V> {
    /// Node 0 is the root; freed nodes are listed in `free`.
    nodes: Vec<Node<K, V>>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Node<K, V> {
    /// By the name of the level. Only looked up, never walked: its order reaches no output.
    named: HashMap<Box<str>, u32>,
    plus: Option<u32>,
    /// Of the filter that ends here.
    here: BTreeMap<K, V>,
    /// Of the filter that goes on with `#` from here.
    hash: BTreeMap<K, V>,
}

const ROOT: u32 = 0;

impl<K: Ord, V> TopicTrie<K, V> {
    /// An empty trie.
    pub fn new() -> TopicTrie<K, V> {
        TopicTrie {
            nodes: vec![Node::default()],
            free: Vec::new(),
            len: 0,
        }
    }

    /// How many pairs of filter and key it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts `value` under `filter` and `key`; gives back what stood there.
    pub fn insert(&mut self, filter: &TopicFilter, key: K, value: V) -> Option<V> {
        let mut at = ROOT;
        for level in filter.levels() {
            if level == "#" {
                let before = self.node_mut(at).hash.insert(key, value);
                self.len += usize::from(before.is_none());
                return before;
            }
            at = self
                .child(at, level)
                .unwrap_or_else(|| self.add_child(at, level));
        }
        let before = self.node_mut(at).here.insert(key, value);
        self.len += usize::from(before.is_none());
        before
    }

    /// What stands under `filter` and `key`.
    pub fn find(&self, filter: &TopicFilter, key: &K) -> Option<&V> {
        let mut at = ROOT;
        for level in filter.levels() {
            if level == "#" {
                return self.node(at).hash.get(key);
            }
            at = self.child(at, level)?;
        }
        self.node(at).here.get(key)
    }

    /// Takes out what stands under `filter` and `key`.
    pub fn remove(&mut self, filter: &TopicFilter, key: &K) -> Option<V> {
        let mut path = vec![(ROOT, "")];
        let mut hash = false;
        for level in filter.levels() {
            let (at, _) = *path.last()?;
            if level == "#" {
                hash = true;
            } else {
                path.push((self.child(at, level)?, level));
            }
        }
        let node = self.node_mut(path.last()?.0);
        let removed = if hash {
            node.hash.remove(key)
        } else {
            node.here.remove(key)
        }?;
        self.len -= 1;
        while let Some((at, level)) = path.pop() {
            match path.last() {
                Some(&(parent, _)) if self.node(at).is_empty() => {
                    self.drop_child(parent, level, at)
                }
                _ => break,
            }
        }
        Some(removed)
    }

    /// Shows each key and value whose filter matches `topic`: along the topic's own names first, `+` after them, a `#`
    /// before what lies below it, keys in order. The same pairs come in the same order whatever the order they were put in.
    pub fn matches<'a>(&'a self, topic: &str, mut visit: impl FnMut(&'a K, &'a V)) {
        if self.is_empty() {
            return;
        }
        self.walk(topic, |node, is_root, is_end| {
            if !is_root || !topic.starts_with('$') {
                node.hash.iter().for_each(|(key, value)| visit(key, value));
            }
            if is_end {
                node.here.iter().for_each(|(key, value)| visit(key, value));
            }
        });
    }

    /// Shows each node that `topic` leads to, whether it is the root, and whether the topic ends there.
    fn walk<'a>(&'a self, topic: &str, mut visit: impl FnMut(&'a Node<K, V>, bool, bool)) {
        // Each entry is a place to go on from: a node, and the rest of the topic below it.
        let mut branches: Vec<(u32, Option<&str>)> = Vec::new();
        let mut next = Some((ROOT, Some(topic)));
        while let Some((at, rest)) = next.take().or_else(|| branches.pop()) {
            let node = self.node(at);
            visit(node, at == ROOT, rest.is_none());
            let Some(rest) = rest else { continue };
            let (level, below) = match rest.split_once('/') {
                Some((level, below)) => (level, Some(below)),
                None => (rest, None),
            };
            if let (Some(plus), true) = (node.plus, at != ROOT || !topic.starts_with('$')) {
                branches.push((plus, below));
            }
            next = node.named.get(level).map(|named| (*named, below));
        }
    }

    fn node(&self, at: u32) -> &Node<K, V> {
        self.nodes
            .get(at as usize)
            .expect("indices of nodes come from the trie itself")
    }

    fn node_mut(&mut self, at: u32) -> &mut Node<K, V> {
        self.nodes
            .get_mut(at as usize)
            .expect("indices of nodes come from the trie itself")
    }

    fn child(&self, at: u32, level: &str) -> Option<u32> {
        let node = self.node(at);
        if level == "+" {
            node.plus
        } else {
            node.named.get(level).copied()
        }
    }

    fn add_child(&mut self, at: u32, level: &str) -> u32 {
        let child = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            u32::try_from(self.nodes.len() - 1)
                .expect("memory ends before four thousand million nodes")
        });
        let node = self.node_mut(at);
        if level == "+" {
            node.plus = Some(child);
        } else {
            node.named.insert(level.into(), child);
        }
        child
    }

    fn drop_child(&mut self, parent: u32, level: &str, child: u32) {
        *self.node_mut(child) = Node::default();
        self.free.push(child);
        let node = self.node_mut(parent);
        if level == "+" {
            node.plus = None;
        } else {
            node.named.remove(level);
        }
    }

    /// Nodes that finding the matches of `topic` looks at.
    #[cfg(test)]
    pub(super) fn walked_count(&self, topic: &str) -> usize {
        let mut count = 0;
        self.walk(topic, |_, _, _| count += 1);
        count
    }

    /// Nodes in use, the root among them.
    #[cfg(test)]
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() - self.free.len()
    }
}

impl<K: Ord, V> Default for TopicTrie<K, V> {
    fn default() -> TopicTrie<K, V> {
        TopicTrie::new()
    }
}

impl<K, V> Default for Node<K, V> {
    fn default() -> Node<K, V> {
        Node {
            named: HashMap::new(),
            plus: None,
            here: BTreeMap::new(),
            hash: BTreeMap::new(),
        }
    }
}

impl<K, V> Node<K, V> {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.plus.is_none() && self.here.is_empty() && self.hash.is_empty()
    }
}
