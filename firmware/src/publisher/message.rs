use embedded_storage_async::nor_flash::NorFlash;
use wire::{
    Stream,
    envelope::{Envelope, Event},
    kind::KindId,
};

use super::{Stop, flight::Flight};
use crate::outbox::{MAX_MESSAGE, Outbox};

/// A message of the outbox, which leaves one event at a time.
pub(super) struct Message {
    bytes: [u8; MAX_MESSAGE],
    len: usize,
    /// How many of its events have left.
    pub(super) left: usize,
}

impl Message {
    pub(super) const NONE: Message = Message {
        bytes: [0; MAX_MESSAGE],
        len: 0,
        left: 0,
    };

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// What is left of this stream counts as not sent. What is left of another one stays: nobody looks for it again.
    pub(super) fn forget(&mut self, stream: Stream) {
        let message = self.bytes.get(..self.len).map(Envelope::decode);
        if let Some(Ok(envelope)) = message
            && envelope.head().stream == stream
        {
            self.clear();
        }
    }

    /// Whether there is a next event; one that was taken before is passed over.
    pub(super) async fn find<S: NorFlash, const CLASSES: usize, const RING: usize>(
        &mut self,
        outbox: &mut Outbox<S, CLASSES, RING>,
        flight: &Flight,
        now_ms: u64,
    ) -> Result<bool, Stop<S::Error>> {
        loop {
            match self.next(outbox.incarnation()) {
                Some((_, event)) if flight.is_taken(event.id) => {
                    self.left = self.left.saturating_add(1);
                }
                Some(_) => return Ok(true),
                None => {
                    self.left = 0;
                    let message = outbox.next_message(now_ms, &mut self.bytes).await;
                    match message.map_err(Stop::Flash)? {
                        Some(len) => self.len = len,
                        None => {
                            self.clear();
                            return Ok(false);
                        }
                    }
                }
            }
        }
    }

    /// The event that leaves next, and its kind; `incarnation` is the outbox's.
    pub(super) fn next(&self, incarnation: u32) -> Option<(KindId, Event<'_>)> {
        let envelope = Envelope::decode(self.bytes.get(..self.len)?).ok()?;
        let event = envelope.events(incarnation).nth(self.left)?;
        Some((envelope.head().kind, event))
    }
}
