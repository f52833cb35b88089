//! Reading a data directory that another process may own: nothing is written or locked.

use std::{
    cell::RefCell,
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Batch, Entry, LaneOptions, LossReason, NodeTime, OpenError, Options, ReadLimits, Seq, Spool,
    Status, StorageError, WhenFull,
    frame::PAGE,
    medium::Medium,
    page::Page,
    recovery::{self, Mode},
    scan::Extent,
    segment::{Segment, SegmentHeader, file_name},
    storage::{File, disk::Disk},
};

/// How often a log is looked at that its owner changes under each look.
const LOOKS: usize = 16;

/// Opens a read-only view of the log in `dir` as it is on disk at this moment. What a running node does meanwhile may
/// make a segment vanish under it: what was read before stays true.
///
/// `lanes` is what the owner calls them, from the one kept longest on: the log knows their numbers only.
pub fn open(dir: &Path, lanes: &[String]) -> Result<Inspection, OpenError> {
    let mut found: Option<Vec<String>> = None;
    let mut looks = 1;
    loop {
        let is_last = looks == LOOKS;
        looks += 1;
        match look(dir, lanes) {
            Err(error) if is_last || !is_gone(&error) => return Err(error),
            // It was freed or written anew since the directory was listed.
            Err(_) => {}
            Ok(inspection) if inspection.findings.is_empty() => return Ok(inspection),
            // What is wrong is so again; what was being written then is whole now.
            Ok(mut inspection) => match found.replace(inspection.findings.clone()) {
                Some(before) if is_last || before == inspection.findings => {
                    inspection.findings.retain(|it| before.contains(it));
                    return Ok(inspection);
                }
                _ => {}
            },
        }
    }
}

fn is_gone(error: &OpenError) -> bool {
    matches!(error, OpenError::Storage { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

fn look(dir: &Path, lanes: &[String]) -> Result<Inspection, OpenError> {
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
        dir: dir.to_owned(),
        lanes: lanes.to_vec(),
        spool: RefCell::new(spool),
        findings: recovery.findings,
    })
}

/// A log as it was on disk when it was opened, or later, where its owner has changed since then what was to be read.
pub struct Inspection {
    dir: PathBuf,
    lanes: Vec<String>,
    spool: RefCell<Spool>,
    findings: Vec<String>,
}

fn damage(spool: &Spool) -> u64 {
    let ledger = spool.status().ledger.into_iter();
    let damage = ledger.filter(|loss| loss.reason == LossReason::Damaged);
    damage.map(|loss| loss.count).sum()
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
        self.spool.borrow().status()
    }

    /// What this cursor is owed behind `after`; `None` if there is none of this name.
    pub fn read(
        &self,
        cursor: &str,
        after: Seq,
        limits: ReadLimits,
    ) -> Result<Option<Batch>, StorageError> {
        self.of_one_moment(|spool| {
            let cursor = spool.cursor(cursor);
            cursor.map(|it| spool.read(it, after, limits)).transpose()
        })
    }

    /// Reads what the owner does not change meanwhile.
    fn of_one_moment<T>(
        &self,
        read: impl Fn(&Spool) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut damaged = None;
        for _ in 1..LOOKS {
            let spool = self.spool.borrow().clone();
            let before = damage(&spool);
            let found = read(&spool);
            let after = damage(&spool);
            let is_sound = match &found {
                Err(StorageError::Io { source, .. }) => source.kind() != io::ErrorKind::NotFound,
                Err(_) => true,
                // What is damaged is so again.
                Ok(_) => after == before || damaged.replace(after) == Some(after),
            };
            if is_sound {
                return found;
            }
            let now = open(&self.dir, &self.lanes).map_err(|error| StorageError::Io {
                doing: "look at the log again",
                source: io::Error::other(error),
            })?;
            self.spool.replace(now.spool.into_inner());
        }
        read(&self.spool.borrow())
    }

    /// Checks every frame of every segment; `each` is told of each fault.
    pub fn verify(&self, each: &mut dyn FnMut(&str)) -> Result<Verified, StorageError> {
        let mut verified = Verified {
            faults: self.findings.len() as u64,
            ..Verified::default()
        };
        self.findings.iter().for_each(|finding| each(finding));
        let known: Vec<(u64, u64, u64, u64, u64)> = {
            let spool = self.spool.borrow();
            let state = spool.inner.lock();
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
            let scan = match self.open(id) {
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
                Ok(scan) if !scan.gaps.is_empty() && self.is_replaced(id, salt)? => {}
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

    fn open(&self, id: u64) -> io::Result<Arc<dyn File>> {
        self.spool.borrow().inner.storage.open(&file_name(id))
    }

    /// Whether the owner has freed this segment or written it anew since it was looked at.
    fn is_replaced(&self, id: u64, salt: u64) -> Result<bool, StorageError> {
        let header = || {
            let mut page = vec![0; PAGE as usize];
            let file = self.open(id)?;
            Medium::of(&*file).read(&mut page, 0)?;
            io::Result::Ok(SegmentHeader::decode(&page))
        };
        match header() {
            Ok(Page::Valid(header)) => Ok(header.salt != salt),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(source) => Err(StorageError::Io {
                doing: "read a segment",
                source,
            }),
        }
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
            let batch = self.of_one_moment(|spool| spool.scan(from, limits))?;
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
