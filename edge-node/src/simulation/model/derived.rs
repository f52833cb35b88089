//! What stages of rules derive: of the inputs of a window in fives, and of topics that fall silent.

use std::collections::{BTreeMap, BTreeSet};

use spool::Seq;

/// The rules of every other seed.
pub(in super::super) const RULES: &str = r#"
[[rule]]
name = "five"
topic = "t/#"
[[rule.step]]
window = { count = 5, idle = "1d", emit-topic = "five", values = { n = "count()" } }
key = ["$.specversion"]

[[rule]]
name = "silence"
topic = "r/#"
[[rule.step]]
absence = { after = "5s", emit-topic = "silent" }
"#;

/// What the sink was shown of inputs and of what was derived of them.
#[derive(Debug, Default)]
pub(in super::super) struct Derivations {
    /// Whether the node has the rules.
    pub(in super::super) are_made: bool,
    inputs: BTreeSet<Seq>,
    /// Topics whose silence is noticed.
    watched: BTreeSet<String>,
    derived: BTreeMap<String, (Seq, Vec<u8>)>,
}

impl Derivations {
    /// An event that the window took, or the watch over silence.
    pub(in super::super) fn show_input(&mut self, seq: Seq, topic: &str) {
        if self.are_made && topic.starts_with("t/") {
            self.inputs.insert(seq);
        }
        if self.are_made && topic.starts_with("r/") {
            self.watched.insert(topic.to_owned());
        }
    }

    /// A derived event; whatever happens to the node, one of this id is at one place and says the same.
    pub(in super::super) fn show_derived(&mut self, id: String, seq: Seq, data: &[u8]) {
        let here = (seq, data.to_vec());
        let before = self.derived.entry(id).or_insert_with(|| here.clone());
        assert_eq!(*before, here, "derived twice");
    }

    pub(super) fn count(&self) -> u64 {
        self.derived.len() as u64
    }

    /// Nothing moves any more.
    pub(super) fn check(&self) {
        self.check_windows();
        self.check_silences();
    }

    /// Every five inputs, in the order of the log, are one window.
    fn check_windows(&self) {
        let ids = self.derived.keys();
        let ranges = ids.filter_map(|id| {
            let (first, last) = id
                .strip_prefix("five/0/")?
                .split_once('/')?
                .1
                .split_once('-')?;
            Some((first.parse().unwrap(), last.parse().unwrap()))
        });
        let windows: BTreeSet<(u64, u64)> = ranges.collect();
        let inputs: Vec<u64> = self.inputs.iter().map(|it| it.0).collect();
        let fives = inputs.chunks_exact(5).map(|five| (five[0], five[4]));
        assert_eq!(windows, fives.collect());
    }

    /// A topic falls silent, returns, and falls silent: one after the other, and in the end all are silent.
    fn check_silences(&self) {
        let mut said: BTreeMap<&str, Vec<(Seq, &str)>> = BTreeMap::new();
        for (id, (seq, _)) in &self.derived {
            let Some(rest) = id.strip_prefix("silence/0/") else {
                continue;
            };
            let mut parts = rest.splitn(3, '/');
            let word = parts.next().unwrap();
            let topic = parts.nth(1).unwrap();
            said.entry(topic).or_default().push((*seq, word));
        }
        for topic in &self.watched {
            let mut words = said.remove(topic.as_str()).unwrap_or_default();
            words.sort();
            let wanted = ["absent", "returned"].iter().cycle();
            let is_turn = words.iter().zip(wanted).all(|((_, word), it)| word == it);
            assert!(is_turn && words.len() % 2 == 1, "{topic}: {words:?}");
        }
        assert!(said.is_empty(), "nobody spoke: {said:?}");
    }
}
