//! What a device must remember over a reset beside its events, as values under keys in a log of its own.
//!
//! A value's newest record counts; an empty one says that there is none any more. When a page is full the next one is begun and what is still needed copied to it, so all
//! values together must fit into a page. A power cut while copying leaves the older records, from which it goes on.

use embedded_storage_async::nor_flash::NorFlash;
use heapless::Vec;

use crate::log::{Cursor, Log, LogError, Region, Walk, most_stored, stored_len};

const TAG: u8 = 0xff;

/// The most values.
pub(crate) const MAX_VALUES: usize = 24;

/// How many values there are beside the tables, and how many bytes all of them take at most: counter, commands of four
/// origins, a setting, renames.
const OTHERS: usize = 7;
const OTHERS_LEN: u32 = 512;

/// Names a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Incarnation and boot counter.
    Boot,
    /// The table of a kind.
    Kind([u8; 2]),
    /// The last command of an origin, by its place.
    Command(u8),
    /// What a command set, and which.
    Setting,
    /// Boots whose ids others had before.
    Renames,
}

impl Key {
    fn number(self) -> u8 {
        match self {
            Key::Boot => 1,
            Key::Kind(_) => 2,
            Key::Command(_) => 3,
            Key::Setting => 4,
            Key::Renames => 5,
        }
    }

    fn id(self) -> [u8; 2] {
        match self {
            Key::Boot | Key::Setting | Key::Renames => [0, 0],
            Key::Kind(id) => id,
            Key::Command(place) => [place, 0],
        }
    }

    fn read(kind: u8, id: [u8; 2]) -> Option<Self> {
        match kind {
            1 => Some(Key::Boot),
            2 => Some(Key::Kind(id)),
            3 => {
                let [place, _] = id;
                Some(Key::Command(place))
            }
            4 => Some(Key::Setting),
            5 => Some(Key::Renames),
            _ => None,
        }
    }
}

/// Where the newest record of a value is, and how long.
#[derive(Clone, Copy, Debug)]
struct Newest {
    key: Key,
    at: Cursor,
    len: u16,
}

#[derive(Debug)]
pub(crate) struct Store {
    log: Log,
    newest: Vec<Newest, MAX_VALUES>,
    /// Whether something that cannot be read stands behind the newest boot counter.
    is_boot_doubtful: bool,
}

impl Store {
    /// A store of which nothing is known.
    pub(crate) fn closed<S: NorFlash>(region: Region) -> Self {
        Store {
            log: Log::closed::<S>(region, TAG),
            newest: Vec::new(),
            is_boot_doubtful: false,
        }
    }

    /// Finds what the region holds.
    pub(crate) async fn open<S: NorFlash>(
        &mut self,
        flash: &mut S,
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        self.log.open(flash, scratch).await?;
        let mut walk = Walk::from(self.log.keep);
        let mut skipped_before_boot = 0;
        while let Some(record) = self.log.next(flash, &mut walk, scratch).await? {
            let Some((id, _)) = record.payload.split_first_chunk::<2>() else {
                continue;
            };
            let Some(key) = Key::read(record.kind, *id) else {
                continue;
            };
            if key == Key::Boot {
                skipped_before_boot = walk.skipped;
            }
            if record.payload.len() > key.id().len() {
                self.note(key, record.at, record.payload.len())?;
            } else {
                self.newest.retain(|value| value.key != key);
            }
        }
        let is_strange = self.log.is_next_page_strange(flash, scratch).await?;
        self.is_boot_doubtful = walk.skipped > skipped_before_boot || is_strange;
        self.copy_old_pages(flash, scratch).await
    }

    /// Whether a boot counter may have been written that cannot be read any more.
    pub(crate) fn is_boot_doubtful(&self) -> bool {
        self.is_boot_doubtful
    }

    /// The keys that have a value.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.newest.iter().map(|value| value.key)
    }

    /// The value of `key`, in `scratch`.
    pub(crate) async fn value<'b, S: NorFlash>(
        &self,
        flash: &mut S,
        key: Key,
        scratch: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, LogError<S::Error>> {
        let Some(value) = self.newest.iter().find(|value| value.key == key) else {
            return Ok(None);
        };
        let mut walk = Walk::from(value.at);
        let record = self.log.next(flash, &mut walk, scratch).await?;
        Ok(record.and_then(|record| record.payload.get(2..)))
    }

    /// Forgets a value.
    pub(crate) async fn forget<S: NorFlash>(
        &mut self,
        flash: &mut S,
        key: Key,
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        self.set(flash, key, &[], scratch).await?;
        self.newest.retain(|value| value.key != key);
        Ok(())
    }

    /// Stores a value. When this returns, it is in flash. One that finds no room beside the others is not written.
    pub(crate) async fn set<S: NorFlash>(
        &mut self,
        flash: &mut S,
        key: Key,
        value: &[u8],
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        let mut payload: Vec<u8, MAX_VALUE> = Vec::new();
        let fits = payload
            .extend_from_slice(&key.id())
            .and_then(|()| payload.extend_from_slice(value));
        fits.map_err(|_| LogError::Size)?;
        if !self.has_room::<S>(key, payload.len()) {
            return Err(LogError::Full);
        }
        self.append(flash, key, &payload, scratch).await?;
        self.copy_old_pages(flash, scratch).await
    }

    /// Whether a page can hold a record of so many bytes and all other values. Tables leave room for what a device must be
    /// able to remember.
    fn has_room<S: NorFlash>(&self, key: Key, len: usize) -> bool {
        let others = self.newest.iter().filter(|value| value.key != key);
        let lens = others.map(|value| usize::from(value.len)).chain([len]);
        let stored = lens.map(stored_len::<S>).sum::<u32>();
        let most = most_stored::<S>();
        match key {
            Key::Kind(_) => {
                self.newest.len().saturating_add(OTHERS) < MAX_VALUES
                    && stored <= most.saturating_sub(OTHERS_LEN.min(most / 2))
            }
            _ => stored <= most,
        }
    }

    /// Appends a record, in a new page if need be.
    async fn append<S: NorFlash>(
        &mut self,
        flash: &mut S,
        key: Key,
        payload: &[u8],
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        self.log
            .append(flash, key.number(), payload, scratch)
            .await?;
        let stored = stored_len::<S>(payload.len());
        let mut at = self.log.tail();
        at.offset = at.offset.saturating_sub(stored);
        self.note(key, at, payload.len())
    }

    /// Copies what only older pages hold, so that they can be erased.
    async fn copy_old_pages<S: NorFlash>(
        &mut self,
        flash: &mut S,
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        let page = self.log.tail().number;
        while let Some(&Newest { key, at, .. }) =
            self.newest.iter().find(|value| value.at.number < page)
        {
            let mut payload: Vec<u8, MAX_VALUE> = Vec::new();
            if let Some(record) = self.log.next(flash, &mut Walk::from(at), scratch).await? {
                payload
                    .extend_from_slice(record.payload)
                    .map_err(|_| LogError::Size)?;
            }
            self.append(flash, key, &payload, scratch).await?;
        }
        self.log.keep = Cursor {
            number: page,
            offset: 0,
        };
        Ok(())
    }

    fn note<E>(&mut self, key: Key, at: Cursor, len: usize) -> Result<(), LogError<E>> {
        let len = u16::try_from(len).map_err(|_| LogError::Size)?;
        let newest = Newest { key, at, len };
        match self.newest.iter_mut().find(|value| value.key == key) {
            Some(place) => *place = newest,
            None => self.newest.push(newest).map_err(|_| LogError::Full)?,
        }
        Ok(())
    }
}

/// The longest value with its key, in bytes.
pub(crate) const MAX_VALUE: usize = 512;

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{vec, vec::Vec};

    use embassy_futures::block_on;
    use flash_model::{Flash, Geometry};

    use super::*;

    type Chip = Flash<Vec<u8>, 256, 4>;
    const REGION: Region = Region { start: 0, pages: 2 };
    const TABLE: Key = Key::Kind([1, 2]);

    fn value(store: &Store, chip: &mut Chip, key: Key) -> Option<Vec<u8>> {
        let mut scratch = [0; 128];
        block_on(store.value(chip, key, &mut scratch))
            .unwrap()
            .map(<[u8]>::to_vec)
    }

    #[test]
    fn a_value_outlives_any_number_of_others() {
        let mut chip = Chip::format(vec![0; Geometry::<256, 4>::memory_len(2)]);
        let mut scratch = [0; 128];
        let mut store = opened(&mut chip, &mut scratch);
        block_on(store.set(&mut chip, TABLE, b"table", &mut scratch)).unwrap();
        for boot in 0..200u32 {
            block_on(store.set(&mut chip, Key::Boot, &boot.to_le_bytes(), &mut scratch)).unwrap();
        }
        let store = opened(&mut chip, &mut scratch);
        assert_eq!(value(&store, &mut chip, TABLE).unwrap(), b"table");
        assert_eq!(
            value(&store, &mut chip, Key::Boot).unwrap(),
            199u32.to_le_bytes()
        );
        assert!(!store.is_boot_doubtful());
    }

    fn opened(chip: &mut Chip, scratch: &mut [u8]) -> Store {
        let mut store = Store::closed::<Chip>(REGION);
        block_on(store.open(chip, scratch)).unwrap();
        store
    }
}
