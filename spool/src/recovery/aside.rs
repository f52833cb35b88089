//! Segments of which the medium withholds a part at the end or in the middle.
//!
//! What is withheld counts as damaged and is in the ledger, but the medium may give it back one day: nothing is written over
//! it. The segment is written anew with what could be read, and its old file becomes the quarantine.

use std::io;

use crate::{
    OpenError,
    cleaner::Keep,
    lists::Version,
    log::Inner,
    quarantine,
    segment::{file_name, parse_name},
    storage::Storage,
};

/// Gives segments their old files back where a crash came between the two names of an exchange; whether there were any.
pub(super) fn bring_back(
    storage: &dyn Storage,
    files: &[(String, u64)],
) -> Result<bool, OpenError> {
    let is_there = |name: &str| files.iter().any(|(other, _)| other == name);
    let mut any = false;
    for id in files
        .iter()
        .filter_map(|(name, _)| parse_name(name, ".rewrite"))
    {
        let (own, aside) = (file_name(id), quarantine::copy_name(id));
        if !is_there(&own) && is_there(&aside) {
            storage
                .rename(&aside, &own)
                .and_then(|()| storage.sync_directory())
                .map_err(OpenError::io("bring back a segment"))?;
            any = true;
        }
    }
    Ok(any)
}

impl Inner {
    /// Writes a segment anew and keeps its old file under this name, unless what is damaged has to be in the ledger on disk
    /// first.
    pub(crate) fn set_aside(&self, version: Version, name: &str) -> io::Result<()> {
        let Some(size) = self.lock().segment_by_id(version.0).map(|it| it.size) else {
            return Ok(());
        };
        if self.rewrite(version, Keep::AllAndTheOld(name))? {
            let mut state = self.lock();
            state.room.quarantine_bytes += size;
            state.count_other_bytes();
        }
        Ok(())
    }
}
