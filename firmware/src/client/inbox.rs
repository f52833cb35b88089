use crate::mqtt::{Packet, PacketError};

/// How much of what the node sends is held: the longest packet.
pub(super) const LONGEST: usize = 1024;

/// What came and was not followed yet.
pub(super) struct Inbox {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Inbox {
    pub(super) const fn new() -> Self {
        Inbox {
            bytes: [0; LONGEST],
            len: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Where more can be read to; then [`Inbox::fill`].
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    pub(super) fn fill(&mut self, len: usize) {
        self.len = self.len.saturating_add(len).min(LONGEST);
    }

    /// The first packet if it is whole, and its length.
    pub(super) fn packet(&self) -> Result<Option<(Packet<'_>, usize)>, PacketError> {
        Packet::take(self.bytes.get(..self.len).unwrap_or_default(), LONGEST)
    }

    pub(super) fn remove(&mut self, len: usize) {
        self.bytes.copy_within(len.min(self.len)..self.len, 0);
        self.len = self.len.saturating_sub(len);
    }
}
