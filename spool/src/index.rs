//! Where the records of a segment are, by kind, lane and route.

mod slots;

pub(crate) use self::slots::{Place, Slot, Slots};
use crate::{
    frame::salted,
    record::{Base, Tag},
    varint,
};

/// What a sealed segment holds under one key, and where the list of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) tag: Tag,
    pub(crate) route: u32,
    pub(crate) records: u32,
    pub(crate) bytes: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// From the start of the lists.
    list_offset: u32,
    pub(crate) list_len: u32,
    list_crc: u32,
}

/// A segment's index, as it is written: `table`, then `lists`.
pub(crate) struct Built {
    pub(crate) rows: Vec<Row>,
    pub(crate) table: Vec<u8>,
    pub(crate) lists: Vec<u8>,
}

/// Sorts a segment's records by key.
pub(crate) fn build(slots: &Slots, salt: u64) -> Built {
    let mut order: Vec<&Slot> = slots.slots.iter().collect();
    order.sort_by_key(|slot| (slot.tag(), slot.route));
    let mut built = Built {
        rows: Vec::new(),
        table: Vec::new(),
        lists: Vec::new(),
    };
    for run in order.chunk_by(|a, b| (a.tag(), a.route) == (b.tag(), b.route)) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let start = built.lists.len();
        let (mut seq, mut time, mut offset) = (0, 0, 0);
        let mut bytes = 0u64;
        for slot in run {
            varint::put(&mut built.lists, u64::from(slot.seq.saturating_sub(seq)));
            varint::put(&mut built.lists, u64::from(slot.time.saturating_sub(time)));
            varint::put(
                &mut built.lists,
                u64::from(slot.offset.saturating_sub(offset)),
            );
            varint::put(&mut built.lists, u64::from(slot.len()));
            (seq, time, offset) = (slot.seq, slot.time, slot.offset);
            bytes += u64::from(slot.len());
        }
        let list = built.lists.get(start..).unwrap_or_default();
        let row = Row {
            tag: first.tag(),
            route: first.route,
            records: run.len() as u32,
            bytes,
            first: slots.place(first).seq,
            last: slots.place(last).seq,
            list_offset: start as u32,
            list_len: list.len() as u32,
            list_crc: salted(salt, list),
        };
        row.encode(&mut built.table, slots.base.seq);
        built.rows.push(row);
    }
    built
}

impl Row {
    /// The row of one record alone, without a list.
    pub(crate) fn of(place: &Place) -> Row {
        Row {
            tag: place.tag,
            route: place.route,
            records: 1,
            bytes: u64::from(place.len),
            first: place.seq,
            last: place.seq,
            list_offset: 0,
            list_len: 0,
            list_crc: 0,
        }
    }

    fn encode(&self, table: &mut Vec<u8>, base_seq: u64) {
        table.push(self.tag.0);
        for value in [
            u64::from(self.route),
            u64::from(self.records),
            self.bytes,
            self.first.saturating_sub(base_seq),
            self.last.saturating_sub(self.first),
            u64::from(self.list_len),
        ] {
            varint::put(table, value);
        }
        table.extend_from_slice(&self.list_crc.to_le_bytes());
    }

    /// Where the list is, counted from the start of the lists.
    pub(crate) fn list_offset(&self) -> u64 {
        u64::from(self.list_offset)
    }
}

/// Reads a table of so many rows; `None` if the bytes cannot be one. Their checksum is the caller's affair.
pub(crate) fn decode_table(mut bytes: &[u8], rows: u32, base_seq: u64) -> Option<Vec<Row>> {
    let mut table = Vec::new();
    let mut list_offset = 0u32;
    for _ in 0..rows {
        let (&tag, rest) = bytes.split_first()?;
        bytes = rest;
        let route = varint::take_u32(&mut bytes)?;
        let records = varint::take_u32(&mut bytes)?;
        let row_bytes = varint::take(&mut bytes)?;
        let first = base_seq.checked_add(varint::take(&mut bytes)?)?;
        let last = first.checked_add(varint::take(&mut bytes)?)?;
        let list_len = varint::take_u32(&mut bytes)?;
        let (crc, rest) = bytes.split_first_chunk::<4>()?;
        bytes = rest;
        let list_crc = u32::from_le_bytes(*crc);
        table.push(Row {
            tag: Tag(tag),
            route,
            records,
            bytes: row_bytes,
            first,
            last,
            list_offset,
            list_len,
            list_crc,
        });
        list_offset = list_offset.checked_add(list_len)?;
    }
    bytes.is_empty().then_some(table)
}

/// Reads the list of a row; `None` if it is damaged.
pub(crate) fn decode_list(mut bytes: &[u8], row: &Row, base: Base, salt: u64) -> Option<Slots> {
    if bytes.len() != row.list_len as usize || salted(salt, bytes) != row.list_crc {
        return None;
    }
    let mut list = Slots {
        base,
        slots: Vec::with_capacity((row.records as usize).min(bytes.len())),
    };
    let (mut seq, mut time, mut offset) = (0u32, 0u32, 0u32);
    for _ in 0..row.records {
        seq = seq.checked_add(varint::take_u32(&mut bytes)?)?;
        time = time.checked_add(varint::take_u32(&mut bytes)?)?;
        offset = offset.checked_add(varint::take_u32(&mut bytes)?)?;
        let len =
            varint::take_u32(&mut bytes).filter(|&len| len as usize <= crate::record::LONGEST)?;
        list.slots
            .push(Slot::new(seq, time, offset, len, row.tag, row.route));
    }
    bytes.is_empty().then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Lane};

    fn slots() -> Slots {
        let mut slots = Slots::new(Base {
            seq: 100,
            time: 1_000,
        });
        for n in 0..300u64 {
            let tag = Tag::new(Kind::Event, Lane((n % 3) as u8));
            let place = Place {
                seq: 100 + n,
                time: 1_000 + n / 10,
                offset: 4096 + n as u32 * 50,
                len: 50,
                tag,
                route: (n % 2) as u32,
            };
            assert!(slots.push_place(&place));
        }
        slots
    }

    #[test]
    fn each_key_gets_its_list_back() {
        let slots = slots();
        let built = build(&slots, 9);
        assert_eq!(built.rows.len(), 6);
        assert_eq!(decode_table(&built.table, 6, 100).unwrap(), built.rows);
        for row in &built.rows {
            let start = row.list_offset() as usize;
            let bytes = &built.lists[start..start + row.list_len as usize];
            let list = decode_list(bytes, row, slots.base, 9).unwrap();
            let expected: Vec<_> = slots
                .iter()
                .filter(|p| (p.tag, p.route) == (row.tag, row.route))
                .collect();
            assert_eq!(list.iter().collect::<Vec<_>>(), expected);
            assert_eq!((row.records, row.bytes), (50, 2_500));
        }
    }

    #[test]
    fn a_damaged_list_is_refused() {
        let built = build(&slots(), 9);
        let row = &built.rows[0];
        let mut bytes = built.lists[..row.list_len as usize].to_vec();
        assert!(
            decode_list(
                &bytes,
                row,
                Base {
                    seq: 100,
                    time: 1_000
                },
                8
            )
            .is_none(),
            "another salt"
        );
        bytes[20] ^= 4;
        assert!(
            decode_list(
                &bytes,
                row,
                Base {
                    seq: 100,
                    time: 1_000
                },
                9
            )
            .is_none()
        );
    }

    #[test]
    fn positions_and_times_are_found() {
        let slots = slots();
        assert_eq!(slots.find(150).unwrap().seq, 150);
        assert_eq!(slots.find(400), None);
        assert_eq!(
            slots.after(397).map(|place| place.seq).collect::<Vec<_>>(),
            [398, 399]
        );
        assert_eq!(slots.after(3).count(), 300);
        assert_eq!(slots.at_time(1_005), Some(150));
        assert_eq!(slots.at_time(5_000), None);
    }
}
