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
        }
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
        let mut rest = self.bytes.as_slice();
        let mut seq = self.first_seq;
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
}
