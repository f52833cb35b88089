//! Open files of sealed segments: a few, so that a long log does not use up the process's descriptors.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    lists::Version,
    segment::file_name,
    storage::{File, Storage},
};

const MOST: usize = 16;

/// The most recently used last.
#[derive(Default)]
pub(crate) struct Files(Mutex<VecDeque<(Version, Arc<dyn File>)>>);

impl Files {
    pub(crate) fn open(
        &self,
        storage: &dyn Storage,
        version: Version,
    ) -> io::Result<Arc<dyn File>> {
        let mut files = self.lock();
        if let Some(at) = files.iter().position(|(other, _)| *other == version)
            && let Some(entry) = files.remove(at)
        {
            let file = entry.1.clone();
            files.push_back(entry);
            return Ok(file);
        }
        drop(files);
        let file = storage.open(&file_name(version.0))?;
        let mut files = self.lock();
        if files.len() >= MOST {
            files.pop_front();
        }
        files.push_back((version, file.clone()));
        Ok(file)
    }

    pub(crate) fn forget(&self, segment: u64) {
        self.lock().retain(|(version, _)| version.0 != segment);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Version, Arc<dyn File>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
