//! What the medium withholds while the log runs.
//!
//! It may come back: a bus is reset, a card wakes up. So those who read are told of the error, and the housekeeper reads the
//! place again every few seconds. Only what failed for a minute, while other parts of the same file could be read, counts as
//! damaged: it is entered in the ledger, and everybody goes on behind it.

use std::{collections::BTreeMap, io, time::Duration};

use crate::{
    Health, StorageError,
    index::Place,
    lists::Version,
    log::{Inner, State},
    medium::Medium,
};

/// Between two looks at what is withheld.
const EVERY_MS: u64 = 5_000;
/// What was withheld for so long is damaged, if it was looked at so often.
const LOST_AFTER_MS: u64 = 60_000;
const LOST_AFTER_LOOKS: u32 = 5;
/// Places that are looked at. Of more, a reader finds the next once one of them is settled.
const MOST: usize = 1_024;

/// A record, by where it is, or the index of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Where {
    version: Version,
    offset: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    place: Option<Place>,
    since: u64,
    looks: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Withheld {
    waits: BTreeMap<Where, Wait>,
    not_before: u64,
}

impl Withheld {
    pub(crate) fn next_look(&self, now: u64) -> Option<Duration> {
        let wait = Duration::from_millis(self.not_before.saturating_sub(now).max(1));
        (!self.waits.is_empty()).then_some(wait)
    }

    fn due(&mut self, now: u64) -> Vec<(Where, Wait)> {
        if now < self.not_before {
            return Vec::new();
        }
        self.not_before = now.saturating_add(EVERY_MS);
        self.waits.iter().map(|(at, wait)| (*at, *wait)).collect()
    }
}

impl State {
    /// Has a record read again, or an index, if no place is given.
    pub(crate) fn note_withheld(&mut self, version: Version, place: Option<&Place>) {
        let at = Where {
            version,
            offset: place.map(|place| place.offset),
        };
        let (waits, since) = (&mut self.withheld.waits, self.last_time);
        if waits.contains_key(&at) || waits.len() >= MOST {
            return;
        }
        tracing::error!(
            segment = version.0,
            position = place.map(|place| place.seq),
            "a part of the log cannot be read; it is tried again for a minute"
        );
        let place = place.copied();
        waits.insert(
            at,
            Wait {
                place,
                since,
                looks: 0,
            },
        );
    }
}

impl Inner {
    /// Looks again at what was withheld, and gives up what was for too long.
    pub(crate) fn look_at_withheld(&self, now: u64) {
        let due = self.lock().withheld.due(now);
        for (at, mut wait) in due {
            wait.looks += 1;
            let is_late =
                now.saturating_sub(wait.since) >= LOST_AFTER_MS && wait.looks >= LOST_AFTER_LOOKS;
            // While nothing can be written either, the disk is what fails.
            let gives_up = is_late && self.lock().health == Health::Ok;
            let settled = self.has_changed(at.version)
                || match wait.place {
                    Some(place) => self.look_at_record(at.version, &place, gives_up),
                    None => self.look_at_index(at.version, gives_up),
                }
                .unwrap_or_else(|_| {
                    // No part of the file can be read: the minute begins once one can.
                    (wait.since, wait.looks) = (now, 0);
                    false
                });
            let waits = &mut self.lock().withheld.waits;
            match settled {
                true => drop(waits.remove(&at)),
                false => drop(waits.insert(at, wait)),
            }
        }
    }

    /// Whether nothing more is to be done.
    fn look_at_record(&self, version: Version, place: &Place, gives_up: bool) -> io::Result<bool> {
        let file = self.files.open(&*self.storage, version)?;
        let mut bytes = vec![0; place.len as usize];
        if Medium::of(&*file).read(&mut bytes, u64::from(place.offset))? {
            return Ok(true);
        }
        if gives_up {
            self.enter_damaged_record(version, place);
        }
        Ok(gives_up)
    }

    fn look_at_index(&self, version: Version, gives_up: bool) -> io::Result<bool> {
        match self.rebuild_index(version, gives_up) {
            Ok(()) => Ok(true),
            Err(StorageError::Withheld) => Ok(false),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
