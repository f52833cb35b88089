//! What the device has to say and the node has not acknowledged: in memory first, then in flash.
//!
//! An event gets its sequence when it enters memory, so that whatever becomes of it leaves a gap that shows. From there it
//! goes to the flash of its class by the class's [`Commit`], as the message it will be sent in, or is acknowledged before.
//! What is in flash is older than what is in memory, and both are sent in that order. Only [`Outbox::ack`] and a full
//! [`DropOldest`](crate::WhenFull::DropOldest) class remove events.

mod commands;
mod open;
mod queue;
mod rename;
mod span;

use embedded_storage_async::nor_flash::NorFlash;
use heapless::Vec;
use wire::{
    Mark, Stream,
    birth::{Dropped, Loss, LossReason, StreamState},
    kind::{Kind, KindId},
};

pub use commands::{MAX_SETTING, Setting};
pub use open::OpenError;
pub(crate) use span::Span;

use crate::{
    class::{Class, Commit, Published},
    log::{LogError, Region, most_payload},
    ring::Ring,
    store::{Key, Store},
};
use queue::Queue;
use rename::Renames;

/// The longest message of events, in bytes: a batch ends where it would be longer.
pub const MAX_MESSAGE: usize = 512;
/// What one record of the log may take, padding included.
const SCRATCH: usize = MAX_MESSAGE + 64;
/// The most data of one event, in bytes.
pub const MAX_DATA: usize = MAX_MESSAGE - 48;

/// How long a full class waits before it tries to commit again.
const FULL_MS: u64 = 1000;

/// Why an event was not taken. Nothing of it is kept, and no sequence was given, but for [`PublishError::Flash`], after
/// which it may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError<E> {
    /// The outbox has no class for this stream.
    Class,
    /// The kind was not given to [`Outbox::open`].
    Kind,
    /// The data is longer than [`MAX_DATA`], or than the memory of a class holds.
    Size,
    /// The class is full and keeps what it has. Try again after an acknowledgement.
    Full,
    /// The flash failed.
    Flash(E),
}

/// Why a mark of the node was not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckError<E> {
    /// The node has events of this boot that were never sent: the boot counter was used before. The device must begin a
    /// new incarnation ([`Outbox::begin_incarnation`]).
    Reused,
    /// The flash failed.
    Flash(E),
}

/// How an outbox lies in flash.
#[derive(Clone, Copy, Debug)]
pub struct Layout<const CLASSES: usize> {
    /// Boot counter and tables: at least two pages.
    pub store: Region,
    /// The classes, in the order in which they are sent.
    pub classes: [Class; CLASSES],
}

/// The outbox over the flash `S`, with `RING` bytes of memory for each of its classes.
#[derive(Debug)]
pub struct Outbox<S, const CLASSES: usize, const RING: usize> {
    flash: S,
    store: Store,
    queues: Vec<Queue<RING>, CLASSES>,
    kinds: Vec<KindId, 16>,
    incarnation: u32,
    boot: u32,
    renames: Renames,
    is_online: bool,
    scratch: [u8; SCRATCH],
}

impl<S: NorFlash, const CLASSES: usize, const RING: usize> Outbox<S, CLASSES, RING> {
    /// Opens what the flash holds, or an empty outbox, and counts this boot. `kinds` are those that will be published;
    /// `random` is a number of the hardware's generator, used when a new incarnation begins.
    ///
    /// # Errors
    ///
    /// The flash fails or holds what a later firmware wrote, or a kind was changed without a new version.
    pub async fn open(
        flash: S,
        layout: &Layout<CLASSES>,
        kinds: &[Kind<'_>],
        random: u32,
    ) -> Result<Self, OpenError<S::Error>> {
        let mut outbox = Outbox::closed(flash, layout);
        outbox.open_here(kinds, random).await?;
        Ok(outbox)
    }

    /// Of this outbox.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// How often the device booted in this incarnation, this time included.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// Takes an event. When this returns [`Published::Committed`], a reset does not lose it.
    ///
    /// # Errors
    ///
    /// The event was not taken.
    pub async fn publish(
        &mut self,
        stream: Stream,
        kind: KindId,
        uptime_ms: u64,
        data: &[u8],
    ) -> Result<Published, PublishError<S::Error>> {
        if !self.kinds.contains(&kind) {
            return Err(PublishError::Kind);
        }
        let (incarnation, boot, is_online) = (self.incarnation, self.boot, self.is_online);
        let (queue, flash, scratch) = self.queue(stream).ok_or(PublishError::Class)?;
        let most = MAX_DATA.min(most_payload::<S>().saturating_sub(MAX_MESSAGE - MAX_DATA));
        if data.len() > most.min(Ring::<RING>::MAX_DATA) {
            return Err(PublishError::Size);
        }
        let must_commit = match queue.class.commit {
            Commit::Always => true,
            Commit::Offline => !is_online,
            Commit::AfterMs(_) => false,
        };
        if !queue.ring.has_room(data.len()) {
            queue
                .commit(flash, incarnation, boot, scratch)
                .await
                .map_err(publish_error)?;
        }
        if must_commit && !queue.can_commit::<S>(incarnation, kind, uptime_ms, data) {
            return Err(PublishError::Full);
        }
        if !queue.ring.push(kind, uptime_ms, data) {
            return Err(PublishError::Full);
        }
        if !must_commit {
            return Ok(Published::Buffered);
        }
        match queue.commit(flash, incarnation, boot, scratch).await {
            Ok(()) => Ok(Published::Committed),
            Err(LogError::Flash(error)) => Err(PublishError::Flash(error)),
            Err(LogError::Full | LogError::Size | LogError::Format(_)) => Ok(Published::Buffered),
        }
    }

    /// Whether the node can be reached. When it cannot be any more, what is in memory of [`Commit::Offline`] classes goes
    /// to flash, and all that was sent counts as not sent.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn link_changed(&mut self, is_online: bool) -> Result<(), S::Error> {
        self.is_online = is_online;
        let (incarnation, boot) = (self.incarnation, self.boot);
        for queue in &mut self.queues {
            queue.rewind();
            queue.is_met |= is_online;
            if !is_online {
                queue.stopped_until_ms = None;
            }
            if !is_online && queue.class.commit == Commit::Offline {
                let done = queue
                    .commit(&mut self.flash, incarnation, boot, &mut self.scratch)
                    .await;
                flash_error(done)?;
            }
        }
        Ok(())
    }

    /// Commits what is due by [`Commit::AfterMs`].
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn commit_due(&mut self, uptime_ms: u64) -> Result<(), S::Error> {
        let (incarnation, boot) = (self.incarnation, self.boot);
        for queue in &mut self.queues {
            if queue
                .deadline_ms()
                .is_some_and(|due_ms| due_ms <= uptime_ms)
            {
                let done = queue
                    .commit(&mut self.flash, incarnation, boot, &mut self.scratch)
                    .await;
                if flash_error(done)?.is_none() {
                    queue.full_until_ms = uptime_ms.saturating_add(FULL_MS);
                }
            }
        }
        Ok(())
    }

    /// Commits all that is in memory and finds room ([`Outbox::uncommitted`]), before a reset that is wanted.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn commit_all(&mut self) -> Result<(), S::Error> {
        let (incarnation, boot) = (self.incarnation, self.boot);
        for queue in &mut self.queues {
            let done = queue
                .commit(&mut self.flash, incarnation, boot, &mut self.scratch)
                .await;
            flash_error(done)?;
        }
        Ok(())
    }

    /// How many events of a class are only in memory: none after a commit, unless the class is full and keeps what it has.
    #[must_use]
    pub fn uncommitted(&self, stream: Stream) -> usize {
        let queue = self
            .queues
            .iter()
            .find(|queue| queue.class.stream == stream);
        queue.map_or(0, |queue| queue.ring.len())
    }

    /// When [`Outbox::commit_due`] has something to do, or a stopped stream goes on.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        let stopped = self
            .queues
            .iter()
            .filter_map(|queue| queue.stopped_until_ms);
        self.queues
            .iter()
            .filter_map(Queue::deadline_ms)
            .chain(stopped)
            .min()
    }

    /// Writes the next message to be sent into `into` (at least [`MAX_MESSAGE`] bytes), oldest first within a class:
    /// its length. `None` when all was sent. A stopped stream ([`Outbox::stop`]) waits until `uptime_ms` is its time.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn next_message(
        &mut self,
        uptime_ms: u64,
        into: &mut [u8],
    ) -> Result<Option<usize>, S::Error> {
        let (incarnation, boot) = (self.incarnation, self.boot);
        for queue in &mut self.queues {
            queue
                .stopped_until_ms
                .take_if(|until_ms| *until_ms <= uptime_ms);
            if queue.stopped_until_ms.is_some() {
                continue;
            }
            let message =
                queue.next_message(&mut self.flash, incarnation, boot, into, &mut self.scratch);
            if let Some(len) = message.await? {
                return Ok(Some(len));
            }
        }
        Ok(None)
    }

    /// The node has everything of `stream` up to `mark`, on its own stable storage.
    ///
    /// # Errors
    ///
    /// The mark cannot be, or the flash failed.
    pub async fn ack(
        &mut self,
        incarnation: u32,
        stream: Stream,
        mark: Mark,
    ) -> Result<(), AckError<S::Error>> {
        let (own, boot) = (self.incarnation, self.boot);
        let Some((queue, flash, scratch)) = self.queue(stream) else {
            return Ok(());
        };
        if incarnation == own
            && mark
                > (Mark {
                    boot,
                    seq: queue.sent_seq,
                })
        {
            return Err(AckError::Reused);
        }
        queue
            .ack(flash, incarnation, mark, own, scratch)
            .await
            .map_err(AckError::Flash)?;
        if incarnation == own && mark.boot == boot {
            queue.ring.remove_through(mark.seq);
        }
        Ok(())
    }

    /// The node refused an event: the stream is sent again from its oldest event on, not before `until_ms`.
    pub fn stop(&mut self, stream: Stream, until_ms: u64) {
        if let Some(queue) = self
            .queues
            .iter_mut()
            .find(|queue| queue.class.stream == stream)
        {
            queue.rewind();
            queue.stopped_until_ms = Some(until_ms);
        }
    }

    /// The node refused an event for good, and has entered that in its ledger.
    pub fn note_refused(&mut self, stream: Stream) {
        if let Some(queue) = self
            .queues
            .iter_mut()
            .find(|queue| queue.class.stream == stream)
        {
            queue.note_loss(LossReason::Refused, 1);
        }
    }

    /// Begins a new incarnation, because the node knows of events of this boot that this device never sent: it would take
    /// those of this boot for repeats. They leave under new ids, from memory and from flash, after a reset as well; those
    /// of earlier boots keep theirs.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn begin_incarnation(&mut self, random: u32) -> Result<(), OpenError<S::Error>> {
        let (ended, boot) = (self.incarnation, self.boot);
        // Before the counter: when the power is cut between, what is in flash has its new name already.
        self.renames.add(ended, boot, random);
        let value = self.renames.encode();
        self.store
            .set(&mut self.flash, Key::Renames, &value, &mut self.scratch)
            .await?;
        self.incarnation = random;
        self.boot = 1;
        let value = open::boot_value(self.incarnation, self.boot);
        self.store
            .set(&mut self.flash, Key::Boot, &value, &mut self.scratch)
            .await?;
        for queue in &mut self.queues {
            queue.end_incarnation(Some(ended));
            queue.renames = self.renames.clone();
            queue.sent_seq = 0;
            queue.rewind();
        }
        Ok(())
    }

    /// How many tables [`Outbox::table`] has.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.tables_keys().count()
    }

    /// The announcement of one kind, of which an event may come: a message of `b/<id>`. `None` behind the last.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn table<'b>(
        &mut self,
        index: usize,
        into: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, S::Error> {
        let key = self.tables_keys().nth(index);
        match key {
            Some(key) => self.announcement(key, into).await,
            None => Ok(None),
        }
    }

    /// The announcement of a kind; `None` if the flash does not hold it.
    pub(crate) async fn table_of<'b>(
        &mut self,
        kind: KindId,
        into: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, S::Error> {
        self.announcement(Key::Kind(kind.0), into).await
    }

    async fn announcement<'b>(
        &mut self,
        key: Key,
        into: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, S::Error> {
        let value = self
            .store
            .value(&mut self.flash, key, &mut self.scratch)
            .await;
        let Some(value) = flash_error(value)?.flatten() else {
            return Ok(None);
        };
        let place = into.get_mut(..value.len());
        Ok(place.map(|place| {
            place.copy_from_slice(value);
            &*place
        }))
    }

    fn tables_keys(&self) -> impl Iterator<Item = Key> {
        self.store.keys().filter(|key| matches!(key, Key::Kind(_)))
    }

    /// What the birth says of the streams.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn streams(&mut self) -> Result<Vec<StreamState, 24>, S::Error> {
        let mut states = Vec::new();
        let (incarnation, boot) = (self.incarnation, self.boot);
        for queue in &mut self.queues {
            queue.is_birth_due = false;
            queue
                .states(
                    &mut self.flash,
                    incarnation,
                    boot,
                    &mut states,
                    &mut self.scratch,
                )
                .await?;
        }
        Ok(states)
    }

    /// The ranges that will never come, as far as they are known; all of three classes.
    #[must_use]
    pub fn dropped(&self) -> Vec<Dropped, 24> {
        self.queues
            .iter()
            .flat_map(|queue| queue.dropped.iter().copied())
            .take(24)
            .collect()
    }

    /// Whether the node is to be told anew of the streams before the next message: events of earlier boots were given up, and
    /// no jump will show how many.
    #[must_use]
    pub fn is_birth_due(&self) -> bool {
        self.queues.iter().any(|queue| queue.is_birth_due)
    }

    /// How many events [`Outbox::losses`] counts.
    pub(crate) fn lost(&self) -> u64 {
        let losses = self.queues.iter().flat_map(Queue::losses);
        losses.fold(0, |lost, loss| loss.count.saturating_add(lost))
    }

    /// What was lost, as far as that was seen since this boot: what was given up or cannot be read any more, once the node
    /// has passed it.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss, 32> {
        self.queues
            .iter()
            .flat_map(Queue::losses)
            .take(32)
            .collect()
    }

    /// The flash, for what lies outside of the outbox.
    pub fn flash(&mut self) -> &mut S {
        &mut self.flash
    }

    /// Gives the flash back.
    #[must_use]
    pub fn into_flash(self) -> S {
        self.flash
    }

    fn queue(&mut self, stream: Stream) -> Option<(&mut Queue<RING>, &mut S, &mut [u8; SCRATCH])> {
        let queue = self
            .queues
            .iter_mut()
            .find(|queue| queue.class.stream == stream)?;
        Some((queue, &mut self.flash, &mut self.scratch))
    }
}

fn publish_error<E>(error: LogError<E>) -> PublishError<E> {
    match error {
        LogError::Flash(error) => PublishError::Flash(error),
        LogError::Size => PublishError::Size,
        LogError::Full | LogError::Format(_) => PublishError::Full,
    }
}

/// A full class is no error where nobody waits for the commit: the events stay in memory.
fn flash_error<T, E>(done: Result<T, LogError<E>>) -> Result<Option<T>, E> {
    match done {
        Ok(value) => Ok(Some(value)),
        Err(LogError::Flash(error)) => Err(error),
        Err(LogError::Full | LogError::Size | LogError::Format(_)) => Ok(None),
    }
}
