//! A storage whose crashes, faults and stalls come from a seed.
//!
//! It keeps two images of everything: *live*, what this process sees, and *durable*, what is on the medium. What was
//! written and not synced may be lost, torn at any 512 byte sector, or kept, independently of when it was written;
//! what happened to names and was not synced may be kept or lost as a journaling (in order) or another file system
//! (in any order) would. [`Simulated::crash`] gives what the next process finds.
//!
//! The same seed and the same calls give the same run. Nothing here sleeps: stalls are summed up for the driver.

mod handle;
mod image;
mod machine;
mod names;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use rustix::io::Errno;

use super::{File, Space, Storage};
use handle::Handle;
use image::Image;
use machine::{Shared, State, pages};
use names::Names;

/// How often something goes wrong, as a probability of each call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// A write fails with EIO; any part of it may have been written.
    pub write: f64,
    /// A sync fails with EIO: any sectors reach the medium, the others never will, and reads still show them all.
    pub sync: f64,
    /// A read fails with EIO.
    pub read: f64,
    /// A creation, rename, removal or directory sync fails with EIO and changes nothing.
    pub directory: f64,
    /// A sync stalls for up to [`Faults::stall_at_most`].
    pub stall: f64,
    /// The longest stall.
    pub stall_at_most: Duration,
}

/// What was asked of the storage since it was made or found after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes given to `write_at`.
    pub bytes_written: u64,
    /// Bytes filled by `read_at`.
    pub bytes_read: u64,
    /// Bytes that syncs brought to the medium, in whole pages of 4 KiB, zeros of creations not counted.
    pub bytes_synced: u64,
    /// Calls of `write_at`.
    pub writes: u64,
    /// Calls of `File::sync`.
    pub syncs: u64,
    /// Calls of `sync_directory`.
    pub directory_syncs: u64,
    /// Creations, renames and removals.
    pub directory_changes: u64,
}

/// A simulated file system with one directory. Clones are the same storage.
#[derive(Clone)]
pub struct Simulated {
    shared: Arc<Shared>,
}

impl Simulated {
    /// An empty storage of 1 GiB without faults.
    pub fn new(seed: u64) -> Simulated {
        Simulated::with_files(seed, BTreeMap::new())
    }

    /// A storage that holds these files, all durable.
    pub fn with_files(seed: u64, files: BTreeMap<String, Vec<u8>>) -> Simulated {
        let (mut names, mut images) = (BTreeMap::new(), BTreeMap::new());
        for (inode, (name, bytes)) in (0..).zip(files) {
            names.insert(name, inode);
            images.insert(inode, Image::durable(bytes));
        }
        Simulated::found(
            fastrand::Rng::with_seed(seed),
            Names::durable(names),
            images,
            1 << 30,
        )
    }

    fn found(
        rng: fastrand::Rng,
        names: Names,
        images: BTreeMap<u64, Image>,
        capacity: u64,
    ) -> Simulated {
        let next_inode = images.last_key_value().map_or(0, |(inode, _)| inode + 1);
        let state = State {
            rng,
            names,
            images,
            next_inode,
            capacity,
            faults: Faults::default(),
            counters: Counters::default(),
            operations: 0,
            crash_at: None,
            fail_at: None,
            crashed: false,
            stalled: Duration::ZERO,
            held: false,
            waiting: 0,
        };
        Simulated {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                gate: Condvar::new(),
            }),
        }
    }

    /// Ends this storage, for all its handles, and gives what a new process finds, without faults.
    pub fn crash(&self) -> Simulated {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.crashed = true;
        let mut rng = state.rng.fork();
        let (names, journaling) = state.names.after_crash(&mut rng);
        // A file system without ordered data shows what the blocks held before; anything ever written may be there.
        let stale: Vec<u8> = match rng.choice(state.images.values()) {
            Some(image) if !journaling => image.live().to_vec(),
            _ => Vec::new(),
        };
        let kept = names.inodes();
        let images = (state.images.iter())
            .filter(|(inode, _)| kept.contains(inode))
            .map(|(inode, image)| (*inode, image.found_after_crash(&mut rng, &stale)))
            .collect();
        self.shared.gate.notify_all();
        Simulated::found(rng, names, images, state.capacity)
    }

    /// The machine stops during the `operation`-th call from now (0 is the next one) that changes something: that
    /// call may have had its effect, any part of it, or none; it and everything after it fails.
    pub fn crash_at(&self, operation: u64) {
        let mut state = self.shared.lock();
        state.crash_at = Some(state.operations + operation);
    }

    /// The `operation`-th call from now (0 is the next one) that changes something fails with EIO.
    pub fn fail_at(&self, operation: u64) {
        let mut state = self.shared.lock();
        state.fail_at = Some(state.operations + operation);
    }

    /// Whether the machine has stopped.
    pub fn crashed(&self) -> bool {
        self.shared.lock().crashed
    }

    /// How many calls have changed something.
    pub fn operations(&self) -> u64 {
        self.shared.lock().operations
    }

    /// Faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.lock().faults = faults;
    }

    /// Size of the file system from now on. Below what is used, everything that grows fails with ENOSPC.
    pub fn set_capacity(&self, bytes: u64) {
        self.shared.lock().capacity = bytes;
    }

    /// What was asked so far.
    pub fn counters(&self) -> Counters {
        self.shared.lock().counters
    }

    /// The time calls have stalled since this was last asked.
    pub fn take_stalled(&self) -> Duration {
        std::mem::take(&mut self.shared.lock().stalled)
    }

    /// Flips `count` bits at random places of random files, weighted by their length.
    pub fn flip_bits(&self, count: usize) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        for _ in 0..count {
            let Some((place, image)) = random_place(&mut state.rng, &mut state.images) else {
                return;
            };
            image.flip(place, state.rng.u8(..8));
        }
    }

    /// Flips one bit of the byte at `offset` of a file, on the medium and as seen by reads.
    pub fn flip_bit_at(&self, name: &str, offset: usize) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let image = state
            .names
            .find(name)
            .and_then(|inode| state.images.get_mut(&inode));
        image.expect("the file exists").flip(offset, 0);
    }

    /// Makes `count` sectors at random places of random files unreadable, weighted by the length of the files; see
    /// [`Simulated::spoil_sector_at`].
    pub fn spoil_sectors(&self, count: usize, reads: Option<u32>) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        for _ in 0..count {
            let Some((place, image)) = random_place(&mut state.rng, &mut state.images) else {
                return;
            };
            image.spoil(place, reads);
        }
    }

    /// Reads of the sector that holds the byte at `offset` of a file fail with EIO: so many of them, or all. It can be read
    /// again once it was written, and a crash leaves it as it is.
    pub fn spoil_sector_at(&self, name: &str, offset: usize, reads: Option<u32>) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let image = state
            .names
            .find(name)
            .and_then(|inode| state.images.get_mut(&inode));
        image.expect("the file exists").spoil(offset, reads);
    }

    /// Every sector can be read again.
    pub fn restore_sectors(&self) {
        let mut state = self.shared.lock();
        state.images.values_mut().for_each(Image::restore);
    }

    /// Whether no part of some file can be read; counts no read.
    pub fn is_any_file_away(&self) -> bool {
        let state = self.shared.lock();
        state.images.values().any(Image::is_away)
    }

    /// Every file as this process sees it.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.shared.lock();
        let bytes = |inode| {
            state
                .images
                .get(inode)
                .map_or(Vec::new(), |image| image.live().to_vec())
        };
        state
            .names
            .live()
            .map(|(name, inode)| (name.clone(), bytes(inode)))
            .collect()
    }

    /// From now on a sync waits, with its thread, until [`Simulated::release_syncs`] or a crash.
    pub fn hold_syncs(&self) {
        self.shared.lock().held = true;
    }

    /// Waits until a sync is being held.
    pub fn wait_for_held_sync(&self) {
        let mut state = self.shared.lock();
        while state.waiting == 0 {
            state = self
                .shared
                .gate
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets the syncs that are held go on.
    pub fn release_syncs(&self) {
        self.shared.lock().held = false;
        self.shared.gate.notify_all();
    }
}

impl Storage for Simulated {
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        let mut state = self.shared.lock();
        let fate = state.begin_directory_change()?;
        if state.names.find(name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.require_room(pages(len))?;
        let inode = state.next_inode;
        state.next_inode += 1;
        let len = usize::try_from(len).map_err(|_| io::Error::from(Errno::NOSPC))?;
        state.images.insert(inode, Image::created(len));
        state.names.link(name, inode);
        fate.result()?;
        state.image(inode).handles += 1;
        Ok(Arc::new(Handle {
            shared: self.shared.clone(),
            inode,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.shared.lock();
        state.alive()?;
        let inode = state.names.find(name).ok_or(io::ErrorKind::NotFound)?;
        state.image(inode).handles += 1;
        Ok(Arc::new(Handle {
            shared: self.shared.clone(),
            inode,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.shared.lock();
        let fate = state.begin_directory_change()?;
        state.names.rename(from, to)?;
        state.collect();
        fate.result()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.shared.lock();
        let fate = state.begin_directory_change()?;
        state.names.unlink(name)?;
        state.collect();
        fate.result()
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let state = self.shared.lock();
        state.alive()?;
        let len = |inode| {
            state
                .images
                .get(inode)
                .map_or(0, |image| image.live().len() as u64)
        };
        Ok(state
            .names
            .live()
            .map(|(name, inode)| (name.clone(), len(inode)))
            .collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.counters.directory_syncs += 1;
        let failing = state.faults.directory;
        state.begin(failing)?.result()?;
        state.names.sync();
        state.collect();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.shared.lock();
        state.alive()?;
        Ok(Space {
            free_bytes: state.capacity.saturating_sub(state.used()),
            total_bytes: state.capacity,
        })
    }
}

/// A random byte of a random file, weighted by the length of the files; none where all are empty.
fn random_place<'a>(
    rng: &mut fastrand::Rng,
    images: &'a mut BTreeMap<u64, Image>,
) -> Option<(usize, &'a mut Image)> {
    let total: usize = images.values().map(|image| image.live().len()).sum();
    let mut place = (total > 0).then(|| rng.usize(..total))?;
    for image in images.values_mut() {
        let len = image.live().len();
        if place < len {
            return Some((place, image));
        }
        place -= len;
    }
    None
}

#[cfg(test)]
mod tests;
