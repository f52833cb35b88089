//! Where the next frame goes.

use std::sync::Arc;

use crate::{frame::PAGE, pending::Pending, record::Base, storage::File};

/// Only the committer has it.
#[derive(Default)]
pub(crate) struct Target {
    /// A frame that could not be written yet; no other may overtake it.
    pub(crate) retry: Option<Pending>,
    pub(crate) segment: Option<TargetSegment>,
}

/// A segment that is being written.
pub(crate) struct TargetSegment {
    pub(crate) id: u64,
    pub(crate) salt: u64,
    pub(crate) size: u64,
    pub(crate) end: u64,
    pub(crate) file: Arc<dyn File>,
    /// Of its first frame; none committed yet: `None`.
    pub(crate) base: Option<Base>,
    /// Bytes its index may need.
    pub(crate) index_bytes: u64,
}

impl Target {
    /// Goes on in this segment.
    pub(crate) fn at(segment: Option<TargetSegment>) -> Target {
        Target {
            retry: None,
            segment,
        }
    }
}

impl TargetSegment {
    pub(crate) fn fits(&self, batch: &Pending) -> bool {
        let index = self
            .index_bytes
            .saturating_add(batch.index_bytes())
            .saturating_add(PAGE);
        let end = self
            .end
            .saturating_add(batch.span())
            .saturating_add(index)
            .saturating_add(PAGE);
        let near = self.base.is_none_or(|base| {
            batch.last_time.saturating_sub(base.time) < u64::from(u32::MAX)
                && batch.last_seq.saturating_sub(base.seq) < u64::from(u32::MAX)
        });
        end <= self.size && near
    }

    /// A fresh one, made as large as this frame needs: what a commit adds to the records of a transaction may be too
    /// much for a segment of the least size. Its index may not fit all the same; then it is rewritten when it is sealed.
    pub(crate) fn grown_for(mut self, batch: &Pending) -> TargetSegment {
        let least = self.end.saturating_add(batch.span()).saturating_add(PAGE);
        self.size = self.size.max(least);
        self
    }
}
