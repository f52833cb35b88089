//! Reading a data directory that another process may own: nothing is written or locked.

use std::{io, ops::ControlFlow, path::Path, sync::Arc};

use crate::{
    Entry, LaneOptions, NodeTime, OpenError, Options, ReadLimits, Seq, Spool, Status, StorageError,
    WhenFull,
    medium::Medium,
    recovery::{self, Mode},
    scan::Extent,
    segment::{Segment, file_name},
    storage::disk::Disk,
};

/// Opens a read-only view of the log in `dir` as it is on disk at this moment. What a running node does meanwhile may
/// make a segment vanish under it: what was read before stays true.
///
/// `lanes` is what the owner calls them, from the one kept longest on: the log knows their numbers only.
pub fn open(dir: &Path, lanes: &[String]) -> Result<Inspection, OpenError> {
    let storage = Arc::new(Disk::open_read_only(dir)?);
    let lane = |name: &String| LaneOptions {
        name: name.clone(),
        when_full: WhenFull::default(),
    };
    // Bounds are the owner's affair; here they only have to allow any log.
    let options = Options {
        bound_bytes: Some(1 << 50),
        lanes: lanes.iter().map(lane).collect(),
        ..Options::default()
    };
    let (spool, recovery) = recovery::open(
        storage,
        &options,
        NodeTime(0),
        Arc::new(|| {}),
        Mode::ReadOnly,
    )?;
    Ok(Inspection {
        spool,
        findings: recovery.findings,
    })
}

/// A log as it was on disk when it was opened.
pub struct Inspection {
    spool: Spool,
    findings: Vec<String>,
}

/// What a verification read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Segments with records.
    pub segments: u64,
    /// Their frames.
    pub frames: u64,
    /// Their records.
    pub records: u64,
    /// What is wrong with them.
    pub faults: u64,
}

impl Inspection {
    /// As the owner would see it after opening; bounds and free space are not known.
    pub fn status(&self) -> Status {
        self.spool.status()
    }

    /// The log, to be read only.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Checks every frame of every segment; `each` is told of each fault.
    pub fn verify(&self, each: &mut dyn FnMut(&str)) -> Result<Verified, StorageError> {
        let mut verified = Verified {
            faults: self.findings.len() as u64,
            ..Verified::default()
        };
        self.findings.iter().for_each(|finding| each(finding));
        let known: Vec<(u64, u64, u64, u64, u64)> = {
            let state = self.spool.inner.lock();
            let known = |segment: &Segment| {
                (
                    segment.id,
                    segment.salt,
                    segment.size,
                    segment.end,
                    segment.last,
                )
            };
            state.segments.iter().map(known).collect()
        };
        for (id, salt, size, end, last) in known {
            let scan = match self.spool.inner.storage.open(&file_name(id)) {
                Ok(file) => Extent {
                    file: &Medium::of(&*file),
                    salt,
                    size,
                    known_end: Some((end, last)),
                }
                .scan(),
                Err(error) => Err(error),
            };
            match scan {
                Ok(scan) => {
                    verified.segments += 1;
                    verified.frames += scan.frames;
                    verified.records += scan.slots.len() as u64;
                    for gap in &scan.gaps {
                        verified.faults += 1;
                        each(&format!(
                            "segment {id:016x}: positions {} to {} are damaged",
                            gap.first, gap.last
                        ));
                    }
                }
                // Freed by its owner.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(StorageError::Io {
                        doing: "read a segment",
                        source,
                    });
                }
            }
        }
        Ok(verified)
    }

    /// Every committed event from `from` on.
    pub fn scan(
        &self,
        from: Seq,
        each: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let limits = ReadLimits {
            records: 1_024,
            bytes: 1 << 20,
            lanes: u32::MAX,
        };
        let mut from = from;
        loop {
            let batch = self.spool.scan(from, limits)?;
            for entry in &batch.entries {
                if each(entry).is_break() {
                    return Ok(());
                }
            }
            if batch.at_end {
                return Ok(());
            }
            from = batch.next;
        }
    }
}
