//! Cursor marks on their way to the disk: in commits that happen anyway, else in the `cursors` file.
//!
//! ```text
//! cursors file: two slots of equal size, written in turn
//! slot: magic 8 | crc32c of what follows 4 | length of the content 4 | number of the save 8 | content
//! content: postcard of the marks
//! ```

use std::{io, sync::Arc};

use crate::{
    control::Mark,
    frame::PAGE,
    log::State,
    medium::Medium,
    storage::{File, Storage},
};

pub(crate) const FILE: &str = "cursors";
const MAGIC: u64 = u64::from_le_bytes(*b"SPOOLCUR");
const HEADER: usize = 24;
/// A mark waits no longer for a commit to carry it.
pub(crate) const LONGEST_WAIT_MS: u64 = 1_000;
const MOST_ACKS: u64 = 10_000;
/// With more changed cursors than this a commit carries marks only so often.
const FEW_CURSORS: usize = 64;
const BETWEEN_MANY_MS: u64 = 250;
/// Numbers in the marks one commit carries, but for the last cursor's.
const MOST_CARRIED: usize = 1_000;

/// What is to be saved, and when it was last.
#[derive(Default)]
pub(crate) struct Saving {
    pub(crate) file: Option<Slots>,
    /// Acknowledgements since the last save.
    pub(crate) acks: u64,
    /// When the first of them came.
    pub(crate) since: Option<u64>,
    carried_at: u64,
}

impl State {
    /// The marks that the commit of everything up to `last` is to carry.
    pub(crate) fn marks_for_commit(&mut self, last: u64) -> Vec<Mark> {
        let mut marks = self.due_marks(last);
        // What was given up is let go by the frame that counts it, however many marks changed: all of it is below the low
        // marks. With a frame behind it, a crash between the two would have it counted twice.
        let cursors = self.cursors.values_mut();
        for cursor in cursors.filter(|cursor| cursor.gave_up && cursor.is_there(last)) {
            cursor.gave_up = false;
            marks.push(cursor.mark_low());
        }
        marks
    }

    fn due_marks(&mut self, last: u64) -> Vec<Mark> {
        let changed = self
            .cursors
            .values()
            .filter(|cursor| cursor.changed)
            .count();
        let late = self.last_time.saturating_sub(self.marks.carried_at) >= BETWEEN_MANY_MS;
        if changed == 0 || (changed > FEW_CURSORS && !late && self.marks.acks < MOST_ACKS) {
            return Vec::new();
        }
        self.marks.carried_at = self.last_time;
        self.take_marks(last, MOST_CARRIED)
    }

    /// Marks that changed, of cursors that are there at a commit, until they hold `most` numbers; the others keep for the
    /// next time.
    fn take_marks(&mut self, committed: u64, most: usize) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut size = 0;
        let changed = self
            .cursors
            .values_mut()
            .filter(|cursor| cursor.changed && cursor.is_there(committed));
        for cursor in changed {
            if size >= most {
                return marks;
            }
            (cursor.changed, cursor.gave_up) = (false, false);
            let mark = cursor.mark();
            size += 4 + mark.lanes.iter().map(|lane| lane.runs.len()).sum::<usize>();
            marks.push(mark);
        }
        self.marks.acks = 0;
        self.marks.since = None;
        marks
    }

    /// The marks to save without a commit, if that is due.
    pub(crate) fn marks_for_file(&mut self, now: u64, at_once: bool) -> Option<Vec<Mark>> {
        let since = self.marks.since?;
        let due =
            at_once || self.marks.acks >= MOST_ACKS || now.saturating_sub(since) >= LONGEST_WAIT_MS;
        if !due {
            return None;
        }
        let committed = self.committed;
        self.take_marks(committed, usize::MAX);
        let cursors = self.cursors.values();
        let there = cursors.filter(|cursor| cursor.is_there(committed));
        Some(there.map(|cursor| cursor.mark()).collect())
    }

    pub(crate) fn next_save(&self, now: u64) -> Option<u64> {
        let since = self.marks.since?;
        Some(LONGEST_WAIT_MS.saturating_sub(now.saturating_sub(since)))
    }

    /// Counts acknowledgements that are to be saved; whether they are the first since the last save.
    pub(crate) fn note_acks(&mut self, count: u64) -> bool {
        self.marks.acks = self.marks.acks.saturating_add(count);
        let is_first = self.marks.since.is_none();
        self.marks.since.get_or_insert(self.last_time);
        is_first
    }

    pub(crate) fn acks_are_many(&self) -> bool {
        self.marks.acks >= MOST_ACKS
    }
}

/// The `cursors` file.
#[derive(Clone)]
pub(crate) struct Slots {
    file: Arc<dyn File>,
    slot_bytes: u64,
    last_save: u64,
}

/// Its size under such a bound.
pub(crate) fn file_bytes(bound: u64) -> u64 {
    2 * (bound / 128 / PAGE * PAGE).clamp(16 << 10, 512 << 10)
}

impl Slots {
    /// Takes the file over and gives the marks of the newest intact slot.
    pub(crate) fn open(file: Arc<dyn File>) -> io::Result<(Slots, Vec<Mark>)> {
        let slot_bytes = file.len()? / 2 / PAGE * PAGE;
        let read = {
            let medium = Medium::of(&*file);
            [0, 1].map(|slot| read_slot(&medium, slot * slot_bytes, slot_bytes))
        };
        let mut slots = Slots {
            file,
            slot_bytes,
            last_save: 0,
        };
        let mut marks = Vec::new();
        for slot in read {
            if let Some((save, content)) = slot?
                && save > slots.last_save
                && let Ok(content) = postcard::from_bytes(&content)
            {
                slots.last_save = save;
                marks = content;
            }
        }
        Ok((slots, marks))
    }

    /// Writes and syncs the marks into the older slot. What does not fit loses first its runs, which costs repeats.
    pub(crate) fn save(&mut self, mut marks: Vec<Mark>) -> io::Result<()> {
        let most = self.slot_bytes as usize - HEADER;
        let mut content = postcard::to_stdvec(&marks).map_err(io::Error::other)?;
        if content.len() > most {
            marks
                .iter_mut()
                .flat_map(|mark| &mut mark.lanes)
                .for_each(|lane| lane.runs.clear());
            content = postcard::to_stdvec(&marks).map_err(io::Error::other)?;
        }
        while content.len() > most {
            marks.truncate(marks.len() / 2);
            content = postcard::to_stdvec(&marks).map_err(io::Error::other)?;
        }
        self.last_save += 1;
        let mut tail = (content.len() as u32).to_le_bytes().to_vec();
        tail.extend_from_slice(&self.last_save.to_le_bytes());
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend_from_slice(&checksum(&tail, &content).to_le_bytes());
        bytes.extend_from_slice(&tail);
        bytes.extend_from_slice(&content);
        self.file
            .write_at(&bytes, self.last_save % 2 * self.slot_bytes)?;
        self.file.sync()
    }
}

/// A slot's number and content; `None` if it holds none, or cannot be read.
fn read_slot(file: &Medium<'_>, offset: u64, most: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut header = [0; HEADER];
    if most < PAGE || !file.read(&mut header, offset)? {
        return Ok(None);
    }
    let word = |at: usize| {
        header
            .get(at..)
            .and_then(|b| b.first_chunk())
            .map_or(0, |b| u64::from_le_bytes(*b))
    };
    let (crc, len) = (word(8) as u32, word(8) >> 32);
    if word(0) != MAGIC || len.saturating_add(HEADER as u64) > most {
        return Ok(None);
    }
    let mut content = vec![0; len as usize];
    let is_read = file.read(&mut content, offset + HEADER as u64)?;
    let intact = is_read && crc == checksum(header.get(12..).unwrap_or_default(), &content);
    Ok(intact.then(|| (word(16), content)))
}

fn checksum(header: &[u8], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(header), content)
}

/// Opens the file or makes it; one that cannot be used is made anew.
pub(crate) fn open_file(storage: &dyn Storage, bound: u64) -> io::Result<(Slots, Vec<Mark>)> {
    let wanted = file_bytes(bound);
    match storage.open(FILE) {
        Ok(file) if file.len()? >= 4 * PAGE => return Slots::open(file),
        Ok(_) => storage.remove(FILE)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = storage.create(FILE, wanted)?;
    file.sync()?;
    storage.sync_directory()?;
    Slots::open(file)
}
