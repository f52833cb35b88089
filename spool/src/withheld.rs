//! What the medium withholds while the log runs.
//!
//! It may come back: a bus is reset, a card wakes up. So those who read are told of the error, and the housekeeper reads the
//! page again every few seconds. Only what failed for a minute, while other parts of the same file could be read, counts as
//! damaged: it is entered in the ledger, and everybody goes on behind it.
//!
//! A read that fails may take seconds, and whatever else is due waits for it: one step of the housekeeper ends with the first
//! page that still cannot be read, and the next goes on behind it.

use std::{
    collections::BTreeMap,
    io,
    ops::{
        Bound::{Excluded, Unbounded},
        RangeInclusive,
    },
    time::Duration,
};

use crate::{
    Health,
    frame::PAGE,
    index::Place,
    lists::Version,
    log::{Inner, State},
    medium::Medium,
};

/// Between two rounds of looks at what is withheld.
const EVERY_MS: u64 = 5_000;
/// What was withheld for so long is damaged, if it was looked at so often.
const LOST_AFTER_MS: u64 = 60_000;
const LOST_AFTER_LOOKS: u32 = 5;
/// Records and indexes that are waited for. Of more, a reader finds the next once one of them is settled.
const MOST: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Of a segment's file.
    Page(u64),
    /// That is to be made again from frames of which some cannot be read.
    Index,
}

type Where = (Version, Part);

/// What is waited for: the pages without which it cannot be had.
#[derive(Debug)]
struct Wait {
    pages: Vec<u64>,
    /// Records that somebody wants to read.
    places: Vec<Place>,
    since: u64,
    looks: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Withheld {
    waits: BTreeMap<Where, Wait>,
    /// How far this round has come.
    looked: Option<Where>,
    not_before: u64,
}

impl Withheld {
    pub(crate) fn next_look(&self, now: u64) -> Option<Duration> {
        let wait = Duration::from_millis(self.not_before.saturating_sub(now).max(1));
        (!self.waits.is_empty()).then_some(wait)
    }

    /// Whether something of this segment is waited for.
    pub(crate) fn is_any_of(&self, version: Version) -> bool {
        self.waits.range(parts_of(version)).next().is_some()
    }

    /// The pages without which its index cannot be made again; none if that is not waited for.
    pub(crate) fn pages_for_index(&self, version: Version) -> Vec<u64> {
        let wait = self.waits.get(&(version, Part::Index));
        wait.map(|wait| wait.pages.clone()).unwrap_or_default()
    }

    /// The next to look at in this round, by the pages it lacks; the round ends where there is none.
    fn next_due(&mut self, now: u64) -> Option<(Where, Vec<u64>)> {
        if now < self.not_before {
            return None;
        }
        let behind = self.looked.map_or(Unbounded, Excluded);
        let next = self.waits.range((behind, Unbounded)).next();
        let next = next.map(|(at, wait)| (*at, wait.pages.clone()));
        self.looked = next.as_ref().map(|(at, _)| *at);
        if next.is_none() {
            self.not_before = now.saturating_add(EVERY_MS);
        }
        next
    }

    /// The minute of all that is waited for of a file begins once some of it can be read; the round goes on behind it.
    fn begin_again(&mut self, version: Version, now: u64) {
        for wait in self.waits.range_mut(parts_of(version)).map(|(_, it)| it) {
            (wait.since, wait.looks) = (now, 0);
        }
        self.looked = Some((version, Part::Index));
    }

    fn note(&mut self, at: Where, pages: Vec<u64>, place: Option<Place>, since: u64) {
        let places = |wait: &Wait| wait.places.len().max(1);
        let held: usize = self.waits.values().map(places).sum();
        let is_known = |wait: &Wait| place.is_none_or(|place| wait.places.contains(&place));
        if held >= MOST || self.waits.get(&at).is_some_and(is_known) {
            return;
        }
        let wait = self.waits.entry(at).or_insert_with(|| {
            let (segment, part) = (at.0.0, at.1);
            tracing::error!(
                segment,
                ?part,
                "a part of the log cannot be read; it is tried again for a minute"
            );
            Wait {
                pages,
                places: Vec::new(),
                since,
                looks: 0,
            }
        });
        wait.places.extend(place);
    }

    /// Counts a look in vain; whether it was looked at so often and for so long that it is damaged.
    fn looked_in_vain(&mut self, at: Where, now: u64) -> bool {
        self.waits.get_mut(&at).is_some_and(|wait| {
            wait.looks += 1;
            now.saturating_sub(wait.since) >= LOST_AFTER_MS && wait.looks >= LOST_AFTER_LOOKS
        })
    }
}

fn parts_of(version: Version) -> RangeInclusive<Where> {
    (version, Part::Page(0))..=(version, Part::Index)
}

impl State {
    /// Has a page read again, for a record that it holds some of; false if that is known to be damaged.
    pub(crate) fn note_withheld_record(
        &mut self,
        version: Version,
        page: u64,
        place: &Place,
    ) -> bool {
        if self.is_known_damaged(place.tag, place.seq) {
            return false;
        }
        let at = (version, Part::Page(page));
        self.withheld
            .note(at, vec![page], Some(*place), self.last_time);
        true
    }

    /// Has these pages read again, without which an index cannot be made again.
    pub(crate) fn note_withheld_index(&mut self, version: Version, pages: Vec<u64>) {
        let at = (version, Part::Index);
        self.withheld.note(at, pages, None, self.last_time);
    }
}

impl Inner {
    /// Looks again at what was withheld, up to the first page that still is, and gives that up if it was for too long.
    pub(crate) fn look_at_withheld(&self, now: u64) {
        loop {
            let due = self.lock().withheld.next_due(now);
            let Some((at, pages)) = due else {
                return;
            };
            let is_settled = match self.has_changed(at.0) {
                true => Ok(true),
                false => self.has_pages(at.0, &pages),
            };
            let mut state = self.lock();
            match is_settled {
                Ok(true) => drop(state.withheld.waits.remove(&at)),
                Ok(false) => {
                    let is_late = state.withheld.looked_in_vain(at, now);
                    // While nothing can be written either, the disk is what fails.
                    if is_late && state.health == Health::Ok {
                        drop(state);
                        self.give_up(at);
                    }
                    return;
                }
                Err(_) => return state.withheld.begin_again(at.0, now),
            }
        }
    }

    /// Whether all of these can be read; fails where no part of the file can be.
    pub(crate) fn has_pages(&self, version: Version, pages: &[u64]) -> io::Result<bool> {
        let file = self.files.open(&*self.storage, version)?;
        let (medium, mut buffer) = (Medium::of(&*file), [0; PAGE as usize]);
        for page in pages {
            if !medium.read_once(&mut buffer, page * PAGE)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn give_up(&self, at: Where) {
        let wait = self.lock().withheld.waits.remove(&at);
        for place in wait.iter().flat_map(|wait| &wait.places) {
            self.enter_damaged_record(at.0, place);
        }
        if at.1 == Part::Index
            && let Err(error) = self.rebuild_index(at.0, true)
        {
            // Whoever needs it waits again.
            tracing::warn!(segment = at.0.0, %error, "an index cannot be made again");
        }
    }
}
