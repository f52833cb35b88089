//! The segment files of a directory, before anything is changed.

use std::{collections::BTreeMap, io};

use crate::{
    OpenError, checkpoint,
    frame::PAGE,
    medium::Medium,
    page::Page,
    segment::{Segment, SegmentHeader, Trailer, parse_name},
    storage::Storage,
};

/// A segment file as far as its first and last page tell.
pub(super) enum OnDisk {
    Sealed(Box<Segment>),
    Open {
        header: SegmentHeader,
        size: u64,
    },
    /// Neither page can be read.
    Unknown {
        size: u64,
    },
    /// Of another life: a recycled file that was not begun.
    Empty {
        size: u64,
    },
}

/// Looks at every segment and checkpoint, and refuses newer ones before anything is changed.
pub(super) fn find(
    storage: &dyn Storage,
    files: &[(String, u64)],
) -> Result<BTreeMap<u64, OnDisk>, OpenError> {
    for number in 0..2 {
        let file = checkpoint::file_name(number);
        if let Some(found) = checkpoint::newer_version(storage, &file)? {
            return Err(OpenError::NewerVersion {
                file,
                found,
                supported: crate::page::VERSION,
            });
        }
    }
    let mut segments = BTreeMap::new();
    for (name, size) in files {
        let Some(id) = parse_name(name, ".segment") else {
            continue;
        };
        let found = look(storage, name, id, *size).map_err(OpenError::io("read a segment"))?;
        match found {
            Page::Newer(found) => {
                return Err(OpenError::NewerVersion {
                    file: name.clone(),
                    found,
                    supported: crate::page::VERSION,
                });
            }
            Page::Valid(segment) => {
                segments.insert(id, segment);
            }
            Page::Invalid => {
                segments.insert(id, OnDisk::Unknown { size: *size });
            }
        }
    }
    Ok(segments)
}

/// A page that the medium does not give back is an invalid one.
pub(super) fn look(
    storage: &dyn Storage,
    name: &str,
    id: u64,
    size: u64,
) -> io::Result<Page<OnDisk>> {
    if size < 2 * PAGE {
        return Ok(Page::Valid(OnDisk::Empty { size }));
    }
    let file = storage.open(name)?;
    let mut page = vec![0; PAGE as usize];
    let medium = Medium::of(&*file);
    medium.read(&mut page, size - PAGE)?;
    match Trailer::decode(&page) {
        Page::Valid(trailer) if trailer.id == id => {
            return Ok(Page::Valid(OnDisk::Sealed(Box::new(
                Segment::from_trailer(trailer, size),
            ))));
        }
        Page::Newer(version) => return Ok(Page::Newer(version)),
        _ => {}
    }
    medium.read(&mut page, 0)?;
    Ok(match SegmentHeader::decode(&page) {
        Page::Valid(header) if header.id == id => Page::Valid(OnDisk::Open { header, size }),
        Page::Valid(_) => Page::Valid(OnDisk::Empty { size }),
        Page::Newer(version) => Page::Newer(version),
        Page::Invalid => Page::Invalid,
    })
}

impl OnDisk {
    pub(super) fn size(&self) -> u64 {
        match self {
            OnDisk::Sealed(segment) => segment.size,
            OnDisk::Open { size, .. } | OnDisk::Unknown { size } | OnDisk::Empty { size } => *size,
        }
    }
}
