//! The two files of a checkpoint.
//!
//! ```text
//! checkpoint-0, checkpoint-1: written in turn, each beside the old file and renamed over it
//! magic 8 | crc32c of the rest of these 80 bytes 4 | version 2 | zero 2 | number 8 | spool covered 8
//! | owner covered 8 | length of the spool's part 8 | length of the owner's part + 1, zero for none 8
//! | crc32c of both parts 8 | zeros | the spool's part (postcard) | the owner's part
//! ```
//!
//! "Covered" is a position: records after it are applied to what the checkpoint holds. What needs records up to it is
//! freed only when both files are past it, so that either one can serve.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};

use crate::{
    CursorId, Loss, OpenError, StorageError,
    control::{CursorRecord, Mark},
    damage::Known,
    medium::{Medium, is_of_medium},
    page::{Page, check_page, finish_page, start_page},
    route::Amount,
    storage::Storage,
};

const MAGIC: u64 = u64::from_le_bytes(*b"SPOOLCHK");
const HEADER: usize = 80;

pub(crate) fn file_name(number: u64) -> String {
    format!("checkpoint-{}", number % 2)
}

pub(super) const NEW: &str = "checkpoint.new";

/// What a checkpoint file says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) number: u64,
    pub(crate) spool: u64,
    pub(crate) owner: u64,
    pub(crate) bytes: u64,
}

/// The spool's part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct SpoolState {
    pub(crate) cursors: Vec<(CursorRecord, Mark)>,
    pub(crate) routes: Vec<RouteState>,
    pub(crate) floors: Vec<u64>,
    pub(crate) ledger: Vec<Loss>,
    pub(crate) next_cursor: u32,
    pub(crate) last_route: u32,
    pub(crate) last_time: u64,
}

/// All that is stored of the spool itself, part behind part. Later releases add parts; one that was not written is empty.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) state: SpoolState,
    pub(crate) damage: Known,
    /// What was ever owed to each cursor on routes that are forgotten.
    pub(crate) forgotten: BTreeMap<u32, Amount>,
}

impl Stored {
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.state)
            .and_then(|bytes| postcard::to_extend(&self.damage, bytes))
            .and_then(|bytes| postcard::to_extend(&self.forgotten, bytes))
            .unwrap_or_default()
    }

    fn decode(bytes: &[u8]) -> postcard::Result<Stored> {
        let (state, rest) = postcard::take_from_bytes(bytes)?;
        let (damage, rest) = take_part(rest)?;
        let (forgotten, _) = take_part(rest)?;
        Ok(Stored {
            state,
            damage,
            forgotten,
        })
    }
}

fn take_part<T: Default + serde::de::DeserializeOwned>(
    bytes: &[u8],
) -> postcard::Result<(T, &[u8])> {
    match bytes {
        [] => Ok((T::default(), bytes)),
        _ => postcard::take_from_bytes(bytes),
    }
}

/// A route with what was counted on it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RouteState {
    pub(crate) id: u32,
    pub(crate) cursors: Vec<CursorId>,
    pub(crate) terms: Vec<u8>,
    pub(crate) total: Amount,
    pub(crate) last: [u64; crate::Lane::MOST],
}

pub(super) fn encode(covered: Covered, state: &[u8], owner: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = start_page(MAGIC);
    let parts_crc = crc32c::crc32c_append(crc32c::crc32c(state), owner.unwrap_or_default());
    for word in [
        covered.number,
        covered.spool,
        covered.owner,
        state.len() as u64,
        owner.map_or(0, |owner| owner.len() as u64 + 1),
        u64::from(parts_crc),
    ] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    finish_page(&mut bytes, HEADER);
    bytes.extend_from_slice(state);
    bytes.extend_from_slice(owner.unwrap_or_default());
    bytes
}

/// A checkpoint as read.
pub(crate) struct Read {
    pub(crate) covered: Covered,
    pub(crate) stored: Stored,
    pub(crate) owner: Option<Vec<u8>>,
}

/// Reads a file; `None` if it is not there or damaged. Fails where no part of it can be read.
pub(super) fn read(storage: &dyn Storage, name: &str) -> io::Result<Option<Read>> {
    let Some(bytes) = read_all(storage, name)? else {
        return Ok(None);
    };
    Ok(match decode(&bytes) {
        Page::Valid(read) => Some(read),
        Page::Newer(_) | Page::Invalid => None,
    })
}

/// The version of a file that a newer release wrote.
pub(crate) fn newer_version(storage: &dyn Storage, name: &str) -> Result<Option<u16>, OpenError> {
    // One that cannot be read does not say; whether the log opens without it is decided where it is read.
    let bytes = match read_all(storage, name) {
        Err(error) if is_of_medium(&error) => None,
        read => read.map_err(OpenError::io("read a checkpoint"))?,
    };
    let header = bytes
        .as_ref()
        .and_then(|bytes| bytes.get(..HEADER))
        .unwrap_or_default();
    Ok(match check_page(header, MAGIC) {
        Page::Newer(version) => Some(version),
        _ => None,
    })
}

fn read_all(storage: &dyn Storage, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match storage.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    // What cannot be read is zeros, and no checksum holds over them.
    Medium::of(&*file).read(&mut bytes, 0)?;
    Ok(Some(bytes))
}

fn decode(bytes: &[u8]) -> Page<Read> {
    let mut words = match check_page(bytes.get(..HEADER).unwrap_or_default(), MAGIC) {
        Page::Valid(words) => words,
        Page::Newer(version) => return Page::Newer(version),
        Page::Invalid => return Page::Invalid,
    };
    let covered = Covered {
        number: words.take(),
        spool: words.take(),
        owner: words.take(),
        bytes: bytes.len() as u64,
    };
    let (state_len, owner_len, crc) = (words.take(), words.take(), words.take());
    let parts = bytes.get(HEADER..).unwrap_or_default();
    let lengths = state_len.checked_add(owner_len.saturating_sub(1));
    if lengths != Some(parts.len() as u64) || u64::from(crc32c::crc32c(parts)) != crc {
        return Page::Invalid;
    }
    let (state, owner) = parts
        .split_at_checked(state_len as usize)
        .unwrap_or_default();
    match Stored::decode(state) {
        Ok(stored) => Page::Valid(Read {
            covered,
            stored,
            owner: (owner_len > 0).then(|| owner.to_vec()),
        }),
        Err(_) => Page::Invalid,
    }
}

/// The checkpoints in a directory, newest first, and the error of one of which no part can be read.
pub(crate) fn read_both(
    storage: &dyn Storage,
) -> Result<(Vec<Read>, Option<StorageError>), StorageError> {
    let (mut found, mut unread) = (Vec::new(), None);
    for number in 0..2 {
        match read(storage, &file_name(number)) {
            Ok(read) => found.extend(read),
            Err(error) if is_of_medium(&error) => unread = Some(read_failed(error)),
            Err(error) => return Err(read_failed(error)),
        }
    }
    found.sort_by_key(|read| std::cmp::Reverse(read.covered.number));
    Ok((found, unread))
}

fn read_failed(error: io::Error) -> StorageError {
    StorageError::io("read a checkpoint")(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_whole_or_not_at_all() {
        let covered = Covered {
            number: 4,
            spool: 10,
            owner: 12,
            bytes: 0,
        };
        let stored = Stored {
            state: SpoolState {
                next_cursor: 7,
                ..SpoolState::default()
            },
            forgotten: BTreeMap::from([(3, Amount::default())]),
            ..Stored::default()
        };
        let state = stored.encode();
        for owner in [None, Some(b"".as_slice()), Some(b"sessions".as_slice())] {
            let bytes = encode(covered, &state, owner);
            let Page::Valid(read) = decode(&bytes) else {
                panic!("damaged")
            };
            assert_eq!(
                read.covered,
                Covered {
                    bytes: bytes.len() as u64,
                    ..covered
                }
            );
            assert_eq!(read.stored.state.next_cursor, 7);
            assert_eq!(read.stored.forgotten, stored.forgotten);
            assert_eq!(read.owner.as_deref(), owner);
            for byte in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[byte] ^= 0x20;
                assert!(!matches!(decode(&flipped), Page::Valid(_)), "byte {byte}");
            }
            assert!(!matches!(decode(&bytes[..bytes.len() - 1]), Page::Valid(_)));
        }
    }

    #[test]
    fn parts_that_an_earlier_release_did_not_write_are_empty() {
        let state = postcard::to_stdvec(&SpoolState::default()).unwrap();
        let damage = postcard::to_stdvec(&Known::default()).unwrap();
        for written in [state.clone(), [state, damage].concat()] {
            let stored = Stored::decode(&written).unwrap();
            assert_eq!(stored.forgotten, BTreeMap::new());
        }
    }
}
