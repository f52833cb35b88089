use crate::mqtt::{Packet, PacketError};

/// How much of what the node sends is held: the longest packet.
pub(crate) const LONGEST: usize = 1024;

/// What came and was not followed yet.
pub(crate) struct Inbox {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Inbox {
    pub(crate) const fn new() -> Self {
        Inbox {
            bytes: [0; LONGEST],
            len: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Where more can be read to; then [`Inbox::fill`].
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    pub(crate) fn fill(&mut self, len: usize) {
        self.len = self.len.saturating_add(len).min(LONGEST);
    }

    /// The first packet if it is whole, and its length.
    pub(crate) fn packet(&self) -> Result<Option<(Packet<'_>, usize)>, PacketError> {
        Packet::take(self.bytes.get(..self.len).unwrap_or_default(), LONGEST)
    }

    pub(crate) fn remove(&mut self, len: usize) {
        self.bytes.copy_within(len.min(self.len)..self.len, 0);
        self.len = self.len.saturating_sub(len);
    }
}
