//! The names of the one directory, and which changes of them a crash may keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

type Entries = BTreeMap<String, u64>;

#[derive(Default)]
pub(super) struct Names {
    live: Entries,
    durable: Entries,
    /// Changes since the last sync, in order.
    pending: Vec<Change>,
}

enum Change {
    Link {
        name: String,
        inode: u64,
    },
    Rename {
        from: String,
        to: String,
        inode: u64,
    },
    Unlink {
        name: String,
    },
}

impl Names {
    pub(super) fn durable(entries: Entries) -> Names {
        Names {
            live: entries.clone(),
            durable: entries,
            pending: Vec::new(),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<u64> {
        self.live.get(name).copied()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (&String, &u64)> {
        self.live.iter()
    }

    /// Everything a name leads to, now or after some crash.
    pub(super) fn inodes(&self) -> BTreeSet<u64> {
        let pending = self.pending.iter().filter_map(|change| match change {
            Change::Link { inode, .. } | Change::Rename { inode, .. } => Some(*inode),
            Change::Unlink { .. } => None,
        });
        self.live
            .values()
            .chain(self.durable.values())
            .copied()
            .chain(pending)
            .collect()
    }

    pub(super) fn link(&mut self, name: &str, inode: u64) {
        self.change(Change::Link {
            name: name.to_owned(),
            inode,
        });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.find(from).ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            inode,
        });
        Ok(())
    }

    pub(super) fn unlink(&mut self, name: &str) -> io::Result<()> {
        self.find(name).ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Unlink {
            name: name.to_owned(),
        });
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.live.clone();
        self.pending.clear();
    }

    /// The names a new process finds, and whether the file system kept a journal.
    pub(super) fn after_crash(&self, rng: &mut fastrand::Rng) -> (Names, bool) {
        let mut entries = self.durable.clone();
        let journaling = rng.bool();
        if journaling {
            let kept = rng.usize(..=self.pending.len());
            self.pending
                .iter()
                .take(kept)
                .for_each(|change| change.apply(&mut entries));
        } else {
            for change in &self.pending {
                match rng.u8(..4) {
                    0 | 1 => change.apply(&mut entries),
                    2 => change.apply_first_half(&mut entries),
                    _ => {}
                }
            }
        }
        (Names::durable(entries), journaling)
    }
}

impl Change {
    fn apply(&self, entries: &mut Entries) {
        self.apply_first_half(entries);
        if let Change::Rename { from, .. } = self {
            entries.remove(from);
        }
    }

    /// A rename that was cut short leaves both names; it never loses both.
    fn apply_first_half(&self, entries: &mut Entries) {
        match self {
            Change::Link { name, inode }
            | Change::Rename {
                to: name, inode, ..
            } => {
                entries.insert(name.clone(), *inode);
            }
            Change::Unlink { name } => {
                entries.remove(name);
            }
        }
    }
}
