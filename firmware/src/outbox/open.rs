use embedded_storage_async::nor_flash::NorFlash;
use heapless::Vec;
use wire::{
    Mark,
    birth::{LossReason, decode_kinds, encode_kinds},
    kind::{Announced, Kind, KindId},
};

use super::{
    Layout, Outbox, SCRATCH, Span,
    queue::{Queue, TAKEN},
    rename::Renames,
};
use crate::{
    class::Class,
    log::{Log, LogError, Walk},
    store::{Key, MAX_VALUE, MAX_VALUES, Store},
};

/// Why an outbox cannot be opened. The flash holds what it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError<E> {
    /// The flash failed.
    Flash(E),
    /// A later firmware wrote it, in this format.
    Format(u8),
    /// More kinds than an outbox knows, or one too large to be kept.
    Kinds,
    /// The kind has type and version of one whose events wait, and other fields: count its version up.
    Changed(KindId),
    /// The kind has the id of another one whose events wait: change its version.
    Twin(KindId),
}

impl<E> From<LogError<E>> for OpenError<E> {
    fn from(error: LogError<E>) -> Self {
        match error {
            LogError::Flash(error) => OpenError::Flash(error),
            LogError::Format(format) => OpenError::Format(format),
            LogError::Full | LogError::Size => OpenError::Kinds,
        }
    }
}

pub(super) fn boot_value(incarnation: u32, boot: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (incarnation.to_le_bytes(), boot.to_le_bytes());
    [a, b, c, d, e, f, g, h]
}

impl<S: NorFlash, const CLASSES: usize, const RING: usize> Outbox<S, CLASSES, RING> {
    /// An outbox of whose flash nothing is known: not to be used before [`Outbox::open_here`] has looked.
    pub(crate) fn closed(flash: S, layout: &Layout<CLASSES>) -> Self {
        let queue = |class: &Class| {
            let log = Log::closed::<S>(class.region, class.stream.number());
            Queue::new::<S>(*class, log)
        };
        Outbox {
            flash,
            store: Store::closed::<S>(layout.store),
            queues: layout.classes.iter().map(queue).collect(),
            kinds: Vec::new(),
            incarnation: 0,
            boot: 0,
            renames: Renames::default(),
            is_online: false,
            scratch: [0; SCRATCH],
        }
    }

    /// Opens what the flash holds, where the outbox is: it is large, and would come over the stack otherwise.
    pub(crate) async fn open_here(
        &mut self,
        kinds: &[Kind<'_>],
        random: u32,
    ) -> Result<(), OpenError<S::Error>> {
        let Outbox {
            flash,
            store,
            queues,
            scratch,
            ..
        } = self;
        store.open(flash, scratch).await?;
        let stored = store.value(flash, Key::Boot, scratch).await?;
        let counted = stored
            .and_then(|value| value.split_first_chunk::<4>())
            .and_then(|(incarnation, boot)| {
                let boot = u32::from_le_bytes(*boot.first_chunk()?);
                Some((u32::from_le_bytes(*incarnation), boot.checked_add(1)?))
            });
        let before = counted.map(|(incarnation, _)| incarnation);
        let counted = counted.filter(|_| !store.is_boot_doubtful());

        let stored = store.value(flash, Key::Renames, scratch).await?;
        self.renames = stored.map_or_else(Renames::default, Renames::decode);

        let mut waiting: Vec<[u8; 2], 16> = Vec::new();
        let mut newest_boot = None;
        for queue in queues.iter_mut() {
            queue.renames = self.renames.clone();
            scan(flash, queue, before, &mut waiting, scratch).await?;
            newest_boot = newest_boot.max(Some(queue.last.boot));
        }
        // A counter that is not above every boot of which events wait was lost and replaced by an older one.
        let counted = counted.filter(|(_, boot)| newest_boot.is_none_or(|newest| newest < *boot));
        let (incarnation, boot) = counted.unwrap_or_else(|| (unused(random, before, queues), 1));
        if counted.is_none() {
            for queue in queues {
                queue.end_incarnation(before);
            }
        }
        let value = boot_value(incarnation, boot);
        store.set(flash, Key::Boot, &value, scratch).await?;
        announce(flash, store, kinds, &waiting, scratch).await?;

        self.kinds = kinds.iter().map(Kind::id).collect();
        (self.incarnation, self.boot) = (incarnation, boot);
        Ok(())
    }
}

/// A number for a new incarnation that none has of which the flash knows, for a generator may say the same at each boot.
fn unused<const RING: usize>(random: u32, before: Option<u32>, queues: &[Queue<RING>]) -> u32 {
    let is_used = |number| {
        let mut earlier = queues.iter().flat_map(|queue| &queue.earlier);
        before == Some(number) || earlier.any(|(earlier, _)| *earlier == number)
    };
    let mut number = random;
    while is_used(number) {
        number = number.wrapping_add(1);
    }
    number
}

/// Reads what a class has in flash: where its streams stand, what is missing, and of which kinds events wait.
async fn scan<S: NorFlash, const RING: usize>(
    flash: &mut S,
    queue: &mut Queue<RING>,
    incarnation: Option<u32>,
    waiting: &mut Vec<[u8; 2], 16>,
    scratch: &mut [u8],
) -> Result<(), OpenError<S::Error>> {
    queue.log.open(flash, scratch).await?;
    let mut walk = Walk::from(queue.log.keep);
    let mut taken = walk.at;
    while let Some(record) = queue.log.next(flash, &mut walk, scratch).await? {
        if record.kind == TAKEN {
            taken = queue.read_note(record.payload).unwrap_or(taken);
        }
    }
    queue.keep_from(taken);

    let mut walk = Walk::from(queue.log.keep);
    let mut before: Option<Span> = None;
    while let Some(record) = queue.log.next(flash, &mut walk, scratch).await? {
        let Some(span) = queue.renames.span_of(&record) else {
            continue;
        };
        if let Some((of, from, to)) = before.and_then(|before| before.gap_before(span)) {
            queue.note_dropped(of, from, to, LossReason::Unreadable);
        }
        before = Some(span);
        queue.note_waiting(span, incarnation);
        if !waiting.contains(&span.kind) {
            let _ = waiting.push(span.kind); // a full list counts for all
        }
    }
    Ok(())
}

impl<const RING: usize> Queue<RING> {
    fn note_waiting(&mut self, span: Span, incarnation: Option<u32>) {
        if incarnation == Some(span.incarnation) {
            self.last = span.last();
            return;
        }
        match self
            .earlier
            .iter_mut()
            .find(|(earlier, _)| *earlier == span.incarnation)
        {
            Some((_, last)) => *last = span.last(),
            None => self.note_earlier(span.incarnation, span.last()),
        }
    }

    /// Of more than three incarnations the oldest are not announced; their events are sent all the same.
    fn note_earlier(&mut self, incarnation: u32, last: Mark) {
        if self.earlier.is_full() {
            self.earlier.remove(0);
        }
        let _ = self.earlier.push((incarnation, last)); // there is a place
    }

    /// What was counted as the current incarnation's is an earlier one's.
    pub(super) fn end_incarnation(&mut self, ended: Option<u32>) {
        let last = core::mem::take(&mut self.last);
        if let Some(ended) = ended.filter(|_| last > Mark::default()) {
            self.note_earlier(ended, last);
        }
    }
}

/// Stores the tables that are new, and forgets those of which no event may come.
async fn announce<S: NorFlash>(
    flash: &mut S,
    store: &mut Store,
    kinds: &[Kind<'_>],
    waiting: &Vec<[u8; 2], 16>,
    scratch: &mut [u8],
) -> Result<(), OpenError<S::Error>> {
    let old: Vec<Key, MAX_VALUES> = store.keys().collect();
    for key in old {
        let Key::Kind(id) = key else { continue };
        // Of as many kinds as that, others may wait that were not counted.
        let waits = waiting.is_full() || waiting.contains(&id);
        if !waits && kinds.iter().all(|kind| kind.id().0 != id) {
            store.forget(flash, key, scratch).await?;
            continue;
        }
        let stored = store.value(flash, key, scratch).await?;
        let Some(Ok(tables)) = stored.map(decode_kinds) else {
            continue;
        };
        for table in tables.iter() {
            refuse_changed(kinds, table.event_type, table.version, table.id)?;
        }
    }
    for kind in kinds {
        refuse_changed(kinds, kind.event_type, kind.version, kind.id())?;
        let mut message = [0; MAX_VALUE - 2];
        let message =
            encode_kinds(&[Announced::new(*kind)], &mut message).map_err(|_| OpenError::Kinds)?;
        let key = Key::Kind(kind.id().0);
        match store.value(flash, key, scratch).await? {
            Some(stored) if stored == message => continue,
            Some(_) => return Err(OpenError::Twin(kind.id())),
            None => store.set(flash, key, message, scratch).await?,
        }
    }
    Ok(())
}

/// Refuses a kind that has type and version of another one.
fn refuse_changed<E>(
    kinds: &[Kind<'_>],
    event_type: &str,
    version: u16,
    id: KindId,
) -> Result<(), OpenError<E>> {
    let mut alike = kinds
        .iter()
        .filter(|kind| (kind.event_type, kind.version) == (event_type, version));
    match alike.find(|kind| kind.id() != id) {
        Some(changed) => Err(OpenError::Changed(changed.id())),
        None => Ok(()),
    }
}
