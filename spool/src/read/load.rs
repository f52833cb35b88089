//! Bringing index parts and records from the disk, and what becomes of those that are damaged.

use std::{io, sync::Arc};

use super::{Batch, Located, LookForPlan, Looked, located};
use crate::{
    Seq, StorageError,
    damage::{Found, What as Damaged},
    index::{Place, Row, decode_list},
    lists::{Lists, Need, Version, What},
    log::{Inner, State},
    medium::Medium,
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
            Ok(None) => {
                let opening = self.lock().opening;
                self.rebuild_index(version, opening)
            }
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
        // A part that cannot be read is zeros, and no checksum holds over them.
        let file = Medium::of(&*file);
        match &need.what {
            What::Table => {
                let mut bytes = vec![0; sealed.table_len as usize];
                file.read(&mut bytes, sealed.index_offset)?;
                Ok(sealed
                    .decode_table(&bytes, salt, base.seq)
                    .map(|rows| vec![Part::Table(rows)]))
            }
            What::Lists(rows) => {
                let mut parts = Vec::new();
                for row in rows {
                    let mut bytes = vec![0; row.list_len as usize];
                    file.read(
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

    /// Reads records, leaving out those that are damaged; false if a segment was replaced meanwhile. All that are withheld are
    /// noted, so that whoever reads them waits once.
    pub(crate) fn read_located(
        &self,
        found: &[Located],
        each: &mut dyn FnMut(&Located, &[u8]),
    ) -> Result<bool, StorageError> {
        let (mut buffer, mut is_withheld) = (Vec::new(), false);
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
            match self.read_run(run, &mut buffer, each) {
                Ok(true) => {}
                Err(StorageError::Withheld) => is_withheld = true,
                other => return other,
            }
        }
        match is_withheld {
            true => Err(StorageError::Withheld),
            false => Ok(true),
        }
    }

    /// Reads records that lie near to each other; false if their segment was replaced meanwhile.
    fn read_run(
        &self,
        run: &[Located],
        buffer: &mut [u8],
        each: &mut dyn FnMut(&Located, &[u8]),
    ) -> Result<bool, StorageError> {
        let Some(first) = run.first() else {
            return Ok(true);
        };
        let (version, start) = (first.version, u64::from(first.place.offset));
        let file = match &first.file {
            Some(file) => Ok(file.clone()),
            None => self.files.open(&*self.storage, version),
        };
        let read = file.and_then(|file| {
            let medium = Medium::of(&*file);
            medium.read(buffer, start)?;
            let mut withheld = false;
            for located in run {
                let place = &located.place;
                let at = (u64::from(place.offset) - start) as usize;
                let bytes = buffer.get(at..at + place.len as usize);
                let lost = medium.lost_within(u64::from(place.offset), place.end());
                let body = verified_body(bytes.unwrap_or_default(), place.identity());
                match (lost, body) {
                    (None, Some(body)) => each(located, body),
                    _ if self.has_changed(version) => return Ok(None),
                    (None, None) => self.enter_damaged_record(version, place),
                    (Some(page), _) => withheld |= self.is_withheld(version, page, place),
                }
            }
            Ok(Some(withheld))
        });
        match read {
            Ok(Some(true)) => Err(StorageError::Withheld),
            Ok(Some(false)) => Ok(true),
            Ok(None) => Ok(false),
            Err(_) if self.has_changed(version) => Ok(false),
            Err(source) => Err(StorageError::Io {
                doing: "read records",
                source,
            }),
        }
    }

    /// Whether a record that cannot be read may be read one day. Otherwise it is damaged.
    fn is_withheld(&self, version: Version, page: u64, place: &Place) -> bool {
        let mut state = self.lock();
        if state.opening {
            drop(state);
            self.enter_damaged_record(version, place);
            return false;
        }
        let is_withheld = state.note_withheld_record(version, page, place);
        if is_withheld {
            self.wake_housekeeper(&mut state);
        }
        is_withheld
    }

    pub(crate) fn enter_damaged_record(&self, version: Version, place: &Place) {
        let mut state = self.lock();
        state.note_damage(place.tag, place.seq, place.len);
        state.quarantine.add(version.0);
        self.wake_housekeeper(&mut state);
    }
}

enum Part {
    Table(Vec<Row>),
    List(Row, crate::index::Slots),
}

impl State {
    pub(crate) fn is_known_damaged(&self, tag: Tag, seq: u64) -> bool {
        let known = &self.damage.known;
        match tag.is_control() {
            true => known.own.contains(seq),
            false => known.records.contains(seq),
        }
    }

    /// A record that failed its checksum, or that the index lacks.
    pub(super) fn note_damage(&mut self, tag: Tag, seq: u64, len: u32) {
        if self.is_known_damaged(tag, seq) {
            return;
        }
        // One of the spool's own stands at the position of another record, which may be whole.
        let what = match tag.is_control() {
            true => Damaged::Own,
            false => Damaged::Records,
        };
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
