use wire::{Mark, envelope::Envelope};

/// Which events a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) incarnation: u32,
    pub(crate) boot: u32,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) kind: [u8; 2],
}

impl Span {
    /// Of a stored message, which names its incarnation.
    pub(crate) fn of(message: &[u8]) -> Option<Span> {
        let envelope = Envelope::decode(message).ok()?;
        let head = envelope.head();
        let more = u64::try_from(envelope.count()).ok()?.checked_sub(1)?;
        Some(Span {
            incarnation: head.incarnation?,
            boot: head.mark.boot,
            first_seq: head.mark.seq,
            last_seq: head.mark.seq.checked_add(more)?,
            kind: head.kind.0,
        })
    }

    pub(crate) fn first(self) -> Mark {
        Mark {
            boot: self.boot,
            seq: self.first_seq,
        }
    }

    pub(crate) fn last(self) -> Mark {
        Mark {
            boot: self.boot,
            seq: self.last_seq,
        }
    }

    pub(crate) fn count(self) -> u64 {
        self.last_seq
            .saturating_sub(self.first_seq)
            .saturating_add(1)
    }

    /// What lies between two messages that follow each other in flash and is gone.
    pub(crate) fn gap_before(self, next: Span) -> Option<(u32, Mark, Mark)> {
        let missing = if (self.incarnation, self.boot) == (next.incarnation, next.boot) {
            self.last_seq.saturating_add(1)
        } else {
            1
        };
        let to = Mark {
            boot: next.boot,
            seq: next.first_seq.checked_sub(1)?,
        };
        let from = if self.incarnation == next.incarnation {
            Mark {
                boot: self.boot,
                seq: self.last_seq.saturating_add(1),
            }
        } else {
            Mark { boot: 1, seq: 1 }
        };
        (missing < next.first_seq).then_some((next.incarnation, from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(incarnation: u32, boot: u32, first_seq: u64, last_seq: u64) -> Span {
        Span {
            incarnation,
            boot,
            first_seq,
            last_seq,
            kind: [0, 0],
        }
    }

    fn mark(boot: u32, seq: u64) -> Mark {
        Mark { boot, seq }
    }

    #[test]
    fn what_is_missing_between_two_messages_is_their_gap() {
        let first = span(7, 2, 1, 5);
        assert_eq!(first.gap_before(span(7, 2, 6, 6)), None);
        assert_eq!(
            first.gap_before(span(7, 2, 9, 9)),
            Some((7, mark(2, 6), mark(2, 8)))
        );
        assert_eq!(first.gap_before(span(7, 3, 1, 1)), None);
        assert_eq!(
            first.gap_before(span(7, 3, 3, 3)),
            Some((7, mark(2, 6), mark(3, 2)))
        );
        assert_eq!(first.gap_before(span(8, 1, 1, 1)), None);
        assert_eq!(
            first.gap_before(span(8, 1, 2, 2)),
            Some((8, mark(1, 1), mark(1, 1)))
        );
    }
}
