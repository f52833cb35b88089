//! Bringing index parts and records from the disk, and what becomes of those that are damaged.

use std::{io, sync::Arc};

use super::{Batch, Located, LookForPlan, Looked, located};
use crate::{
    Seq, StorageError,
    damage::{Found, What as Damaged},
    index::{Place, Row, decode_list},
    lists::{Lists, Need, Version, What},
    log::{Inner, State},
    record::{Tag, verified_body},
    segment::Index,
};

/// Records this near to each other are read at once, up to so many bytes.
const NEAR_BYTES: u64 = 1 << 10;
const READ_BYTES: u64 = 256 << 10;
/// Times a read begins anew because segments were rewritten under it.
const ATTEMPTS: usize = 8;

impl Inner {
    /// Runs a look at the state until nothing has to be read for it first.
    pub(crate) fn looked<T>(
        &self,
        look: &mut dyn FnMut(&mut State, &Lists) -> Looked<T>,
    ) -> Result<T, StorageError> {
        let mut extra = Lists::default();
        // Every round reads what the last one missed; only segments that change meanwhile can make it many.
        for _ in 0..100_000 {
            let need = match look(&mut self.lock(), &extra) {
                Ok(found) => return Ok(found),
                Err(need) => need,
            };
            extra.only(need.version);
            extra.loads += 1;
            self.load(&need, &mut extra)?;
        }
        Err(StorageError::Moved)
    }

    pub(super) fn read_with(&self, plan: &mut LookForPlan<'_>) -> Result<Batch, StorageError> {
        for _ in 0..ATTEMPTS {
            let plan = self.looked(plan)??;
            let mut entries = Vec::with_capacity(plan.found.len());
            if self.read_located(&plan.found, &mut |located, body| {
                entries.extend(located.entry(body))
            })? {
                return Ok(Batch {
                    entries,
                    next: Seq(plan.next),
                    at_end: plan.at_end,
                });
            }
        }
        Err(StorageError::Moved)
    }

    /// Where the wanted records of a segment are; none where it changed meanwhile.
    pub(crate) fn located_in(
        &self,
        version: Version,
        wants: &dyn Fn(&Place) -> bool,
    ) -> Result<Vec<Located>, StorageError> {
        self.looked(&mut |state, extra| {
            let segment = state.segment_by_id(version.0);
            let Some(segment) = segment.filter(|it| it.generation == version.1) else {
                return Ok(Vec::new());
            };
            let (row, place) = (&mut |_: &Row| true, &mut |place: &Place| wants(place));
            let places = state.gather(segment, 0, row, place, usize::MAX, extra)?;
            let located = |place| located(segment, place, false);
            Ok(places.into_iter().map(located).collect())
        })
    }

    /// Reads index parts of a sealed segment; if they are damaged, finds them again from the frames.
    fn load(&self, need: &Need, extra: &mut Lists) -> Result<(), StorageError> {
        let found = {
            let state = self.lock();
            let segment = state
                .segment_by_id(need.version.0)
                .filter(|it| it.generation == need.version.1);
            segment.and_then(|segment| match &segment.index {
                Index::Sealed(sealed) => Some((sealed.clone(), segment.salt, segment.base)),
                Index::Open(_) => None,
            })
        };
        // The segment has changed since; the next look sees how.
        let Some((sealed, salt, base)) = found else {
            return Ok(());
        };
        let version = need.version;
        let loaded = self.load_parts(need, &sealed, salt, base);
        match loaded {
            Ok(Some(parts)) => {
                let mut state = self.lock();
                for part in parts {
                    match part {
                        Part::Table(rows) => {
                            let rows: Arc<[Row]> = rows.into();
                            extra.add_table(version, rows.clone());
                            state.lists.add_table(version, rows);
                        }
                        Part::List(row, list) => {
                            let list = Arc::new(list);
                            extra.add_unbounded(version, &row, list.clone());
                            state.lists.add_list(version, &row, list);
                        }
                    }
                }
                Ok(())
            }
            Ok(None) => self.rebuild_index(version),
            Err(error) if self.has_changed(version) => {
                tracing::debug!(%error, "a segment was replaced while its index was read");
                Ok(())
            }
            Err(source) => Err(StorageError::Io {
                doing: "read an index",
                source,
            }),
        }
    }

    /// `None` if the index is damaged.
    fn load_parts(
        &self,
        need: &Need,
        sealed: &crate::segment::Sealed,
        salt: u64,
        base: crate::record::Base,
    ) -> io::Result<Option<Vec<Part>>> {
        let file = self.files.open(&*self.storage, need.version)?;
        match &need.what {
            What::Table => {
                let mut bytes = vec![0; sealed.table_len as usize];
                file.read_at(&mut bytes, sealed.index_offset)?;
                Ok(sealed
                    .decode_table(&bytes, salt, base.seq)
                    .map(|rows| vec![Part::Table(rows)]))
            }
            What::Lists(rows) => {
                let mut parts = Vec::new();
                for row in rows {
                    let mut bytes = vec![0; row.list_len as usize];
                    file.read_at(
                        &mut bytes,
                        sealed.lists_offset().saturating_add(row.list_offset()),
                    )?;
                    let Some(list) = decode_list(&bytes, row, base, salt) else {
                        return Ok(None);
                    };
                    parts.push(Part::List(*row, list));
                }
                Ok(Some(parts))
            }
        }
    }

    pub(crate) fn has_changed(&self, version: Version) -> bool {
        self.lock()
            .segment_by_id(version.0)
            .is_none_or(|segment| segment.generation != version.1)
    }

    /// Some records, for the spool's own use: the wanted ones of the first segment behind a position, and where it ends.
    pub(crate) fn read_own(
        &self,
        after: u64,
        wants: &dyn Fn(Tag) -> bool,
    ) -> Result<(Vec<Vec<u8>>, Option<u64>), StorageError> {
        for _ in 0..ATTEMPTS {
            let (found, next) = self.looked(&mut |state, extra| {
                let Some(segment) = state.segments.get(state.segment_after(after)) else {
                    return Ok((Vec::new(), None));
                };
                let row = &mut |row: &Row| wants(row.tag);
                let place = &mut |place: &Place| wants(place.tag);
                let places = state.gather(segment, after, row, place, usize::MAX, extra)?;
                let found: Vec<Located> = places
                    .into_iter()
                    .map(|place| located(segment, place, false))
                    .collect();
                Ok((found, Some(segment.last)))
            })?;
            let mut bodies = Vec::new();
            if self.read_located(&found, &mut |_, body| bodies.push(body.to_vec()))? {
                return Ok((bodies, next));
            }
        }
        Err(StorageError::Moved)
    }

    /// Reads records, leaving out those that are damaged; false if a segment was replaced meanwhile.
    pub(crate) fn read_located(
        &self,
        found: &[Located],
        each: &mut dyn FnMut(&Located, &[u8]),
    ) -> Result<bool, StorageError> {
        let mut buffer = Vec::new();
        let mut rest = found;
        while let Some(first) = rest.first() {
            let mut end = first.place.end();
            let start = u64::from(first.place.offset);
            let near = rest.iter().skip(1).take_while(|next| {
                let joins = next.version == first.version
                    && (end..=end + NEAR_BYTES).contains(&u64::from(next.place.offset))
                    && next.place.end() - start <= READ_BYTES;
                if joins {
                    end = next.place.end();
                }
                joins
            });
            let count = 1 + near.count();
            let (run, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = others;
            buffer.resize(end.saturating_sub(start) as usize, 0);
            if let Err(source) = self.read_run(first, &mut buffer) {
                if self.has_changed(first.version) {
                    return Ok(false);
                }
                return Err(StorageError::Io {
                    doing: "read records",
                    source,
                });
            }
            for located in run {
                let at = (u64::from(located.place.offset) - start) as usize;
                let bytes = buffer
                    .get(at..at + located.place.len as usize)
                    .unwrap_or_default();
                match verified_body(bytes, located.place.identity()) {
                    Some(body) => each(located, body),
                    None if self.has_changed(located.version) => return Ok(false),
                    None => {
                        let mut state = self.lock();
                        let place = &located.place;
                        state.note_damage(place.tag, place.seq, place.len);
                        state.quarantine.add(located.version.0);
                        self.wake_housekeeper(&mut state);
                    }
                }
            }
        }
        Ok(true)
    }

    fn read_run(&self, first: &Located, buffer: &mut [u8]) -> io::Result<()> {
        let file = match &first.file {
            Some(file) => file.clone(),
            None => self.files.open(&*self.storage, first.version)?,
        };
        file.read_at(buffer, u64::from(first.place.offset))
    }
}

enum Part {
    Table(Vec<Row>),
    List(Row, crate::index::Slots),
}

impl State {
    /// A record that failed its checksum, or that the index lacks.
    pub(super) fn note_damage(&mut self, tag: Tag, seq: u64, len: u32) {
        // One of the spool's own stands at the position of another record, which may be whole.
        let what = match tag.is_control() {
            true => Damaged::Own,
            false => Damaged::Records,
        };
        if what == Damaged::Records && self.damage.known.records.contains(seq) {
            return;
        }
        self.drops += 1;
        let lane = self.lanes.get(usize::from(tag.lane().0));
        let scope = lane.map(|lane| lane.name.clone()).unwrap_or_default();
        tracing::error!(seq, "a record is damaged; it is in the ledger and left out");
        self.enter_damage(Found {
            what,
            scope,
            first: seq,
            last: seq,
            bytes: u64::from(len),
        });
    }
}
