//! Open files of sealed segments: a few, so that a long log does not use up the process's descriptors.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    lists::Version,
    segment::file_name,
    storage::{File, Storage},
};

const MOST: usize = 16;

#[derive(Default)]
pub(crate) struct Files(Mutex<Open>);

#[derive(Default)]
struct Open {
    /// The most recently used last.
    recent: VecDeque<(Version, Arc<dyn File>)>,
    /// Those whose names lead, or soon will, to what takes their place.
    kept: Vec<(Version, Arc<dyn File>)>,
}

impl Files {
    /// The file of a segment as it was in this version, or, where the version has passed, what took its place.
    pub(crate) fn open(
        &self,
        storage: &dyn Storage,
        version: Version,
    ) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.lock().find(version) {
            return Ok(file);
        }
        let file = storage.open(&file_name(version.0))?;
        let mut files = self.lock();
        // It may have been replaced since: then the name has led to another.
        if let Some(file) = files.find(version) {
            return Ok(file);
        }
        if files.recent.len() >= MOST {
            files.recent.pop_front();
        }
        files.recent.push_back((version, file.clone()));
        Ok(file)
    }

    /// Keeps the file of a segment until it is forgotten: from before another takes its name until no reader looks for this
    /// version any more.
    pub(crate) fn keep(&self, storage: &dyn Storage, version: Version) -> io::Result<()> {
        let file = self.open(storage, version)?;
        self.lock().kept.push((version, file));
        Ok(())
    }

    pub(crate) fn forget(&self, segment: u64) {
        let mut files = self.lock();
        files.recent.retain(|(version, _)| version.0 != segment);
        files.kept.retain(|(version, _)| version.0 != segment);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn find(&mut self, version: Version) -> Option<Arc<dyn File>> {
        let is_it = |(other, _): &(Version, Arc<dyn File>)| *other == version;
        if let Some((_, file)) = self.kept.iter().find(|entry| is_it(entry)) {
            return Some(file.clone());
        }
        let at = self.recent.iter().position(is_it)?;
        let entry = self.recent.remove(at)?;
        let file = entry.1.clone();
        self.recent.push_back(entry);
        Some(file)
    }
}
