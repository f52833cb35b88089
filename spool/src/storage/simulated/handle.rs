//! An open file of the simulated storage.

use std::{
    io,
    sync::{Arc, PoisonError},
};

use rustix::io::Errno;

use super::machine::{Fate, Shared, pages};
use crate::storage::File;

pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) inode: u64,
}

impl File for Handle {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.counters.writes += 1;
        let failing = state.faults.write;
        let fate = state.begin(failing)?;
        let len = state.image(self.inode).live().len() as u64;
        state.require_room(pages(offset + bytes.len() as u64).saturating_sub(pages(len)))?;
        let written = match fate {
            Fate::Fails => state.rng.usize(..=bytes.len()),
            _ => bytes.len(),
        };
        state.counters.bytes_written += written as u64;
        state
            .image(self.inode)
            .write(bytes.get(..written).unwrap_or_default(), offset)?;
        fate.result()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.alive()?;
        let failing = state.faults.read;
        if state.happens(failing) {
            return Err(Errno::IO.into());
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if state.image(self.inode).is_spoiled(start, buffer.len()) {
            return Err(Errno::IO.into());
        }
        let live = state.image(self.inode).live();
        let bytes = live
            .get(start..start.saturating_add(buffer.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        state.counters.bytes_read += buffer.len() as u64;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut guard = self.shared.lock();
        while guard.held && !guard.crashed {
            guard.waiting += 1;
            self.shared.gate.notify_all();
            guard = self
                .shared
                .gate
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
            guard.waiting -= 1;
        }
        let state = &mut *guard;
        state.counters.syncs += 1;
        let faults = state.faults;
        let fate = state.begin(faults.sync)?;
        if state.happens(faults.stall) {
            state.stalled += faults.stall_at_most.mul_f64(state.rng.f64());
        }
        let image = state
            .images
            .get_mut(&self.inode)
            .expect("an open handle keeps its image");
        match fate {
            Fate::Done => state.counters.bytes_synced += image.sync(),
            Fate::Fails => image.fail_sync(&mut state.rng),
            Fate::Interrupted => {}
        }
        fate.result()
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.shared.lock();
        state.alive()?;
        Ok(state.image(self.inode).live().len() as u64)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.image(self.inode).handles -= 1;
        state.collect();
    }
}
