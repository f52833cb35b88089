use core::cell::Cell;

use embassy_sync::{
    blocking_mutex::{Mutex as Guard, raw::RawMutex},
    mutex::Mutex,
    signal::Signal,
};
use embedded_storage_async::nor_flash::NorFlash;
use wire::{Stream, kind::KindId};

use crate::{
    class::Published,
    outbox::{Outbox, PublishError, Setting},
};

/// An outbox that tasks publish to while a [`Client`](super::Client) empties it.
pub struct Shared<M: RawMutex, S, const CLASSES: usize, const RING: usize> {
    pub(super) outbox: Mutex<M, Outbox<S, CLASSES, RING>>,
    pub(super) wake: Signal<M, ()>,
    /// The node's time when it was told, and the uptime then.
    pub(super) time: Guard<M, Cell<Option<(u64, u64)>>>,
}

impl<M: RawMutex, S: NorFlash, const CLASSES: usize, const RING: usize>
    Shared<M, S, CLASSES, RING>
{
    /// Shares an open outbox.
    pub const fn new(outbox: Outbox<S, CLASSES, RING>) -> Self {
        Shared {
            outbox: Mutex::new(outbox),
            wake: Signal::new(),
            time: Guard::new(Cell::new(None)),
        }
    }

    /// Takes an event, as [`Outbox::publish`] does.
    ///
    /// # Errors
    ///
    /// The event was not taken.
    pub async fn publish(
        &self,
        stream: Stream,
        kind: KindId,
        uptime_ms: u64,
        data: &[u8],
    ) -> Result<Published, PublishError<S::Error>> {
        let published = self
            .outbox
            .lock()
            .await
            .publish(stream, kind, uptime_ms, data)
            .await;
        self.wake.signal(());
        published
    }

    /// What a command set last, as [`Outbox::setting`] says.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn setting(&self) -> Result<Option<Setting>, S::Error> {
        self.outbox.lock().await.setting().await
    }

    /// How many events of a class are only in memory, as [`Outbox::uncommitted`] says.
    pub async fn waiting(&self, stream: Stream) -> usize {
        self.outbox.lock().await.uncommitted(stream)
    }

    /// Milliseconds since 1970 at `uptime_ms`, once the node has told the time.
    #[must_use]
    pub fn time_ms(&self, uptime_ms: u64) -> Option<u64> {
        let (time_ms, then_ms) = self.time.lock(Cell::get)?;
        time_ms.checked_add(uptime_ms)?.checked_sub(then_ms)
    }

    /// Gives the outbox back.
    #[must_use]
    pub fn into_outbox(self) -> Outbox<S, CLASSES, RING> {
        self.outbox.into_inner()
    }
}
