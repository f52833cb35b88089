//! What recovery finds damaged or missing: into the findings, the ledger, and a copy of the file.

use std::io;

use super::{Mode, Opening};
use crate::{
    Loss, LossReason, NodeTime, Seq,
    frame::Link,
    quarantine,
    scan::{Gap, Tail},
    segment::file_name,
};

impl Opening<'_> {
    /// A segment of which nothing can be read.
    pub(super) fn lost(&mut self, id: u64, known: Option<Link>) {
        if known.is_none() {
            self.remove(id);
            return;
        }
        self.findings.push(format!(
            "segment {id:016x} cannot be read; it is kept as quarantine"
        ));
        self.damaged.push(id);
    }

    /// Enters what is missing between segments that are there.
    pub(super) fn find_holes(&mut self) {
        let mut holes = Vec::new();
        let mut before: Option<(u64, u64)> = None;
        for segment in &self.state.segments {
            let link = segment.link;
            let is_lost = self.damaged.contains(&link.segment);
            let known = before.is_some_and(|(id, _)| id == link.segment);
            let last = before.map_or(0, |(_, last)| last);
            if (known || is_lost) && link.last_seq > last {
                holes.push(Gap {
                    first: last + 1,
                    last: link.last_seq,
                    bytes: 0,
                });
            }
            for gap in self.gaps.get(&segment.id).into_iter().flatten() {
                let first = if gap.first == 1 { last + 1 } else { gap.first };
                holes.push(Gap { first, ..*gap });
            }
            before = Some((segment.id, segment.last));
        }
        for hole in holes.iter().filter(|hole| hole.first <= hole.last) {
            self.enter_gap(hole);
            self.lost += hole.last - hole.first + 1;
        }
        for (id, tail) in std::mem::take(&mut self.tails) {
            self.enter_tail(id, &tail);
        }
    }

    fn enter_gap(&mut self, gap: &Gap) {
        let Gap { first, last, bytes } = *gap;
        self.findings
            .push(format!("positions {first} to {last} are damaged and lost"));
        self.enter(LossReason::Damaged, first, last, bytes);
    }

    fn enter_tail(&mut self, id: u64, tail: &Tail) {
        let before = self.state.segments.back().map_or(0, |segment| segment.last);
        let (first, last, bytes) = (before + 1, tail.last_after(before), tail.bytes);
        if last < first {
            return;
        }
        self.findings.push(format!(
            "tail cut at {first} in segment {id:016x}, at most {bytes} bytes; unacknowledged unless the medium is damaged"
        ));
        self.enter(LossReason::TailCut, first, last, bytes);
        // None of these positions is given out again, in case the medium lost what was acknowledged.
        self.state.next_seq = self.state.next_seq.max(last.saturating_add(1));
    }

    fn enter(&mut self, reason: LossReason, first: u64, last: u64, bytes: u64) {
        let count = if reason == LossReason::TailCut {
            1
        } else {
            last.saturating_sub(first).saturating_add(1)
        };
        let kept = self.state.segments.back();
        let at = kept.map_or(0, |segment| segment.last_time);
        let at = NodeTime(at.max(self.state.last_time));
        self.state.ledger.add(Loss {
            reason,
            scope: "log".into(),
            count,
            bytes,
            first: Seq(first),
            last: Seq(last),
            at,
        });
    }

    /// Keeps a damaged segment for those who want to look into it: at most a few, and never for the price of the start.
    pub(super) fn keep_copies(&mut self) {
        if self.mode == Mode::ReadOnly {
            return;
        }
        for id in std::mem::take(&mut self.damaged) {
            if let Err(error) = self.keep_copy(id) {
                tracing::warn!(%error, "a damaged segment could not be kept as quarantine");
            }
        }
    }

    fn keep_copy(&mut self, id: u64) -> io::Result<()> {
        let Some(name) = quarantine::free_name(self.storage, id)? else {
            return Ok(());
        };
        if self.state.segment_by_id(id).is_none() {
            return self.storage.rename(&file_name(id), &name);
        }
        if self.state.creatable() == 0 {
            return Ok(());
        }
        self.state.room.quarantine_bytes += quarantine::copy(self.storage, id, &name)?;
        self.state.count_other_bytes();
        Ok(())
    }
}
