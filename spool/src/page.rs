//! The frame of what is stored in one piece: magic, checksum, version.

/// Format this release writes, and the newest it reads.
pub(crate) const VERSION: u16 = 1;

/// A page read from disk that has a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page<T> {
    Valid(T),
    Newer(u16),
    Invalid,
}

/// Magic, checksum (of all that follows it), version: at the same place in every page and every version.
pub(crate) fn start_page(magic: u64) -> Vec<u8> {
    let mut page = magic.to_le_bytes().to_vec();
    page.extend_from_slice(&[0; 4]);
    page.extend_from_slice(&VERSION.to_le_bytes());
    page.extend_from_slice(&[0; 2]);
    page
}

pub(crate) fn finish_page(page: &mut Vec<u8>, len: usize) {
    page.resize(len, 0);
    let crc = crc32c::crc32c(page.get(12..).unwrap_or_default());
    for (to, from) in page.iter_mut().skip(8).zip(crc.to_le_bytes()) {
        *to = from;
    }
}

pub(crate) fn check_page(page: &[u8], magic: u64) -> Page<Words<'_>> {
    let mut head = Words(page);
    if head.take() != magic {
        return Page::Invalid;
    }
    let second = head.take();
    if crc32c::crc32c(page.get(12..).unwrap_or_default()) != second as u32 {
        return Page::Invalid;
    }
    match (second >> 32) as u16 {
        1..=VERSION => Page::Valid(head),
        version => Page::Newer(version),
    }
}

/// Reads words off a page; behind its end there are zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words<'a>(pub(crate) &'a [u8]);

impl Words<'_> {
    pub(crate) fn take(&mut self) -> u64 {
        let Some((word, rest)) = self.0.split_first_chunk::<8>() else {
            return 0;
        };
        self.0 = rest;
        u64::from_le_bytes(*word)
    }
}
