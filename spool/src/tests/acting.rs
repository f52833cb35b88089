//! A storage on which a test acts between two calls of the log.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};

use super::*;
use crate::storage::{File, Space};

/// A call that is about to be answered, or has just been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call<'a> {
    Opening(&'a str),
    ReadFailed,
    Renamed { from: &'a str, to: &'a str },
}

type Act = Box<dyn FnMut(Call<'_>) + Send>;

/// Tells of calls. Those made while it does so are not told of.
#[derive(Clone)]
pub(super) struct Acting {
    pub(super) disk: Simulated,
    act: Arc<OnceLock<Mutex<Act>>>,
}

impl Acting {
    pub(super) fn on(disk: Simulated) -> Acting {
        Acting {
            disk,
            act: Arc::default(),
        }
    }

    /// What to do at each call from now on.
    pub(super) fn act(&self, act: impl FnMut(Call<'_>) + Send + 'static) {
        let is_first = self.act.set(Mutex::new(Box::new(act))).is_ok();
        assert!(is_first, "said once");
    }

    fn tell(&self, call: Call<'_>) {
        if let Some(mut act) = self.act.get().and_then(|act| act.try_lock().ok()) {
            act(call);
        }
    }
}

impl Storage for Acting {
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        self.disk.create(name, len)
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.tell(Call::Opening(name));
        Ok(Arc::new(ActingFile {
            file: self.disk.open(name)?,
            storage: self.clone(),
        }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let renamed = self.disk.rename(from, to);
        self.tell(Call::Renamed { from, to });
        renamed
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.disk.list()
    }
    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }
    fn space(&self) -> io::Result<Space> {
        self.disk.space()
    }
}

struct ActingFile {
    file: Arc<dyn File>,
    storage: Acting,
}

impl File for ActingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let read = self.file.read_at(buffer, offset);
        if read.is_err() {
            self.storage.tell(Call::ReadFailed);
        }
        read
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
