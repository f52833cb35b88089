use core::cell::Cell;

use embassy_sync::{
    blocking_mutex::{Mutex as Guard, raw::RawMutex},
    mutex::Mutex,
    signal::Signal,
};
use embedded_storage_async::nor_flash::NorFlash;
use wire::{
    Stream,
    envelope::Event,
    epoch::WINDOW_MS,
    kind::{Kind, KindId},
};

use crate::{
    class::Published,
    cloudevent::Time,
    outbox::{Layout, OpenError, Outbox, PublishError, Setting},
};

/// An outbox that tasks publish to while a [`Client`](super::Client) empties it.
pub struct Shared<M: RawMutex, S, const CLASSES: usize, const RING: usize> {
    pub(crate) outbox: Mutex<M, Outbox<S, CLASSES, RING>>,
    pub(crate) wake: Signal<M, ()>,
    /// The node's time when it was told, and the uptime then.
    pub(crate) time: Guard<M, Cell<Option<(u64, u64)>>>,
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

    /// Opens an outbox as [`Outbox::open`] does, in `place`, so that it does not come over the stack.
    ///
    /// # Errors
    ///
    /// As [`Outbox::open`]; what is in the place is of no use then.
    pub async fn open<'p>(
        place: &'p mut Option<Self>,
        flash: S,
        layout: &Layout<CLASSES>,
        kinds: &[Kind<'_>],
        random: u32,
    ) -> Result<&'p mut Self, OpenError<S::Error>> {
        let shared = place.insert(Shared::new(Outbox::closed(flash, layout)));
        shared.outbox.get_mut().open_here(kinds, random).await?;
        Ok(shared)
    }

    /// The outbox, as long as nobody shares it.
    pub fn outbox(&mut self) -> &mut Outbox<S, CLASSES, RING> {
        self.outbox.get_mut()
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

    /// When an event happened, as far as that is known in the life that is `own`: incarnation and boot. What is of another
    /// happened before this boot.
    pub(crate) fn time_of(&self, event: &Event<'_>, own: (u32, u32)) -> Time {
        let told = self.time.lock(Cell::get);
        let is_own = (event.id.incarnation, event.id.boot) == own;
        let uptime_ms = if is_own { event.uptime_ms } else { 0 };
        Time {
            time_ms: self.time_ms(uptime_ms),
            is_synced: is_own
                && told.is_some_and(|(_, told_ms)| told_ms.abs_diff(uptime_ms) <= WINDOW_MS),
        }
    }

    /// Tells the time where no node does: milliseconds since 1970 at `uptime_ms`, as of SNTP. What a node says later counts.
    pub fn set_time(&self, time_ms: u64, uptime_ms: u64) {
        self.time.lock(|time| time.set(Some((time_ms, uptime_ms))));
    }

    /// Gives the outbox back.
    #[must_use]
    pub fn into_outbox(self) -> Outbox<S, CLASSES, RING> {
        self.outbox.into_inner()
    }
}
