//! A feed: where a reader of the log stands, and what it has yet to read.

use std::collections::VecDeque;

use spool::Seq;

use super::action::Ticket;

/// Runs of positions that a session without cursor may be behind (64 KiB of them).
pub(super) const RUNS_MAX: usize = 4096;

/// Where a reader of the log stands: everything owed up to `sent` was sent.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    pub(crate) sent: Seq,
    /// The last record it is owed that was not sent when it was published. Above `sent`: it is behind and reads.
    pub(crate) owed: Seq,
    /// The read that is under way.
    pub(crate) reading: Option<Ticket>,
    /// What was in flight is being sent again first.
    pub(crate) resending: bool,
    /// A read at this committed position brought nothing on.
    pub(crate) dry_at: Option<Seq>,
    /// Without a cursor: what it is owed, as runs of positions, oldest first.
    pub(crate) runs: VecDeque<(Seq, Seq)>,
}

impl Feed {
    pub(crate) fn is_behind(&self) -> bool {
        self.owed > self.sent
    }

    /// Whether a read may bring something on.
    pub(crate) fn may_read(&self, committed: Seq) -> bool {
        self.reading.is_none() && self.dry_at.is_none_or(|dry| dry < committed)
    }

    /// Whether this is the read under way, which then ends.
    pub(crate) fn ends_read(&mut self, ticket: Ticket) -> bool {
        let its_own = self.reading == Some(ticket);
        if its_own {
            self.reading = None;
        }
        its_own
    }

    /// Notes a record to be read later. Gives the number of records that fell out at the bound.
    pub(crate) fn owe(&mut self, seq: Seq, has_cursor: bool) -> u64 {
        self.owed = seq;
        if has_cursor {
            return 0;
        }
        if let Some((_, last)) = self.runs.back_mut()
            && last.0 + 1 == seq.0
        {
            *last = seq;
            return 0;
        }
        let oldest = (self.runs.len() >= RUNS_MAX)
            .then(|| self.runs.pop_front())
            .flatten();
        self.runs.push_back((seq, seq));
        oldest.map_or(0, |(first, last)| last.0 - first.0 + 1)
    }

    /// The next positions to read, at most `limit`.
    pub(crate) fn positions(&self, limit: usize) -> Vec<Seq> {
        self.runs
            .iter()
            .flat_map(|(first, last)| (first.0..=last.0).map(Seq))
            .take(limit)
            .collect()
    }

    /// Whether a message may go out at once, ahead of nothing.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_behind() && !self.resending
    }

    /// Whether it waits for this record.
    pub(crate) fn awaits(&self, seq: Seq) -> bool {
        self.runs
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&seq))
    }

    /// Everything up to `seq` was sent or given up.
    pub(crate) fn advance(&mut self, seq: Seq) {
        self.sent = self.sent.max(seq);
        while let Some((first, last)) = self.runs.front_mut() {
            if *last <= seq {
                self.runs.pop_front();
            } else {
                *first = (*first).max(Seq(seq.0.saturating_add(1)));
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debt_of_a_session_with_cursor_takes_no_memory_here_however_long_it_is() {
        let mut feed = Feed::default();
        let owed = (0..30_000).filter(|n| n % 3 != 0).map(Seq);
        let lost: u64 = owed.map(|seq| feed.owe(seq, true)).sum();
        assert_eq!((lost, feed.runs.capacity()), (0, 0));
        assert_eq!(feed.owed, Seq(29_999));
    }

    #[test]
    fn the_debt_of_a_session_without_cursor_takes_64_kib_at_most_and_loses_its_oldest_counted() {
        let mut feed = Feed::default();
        // Every third is for somebody else: each two are a run.
        let owed = (0..30_000).filter(|n| n % 3 != 0).map(Seq);
        let lost: u64 = owed.map(|seq| feed.owe(seq, false)).sum();
        let bytes = feed.runs.capacity() * std::mem::size_of::<(Seq, Seq)>();
        assert!(bytes <= 64 * 1024, "{bytes} bytes");
        let left = feed.positions(usize::MAX);
        assert_eq!((lost, left.len()), (20_000 - 2 * 4096, 2 * 4096));
        assert_eq!(left.last(), Some(&Seq(29_999)));
    }
}
