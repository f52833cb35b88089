use heapless::Vec;
use wire::kind::KindId;

/// Events in memory, oldest first, with sequences that follow each other.
///
/// ```text
/// length u16le · kind 2 bytes · uptime-ms u64le · data
/// ```
#[derive(Debug)]
pub(crate) struct Ring<const N: usize> {
    bytes: Vec<u8, N>,
    /// The sequence of the first event, or of the next one to come.
    first_seq: u64,
    count: u32,
    passed: Place,
}

/// Where an event begins, and its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    seq: u64,
    at: usize,
}

const HEAD: usize = 2 + 2 + 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) seq: u64,
    pub(crate) kind: KindId,
    pub(crate) uptime_ms: u64,
    pub(crate) data: &'a [u8],
}

impl<const N: usize> Ring<N> {
    /// The most data one event may have.
    pub(crate) const MAX_DATA: usize = N.saturating_sub(HEAD);

    pub(crate) fn new() -> Self {
        Ring {
            bytes: Vec::new(),
            first_seq: 1,
            count: 0,
            passed: Place { seq: 1, at: 0 },
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.count.into())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn has_room(&self, data_len: usize) -> bool {
        let needed = HEAD.saturating_add(data_len);
        self.bytes.len().saturating_add(needed) <= N
    }

    /// Adds the newest event; `false` if there is no room.
    pub(crate) fn push(&mut self, kind: KindId, uptime_ms: u64, data: &[u8]) -> bool {
        let Ok(len) = u16::try_from(data.len()) else {
            return false;
        };
        if !self.has_room(data.len()) {
            return false;
        }
        let parts: [&[u8]; 4] = [&len.to_le_bytes(), &kind.0, &uptime_ms.to_le_bytes(), data];
        let is_whole = parts
            .iter()
            .all(|part| self.bytes.extend_from_slice(part).is_ok());
        debug_assert!(is_whole, "there is room");
        self.count = self.count.saturating_add(1);
        true
    }

    /// The events in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        self.iter_from(Place {
            seq: self.first_seq,
            at: 0,
        })
    }

    /// The events behind `seq`. What was passed ([`Ring::pass`]) is not looked at for it.
    pub(crate) fn iter_behind(&self, seq: u64) -> impl Iterator<Item = Entry<'_>> + Clone {
        let from = match self.passed.seq > seq.saturating_add(1) {
            true => Place {
                seq: self.first_seq,
                at: 0,
            },
            false => self.passed,
        };
        self.iter_from(from)
            .skip_while(move |entry| entry.seq <= seq)
    }

    /// Those who ask for events will ask for those behind `seq`, mostly.
    pub(crate) fn pass(&mut self, seq: u64) {
        let mut rest = self.bytes.get(self.passed.at..).unwrap_or_default();
        while self.passed.seq <= seq
            && let Some((_, behind)) = take(rest, self.passed.seq)
        {
            rest = behind;
            self.passed.seq = self.passed.seq.saturating_add(1);
        }
        self.passed.at = self.bytes.len().saturating_sub(rest.len());
    }

    fn iter_from(&self, from: Place) -> impl Iterator<Item = Entry<'_>> + Clone {
        let mut rest = self.bytes.get(from.at..).unwrap_or_default();
        let mut seq = from.seq;
        core::iter::from_fn(move || {
            let (entry, behind) = take(rest, seq)?;
            rest = behind;
            seq = seq.saturating_add(1);
            Some(entry)
        })
    }

    /// Removes every event up to `seq`, this one included.
    pub(crate) fn remove_through(&mut self, seq: u64) {
        let mut rest = self.bytes.as_slice();
        while self.first_seq <= seq {
            let Some((_, behind)) = take(rest, self.first_seq) else {
                break;
            };
            rest = behind;
            self.first_seq = self.first_seq.saturating_add(1);
            self.count = self.count.saturating_sub(1);
        }
        let kept = rest.len();
        let start = self.bytes.len().saturating_sub(kept);
        self.bytes.copy_within(start.., 0);
        self.bytes.truncate(kept);
        self.passed = Place {
            seq: self.passed.seq.max(self.first_seq),
            at: self.passed.at.saturating_sub(start),
        };
    }
}

fn take(bytes: &[u8], seq: u64) -> Option<(Entry<'_>, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (kind, rest) = rest.split_first_chunk::<2>()?;
    let (uptime_ms, rest) = rest.split_first_chunk::<8>()?;
    let (data, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
    let uptime_ms = u64::from_le_bytes(*uptime_ms);
    Some((
        Entry {
            seq,
            kind: KindId(*kind),
            uptime_ms,
            data,
        },
        rest,
    ))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn events_leave_in_their_order_and_make_room() {
        let mut ring = Ring::<40>::new();
        assert!(ring.push(KindId([1, 2]), 7, &[1, 2, 3]));
        assert!(ring.push(KindId([3, 4]), 8, &[4; 10]));
        assert!(!ring.push(KindId([3, 4]), 9, &[5]));
        assert_eq!(ring.next_seq(), 3);

        ring.remove_through(1);
        assert!(ring.push(KindId([3, 4]), 9, &[5]));
        let seqs: Vec<_> = ring
            .iter()
            .map(|entry| (entry.seq, entry.uptime_ms, entry.data.to_vec()))
            .collect();
        assert_eq!(seqs, [(2, 8, [4; 10].to_vec()), (3, 9, [5].to_vec())]);

        ring.remove_through(9);
        assert!(ring.is_empty());
        assert_eq!(ring.next_seq(), 4);
    }

    #[test]
    fn the_events_behind_one_are_the_same_whatever_was_passed_and_removed() {
        let mut ring = Ring::<200>::new();
        let seqs = |ring: &Ring<200>, behind| {
            ring.iter_behind(behind)
                .map(|entry| (entry.seq, entry.data.len()))
                .collect::<Vec<_>>()
        };
        for seq in 1..=5 {
            assert!(ring.push(KindId([1, 2]), 7, &[0; 5][..seq]));
        }
        ring.pass(3);
        assert_eq!(seqs(&ring, 3), [(4, 4), (5, 5)]);
        assert_eq!(seqs(&ring, 4), [(5, 5)]);
        assert_eq!(seqs(&ring, 1), [(2, 2), (3, 3), (4, 4), (5, 5)]);

        ring.remove_through(2);
        assert_eq!(seqs(&ring, 3), [(4, 4), (5, 5)]);
        assert_eq!(seqs(&ring, 0), [(3, 3), (4, 4), (5, 5)]);
        ring.remove_through(4);
        assert_eq!(seqs(&ring, 0), [(5, 5)]);
        ring.pass(9);
        assert!(ring.push(KindId([1, 2]), 7, &[0; 6]));
        assert_eq!(seqs(&ring, 5), [(6, 6)]);
        assert_eq!(ring.len(), 2);
    }
}
