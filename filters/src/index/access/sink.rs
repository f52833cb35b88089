use super::runs::Seen;

/// Where lookups put what they find.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    /// Entries that may match.
    pub(crate) entries: Vec<u32>,
    pub(super) folded: Vec<u8>,
    pub(super) reversed: Vec<u8>,
    pub(super) seen: Seen,
    /// How many entries there may be before they are made unique.
    bound: usize,
    /// How often they were.
    #[cfg(test)]
    pub(crate) sorts: usize,
    /// The most there were.
    #[cfg(test)]
    pub(crate) most: usize,
}

/// Entries that are kept before they are made unique for the first time.
const MIN_BOUND: usize = 1 << 12;

impl Sink {
    /// For the next event.
    pub(crate) fn begin(&mut self) {
        self.entries.clear();
        self.entries.shrink_to(2 * MIN_BOUND);
        self.bound = MIN_BOUND;
    }

    /// Keeps it from holding many more than there are different ones, for so few sorts that these cost no more than what is found.
    pub(crate) fn bound(&mut self) {
        #[cfg(test)]
        {
            self.most = self.most.max(self.entries.len());
        }
        if self.entries.len() > self.bound {
            self.make_unique();
            self.bound = MIN_BOUND.max(2 * self.entries.len());
        }
    }

    /// Sorts them, each once.
    pub(crate) fn make_unique(&mut self) {
        #[cfg(test)]
        {
            self.sorts += 1;
        }
        if self.entries.len() > 1 {
            self.entries.sort_unstable();
            self.entries.dedup();
        }
    }
}
