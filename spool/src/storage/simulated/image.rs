//! One file: what this process sees of it and what is on the medium.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

/// What a medium writes whole.
const SECTOR: usize = 512;
const PAGE: usize = 4096;

pub(super) struct Image {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync, in order.
    pending: Vec<Write>,
    /// Sectors that cannot be read, and for how many reads more, if not for good.
    spoiled: BTreeMap<usize, Option<u32>>,
    /// Open handles.
    pub(super) handles: usize,
}

struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

/// Which unsynced writes reach the medium.
enum Survival {
    None,
    All,
    /// Of each sector any version, older ones as well.
    Any,
    /// In order, the last one torn.
    InOrder,
    /// Everything but some sectors.
    Holes,
}

impl Image {
    pub(super) fn durable(bytes: Vec<u8>) -> Image {
        Image {
            live: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
            spoiled: BTreeMap::new(),
            handles: 0,
        }
    }

    pub(super) fn created(len: usize) -> Image {
        Image {
            live: vec![0; len],
            durable: Vec::new(),
            pending: Vec::new(),
            spoiled: BTreeMap::new(),
            handles: 0,
        }
    }

    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        put(&mut self.live, bytes, offset);
        let written = offset / SECTOR..(offset + bytes.len()).div_ceil(SECTOR);
        self.spoiled.retain(|sector, _| !written.contains(sector));
        self.pending.push(Write {
            offset,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    /// Brings everything to the medium and gives the bytes of the pages this took.
    pub(super) fn sync(&mut self) -> u64 {
        let pages: BTreeSet<usize> = self
            .pending
            .iter()
            .flat_map(|write| write.blocks(PAGE))
            .collect();
        self.durable.resize(self.live.len(), 0);
        for write in self.pending.drain(..) {
            put(&mut self.durable, &write.bytes, write.offset);
        }
        (pages.len() * PAGE) as u64
    }

    /// Some of what was pending is on the medium, the rest never will be, and reads show all of it.
    pub(super) fn fail_sync(&mut self, rng: &mut fastrand::Rng) {
        self.durable = self.after_crash(rng, &[]);
        self.pending.clear();
    }

    pub(super) fn flip(&mut self, place: usize, bit: u8) {
        for image in [&mut self.live, &mut self.durable] {
            if let Some(byte) = image.get_mut(place) {
                *byte ^= 1 << bit;
            }
        }
    }

    pub(super) fn spoil(&mut self, place: usize, reads: Option<u32>) {
        self.spoiled.insert(place / SECTOR, reads);
    }

    pub(super) fn restore(&mut self) {
        self.spoiled.clear();
    }

    /// Whether each page has a sector that cannot be read.
    pub(super) fn is_away(&self) -> bool {
        let pages: BTreeSet<usize> = self
            .spoiled
            .keys()
            .map(|sector| sector * SECTOR / PAGE)
            .collect();
        !self.live.is_empty()
            && (0..self.live.len().div_ceil(PAGE)).all(|page| pages.contains(&page))
    }

    /// Whether a read of this part fails; counts it as one.
    pub(super) fn is_spoiled(&mut self, start: usize, len: usize) -> bool {
        let sectors = start / SECTOR..start.saturating_add(len).div_ceil(SECTOR);
        let mut is_met = false;
        self.spoiled.retain(|sector, reads| {
            let Some(left) = reads.as_mut() else {
                is_met |= sectors.contains(sector);
                return true;
            };
            if *left > 0 && sectors.contains(sector) {
                is_met = true;
                *left -= 1;
            }
            *left > 0
        });
        is_met
    }

    /// The file as the next process finds it.
    pub(super) fn found_after_crash(&self, rng: &mut fastrand::Rng, stale: &[u8]) -> Image {
        Image {
            spoiled: self.spoiled.clone(),
            ..Image::durable(self.after_crash(rng, stale))
        }
    }

    /// What is on the medium after a crash; blocks that were never written hold `stale`.
    pub(super) fn after_crash(&self, rng: &mut fastrand::Rng, stale: &[u8]) -> Vec<u8> {
        let survival = match rng.u8(..5) {
            0 => Survival::None,
            1 => Survival::All,
            2 => Survival::Any,
            3 => Survival::InOrder,
            _ => Survival::Holes,
        };
        let mut found = self.grown(rng, &survival, stale);
        // The length stays as found: what lies beyond it was never allocated.
        let mut versions: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, write) in self.pending.iter().enumerate() {
            for sector in write.blocks(SECTOR) {
                versions.entry(sector).or_default().push(number);
            }
        }
        let torn = rng.usize(..=self.pending.len());
        for (sector, versions) in versions {
            let kept = match survival {
                Survival::None => 0,
                Survival::All => versions.len(),
                Survival::Any => rng.usize(..=versions.len()),
                Survival::InOrder => versions
                    .iter()
                    .filter(|number| **number < torn || (**number == torn && rng.bool()))
                    .count(),
                Survival::Holes if rng.u8(..8) == 0 => rng.usize(..versions.len()),
                Survival::Holes => versions.len(),
            };
            for number in versions.iter().take(kept) {
                if let Some(write) = self.pending.get(*number) {
                    write.apply_sector(&mut found, sector);
                }
            }
        }
        found
    }

    fn grown(&self, rng: &mut fastrand::Rng, survival: &Survival, stale: &[u8]) -> Vec<u8> {
        let mut found = self.durable.clone();
        let len = match survival {
            Survival::None => found.len(),
            Survival::All | Survival::Holes => self.live.len().max(found.len()),
            Survival::Any | Survival::InOrder => {
                rng.usize(found.len()..=self.live.len().max(found.len()))
            }
        };
        for place in found.len()..len {
            found.push(stale.get(place).copied().unwrap_or(0));
        }
        found
    }
}

impl Write {
    /// Numbers of the blocks this touches.
    fn blocks(&self, size: usize) -> impl Iterator<Item = usize> {
        let end = self.offset + self.bytes.len();
        self.offset / size..end.div_ceil(size).max(self.offset / size)
    }

    fn apply_sector(&self, found: &mut [u8], sector: usize) {
        let start = self.offset.max(sector * SECTOR);
        let end = (self.offset + self.bytes.len())
            .min((sector + 1) * SECTOR)
            .min(found.len());
        if start < end {
            let bytes = self
                .bytes
                .get(start - self.offset..end - self.offset)
                .unwrap_or_default();
            put_within(found, bytes, start);
        }
    }
}

fn put(image: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    put_within(image, bytes, offset);
}

fn put_within(image: &mut [u8], bytes: &[u8], offset: usize) {
    if let Some(place) = image.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
