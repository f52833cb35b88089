use embedded_storage_async::nor_flash::NorFlash;
use heapless::Vec;
use wire::{
    EncodeError, Mark,
    birth::{Dropped, Loss, LossReason, StreamState},
    envelope::{BatchEncoder, Head, encode_event},
    kind::KindId,
};

use super::{
    MAX_MESSAGE, Span,
    rename::{Renames, rename},
};
use crate::{
    class::{Class, Commit, WhenFull},
    log::{Cursor, Log, LogError, Walk, most_payload, most_stored, stored_len},
    ring::{Entry, Ring},
};

/// A message of events, as it is sent, with its incarnation.
pub(super) const EVENTS: u8 = 1;
/// From where on something is still needed, and what was given up before: page · offset · { incarnation · boot · first ·
/// last } …, each u32le. An earlier firmware wrote the page alone.
pub(super) const TAKEN: u8 = 2;

/// The most ranges that are announced of a class.
const RANGES: usize = 8;
const NOTE: usize = 8 + 16 * RANGES;

/// The events of one class.
#[derive(Debug)]
pub(super) struct Queue<const RING: usize> {
    pub(super) class: Class,
    pub(super) log: Log,
    pub(super) ring: Ring<RING>,
    /// Where in flash the next message to be sent is looked for.
    walk: Walk,
    /// The last sequence of this boot that was sent on this connection.
    sent: u64,
    /// The last one that was ever sent.
    pub(super) sent_seq: u64,
    pub(super) stopped_until_ms: Option<u64>,
    /// Not before this is a commit tried again that found no room.
    pub(super) full_until_ms: u64,
    /// The last event committed before this boot.
    pub(super) last: Mark,
    /// Earlier incarnations of which events wait, and the last one of each.
    pub(super) earlier: Vec<(u32, Mark), 3>,
    pub(super) dropped: Vec<Dropped, RANGES>,
    /// What the node has, and of which incarnation; what was given up counts as had.
    has: (u32, Mark),
    /// Whether the node was met since this boot: what it passes from then on without having had it is lost.
    pub(super) is_met: bool,
    /// Whether events of an earlier boot were given up since the last birth: no jump shows how many.
    pub(super) is_birth_due: bool,
    pub(super) renames: Renames,
    losses: [u64; 4],
}

const REASONS: [LossReason; 4] = [
    LossReason::Ring,
    LossReason::Outbox,
    LossReason::Unreadable,
    LossReason::Refused,
];

impl<const RING: usize> Queue<RING> {
    pub(super) fn new<S: NorFlash>(class: Class, mut log: Log) -> Self {
        if class.when_full == WhenFull::DropOldest {
            log.reserve = stored_len::<S>(NOTE).min(most_stored::<S>() / 8);
        }
        Queue {
            class,
            walk: Walk::from(log.keep),
            log,
            ring: Ring::new(),
            sent: 0,
            sent_seq: 0,
            stopped_until_ms: None,
            full_until_ms: 0,
            last: Mark::default(),
            earlier: Vec::new(),
            dropped: Vec::new(),
            has: (0, Mark::default()),
            is_met: false,
            is_birth_due: false,
            renames: Renames::default(),
            losses: [0; 4],
        }
    }

    /// What was sent counts as not sent.
    pub(super) fn rewind(&mut self) {
        self.walk = Walk::from(self.log.keep);
        self.sent = 0;
    }

    pub(super) fn deadline_ms(&self) -> Option<u64> {
        match self.class.commit {
            Commit::AfterMs(after_ms) => {
                let oldest = self.ring.iter().next()?;
                Some(
                    oldest
                        .uptime_ms
                        .saturating_add(after_ms.into())
                        .max(self.full_until_ms),
                )
            }
            Commit::Always | Commit::Offline => None,
        }
    }

    /// Whether an event that must be committed can be.
    pub(super) fn can_commit<S: NorFlash>(
        &self,
        incarnation: u32,
        kind: KindId,
        uptime_ms: u64,
        data: &[u8],
    ) -> bool {
        let waiting = self
            .ring
            .iter()
            .map(|entry| entry.data.len().saturating_add(16))
            .sum::<usize>();
        let head = Head {
            incarnation: Some(incarnation),
            stream: self.class.stream,
            mark: Mark {
                boot: u32::MAX,
                seq: u64::MAX,
            },
            uptime_ms,
            kind,
        };
        let mut message = [0; MAX_MESSAGE];
        let len = encode_event(&head, data, &mut message).map_or(MAX_MESSAGE, <[u8]>::len);
        self.class.when_full == WhenFull::DropOldest
            || !self
                .log
                .is_full_for::<S>(len.saturating_add(waiting).min(MAX_MESSAGE))
    }

    /// Moves all that is in memory to flash.
    pub(super) async fn commit<S: NorFlash>(
        &mut self,
        flash: &mut S,
        incarnation: u32,
        boot: u32,
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        let mut message = [0; MAX_MESSAGE];
        let most = most_payload::<S>().min(MAX_MESSAGE);
        let message = message.get_mut(..most).ok_or(LogError::Size)?;
        while !self.ring.is_empty() {
            let Some((len, last_seq)) = self
                .encode(Some(incarnation), boot, 0, message)
                .map_err(|_| LogError::Size)?
            else {
                break;
            };
            let message = message.get(..len).unwrap_or_default();
            while self.log.is_full_for::<S>(len) && self.class.when_full == WhenFull::DropOldest {
                self.drop_page(flash, boot, scratch).await?;
            }
            self.log.append(flash, EVENTS, message, scratch).await?;
            self.ring.remove_through(last_seq);
        }
        Ok(())
    }

    /// Gives up what the oldest page holds. A note says so before the page is erased, so that no reset forgets it.
    async fn drop_page<S: NorFlash>(
        &mut self,
        flash: &mut S,
        boot: u32,
        scratch: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        let next_page = Log::page_after::<S>(self.log.keep);
        let mut walk = Walk::from(self.log.keep);
        while let Some(record) = self.log.next(flash, &mut walk, scratch).await? {
            if record.at >= next_page {
                break;
            }
            if let Some(span) = self.renames.span_of(&record) {
                self.is_birth_due |= span.boot != boot;
                self.give_up(span);
            }
        }
        let reserve = core::mem::take(&mut self.log.reserve);
        let is_noted = self.note_taken(flash, next_page, scratch).await?;
        self.log.keep = next_page;
        self.walk.at = self.walk.at.max(next_page);
        if !is_noted {
            // A note that a cut tore took its place: it comes first in the page that begins.
            self.note_taken(flash, next_page, scratch).await?;
        }
        self.log.reserve = reserve;
        Ok(())
    }

    /// The next message to be sent.
    pub(super) async fn next_message<S: NorFlash>(
        &mut self,
        flash: &mut S,
        incarnation: u32,
        boot: u32,
        into: &mut [u8],
        scratch: &mut [u8],
    ) -> Result<Option<usize>, S::Error> {
        loop {
            let record = match self.log.next(flash, &mut self.walk, scratch).await {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(LogError::Flash(error)) => return Err(error),
                Err(_) => break,
            };
            let Some(span) = self.renames.span_of(&record) else {
                continue;
            };
            let is_own = (span.incarnation, span.boot) == (incarnation, boot);
            if is_own && span.last_seq <= self.sent {
                continue;
            }
            if is_own {
                self.note_sent(span.last_seq);
            }
            if Span::of(record.payload) != Some(span) {
                return Ok(rename(record.payload, span, into).ok());
            }
            let Some(place) = into.get_mut(..record.payload.len()) else {
                continue;
            };
            place.copy_from_slice(record.payload);
            return Ok(Some(place.len()));
        }
        match self.encode(None, boot, self.sent, into) {
            Ok(Some((len, last_seq))) => {
                self.note_sent(last_seq);
                self.ring.pass(last_seq);
                Ok(Some(len))
            }
            Ok(None) | Err(_) => Ok(None),
        }
    }

    fn note_sent(&mut self, seq: u64) {
        self.sent = self.sent.max(seq);
        self.sent_seq = self.sent_seq.max(seq);
    }

    /// A message of the oldest events in memory behind `after_seq`: its length, and its last sequence.
    fn encode(
        &self,
        incarnation: Option<u32>,
        boot: u32,
        after_seq: u64,
        into: &mut [u8],
    ) -> Result<Option<(usize, u64)>, EncodeError> {
        let entries = self.ring.iter_behind(after_seq);
        let Some(first) = entries.clone().next() else {
            return Ok(None);
        };
        let head = Head {
            incarnation,
            stream: self.class.stream,
            mark: Mark {
                boot,
                seq: first.seq,
            },
            uptime_ms: first.uptime_ms,
            kind: first.kind,
        };
        let is_alike = |entry: &Entry<'_>| entry.kind == first.kind;
        let most = into.len().min(MAX_MESSAGE);
        let into = into.get_mut(..most).ok_or(EncodeError::Room)?;
        if !entries.clone().nth(1).as_ref().is_some_and(is_alike) {
            return Ok(Some((
                encode_event(&head, first.data, into)?.len(),
                first.seq,
            )));
        }
        let mut last_seq = first.seq;
        let mut batch = BatchEncoder::new(&head, into)?;
        for entry in entries.take_while(is_alike) {
            if batch.push(entry.uptime_ms, entry.data).is_err() {
                break;
            }
            last_seq = entry.seq;
        }
        if batch.len() > 1 {
            return Ok(Some((batch.finish().len(), last_seq)));
        }
        Ok(Some((
            encode_event(&head, first.data, into)?.len(),
            first.seq,
        )))
    }

    /// Forgets what the node has.
    pub(super) async fn ack<S: NorFlash>(
        &mut self,
        flash: &mut S,
        incarnation: u32,
        mark: Mark,
        own: u32,
        scratch: &mut [u8],
    ) -> Result<(), S::Error> {
        let before = self.log.keep;
        let mut walk = Walk::from(before);
        let is_counted = self.is_met && self.has.0 == incarnation;
        self.pass_dropped(incarnation, mark, is_counted);
        loop {
            let record = match self.log.next(flash, &mut walk, scratch).await {
                Ok(Some(record)) => record,
                Err(LogError::Flash(error)) => return Err(error),
                Ok(None) | Err(_) => break,
            };
            if let Some(span) = self.renames.span_of(&record) {
                if span.incarnation != incarnation || span.last() > mark {
                    break;
                }
                self.pass(span, is_counted);
            }
            self.log.keep = walk.at;
        }
        self.walk.at = self.walk.at.max(self.log.keep);
        self.has.1 = self.has.1.max(mark);
        let earlier = self.earlier.len();
        if incarnation != own {
            self.earlier
                .retain(|(earlier, last)| *earlier != incarnation || *last > mark);
        }
        if self.log.keep.number > before.number || self.earlier.len() < earlier {
            self.note_taken(flash, self.log.keep, scratch).await?;
        }
        Ok(())
    }

    /// The node has what was given up, or passes it: then it is lost.
    fn pass_dropped(&mut self, incarnation: u32, mark: Mark, is_counted: bool) {
        if self.has.0 != incarnation {
            self.has = (incarnation, Mark::default());
        }
        let (mut lost, has) = (0, &mut self.has.1);
        self.dropped.retain_mut(|dropped| {
            if dropped.incarnation != incarnation || dropped.from > mark {
                return true;
            }
            if dropped.reason == LossReason::Outbox && dropped.to < mark {
                let more = dropped.to.seq.saturating_sub(dropped.from.seq);
                lost = more.saturating_add(1).saturating_add(lost);
                *has = dropped.to.max(*has);
            }
            dropped.from = mark;
            dropped.from.seq = mark.seq.saturating_add(1);
            dropped.from <= dropped.to
        });
        if is_counted {
            self.note_loss(LossReason::Outbox, lost);
        }
    }

    /// The node passes a message in flash: what is missing before it cannot be read any more.
    fn pass(&mut self, span: Span, is_counted: bool) {
        let has = &mut self.has.1;
        let before = if has.boot == span.boot { has.seq } else { 0 };
        let missing = span.first_seq.saturating_sub(before.saturating_add(1));
        *has = span.last().max(*has);
        if is_counted {
            self.note_loss(LossReason::Unreadable, missing);
        }
    }

    /// Notes from where on something is still needed, so that what is before is not sent again after a reset, and what was
    /// given up: whether there was room.
    async fn note_taken<S: NorFlash>(
        &mut self,
        flash: &mut S,
        keep: Cursor,
        scratch: &mut [u8],
    ) -> Result<bool, S::Error> {
        let word = |seq| u32::try_from(seq).unwrap_or(u32::MAX);
        let given_up = self
            .dropped
            .iter()
            .filter(|it| it.reason == LossReason::Outbox);
        let given_up = given_up.flat_map(|it| {
            let (first, last) = (word(it.from.seq), word(it.to.seq));
            [it.incarnation, it.to.boot, first, last]
        });
        let words = [keep.number, keep.offset].into_iter().chain(given_up);
        // The record is put together in one half of the scratch, from the note in the other.
        let (scratch, note) = scratch.split_at_mut(scratch.len() / 2);
        let mut len = 0usize;
        for (place, word) in note.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
            len = len.saturating_add(4);
        }
        let note = note.get(..len).unwrap_or_default();
        match self.log.append(flash, TAKEN, note, scratch).await {
            Err(LogError::Flash(error)) => Err(error),
            // Without the note some is sent once more, and the node takes it for what it is: repeats.
            done => Ok(done.is_ok()),
        }
    }

    /// Takes over what [`Queue::note_taken`] noted; the place from which something is needed.
    pub(super) fn read_note(&mut self, note: &[u8]) -> Option<Cursor> {
        let words = note.chunks_exact(4).filter_map(|word| word.try_into().ok());
        let mut words = words.map(u32::from_le_bytes);
        let keep = Cursor {
            number: words.next()?,
            offset: words.next().unwrap_or(0),
        };
        self.dropped.clear();
        while let (Some(incarnation), Some(boot), Some(first), Some(last)) =
            (words.next(), words.next(), words.next(), words.next())
        {
            let mark = |seq: u32| Mark {
                boot,
                seq: seq.into(),
            };
            self.note_dropped(incarnation, mark(first), mark(last), LossReason::Outbox);
        }
        Some(keep)
    }

    /// What the birth says of this class.
    pub(super) async fn states<S: NorFlash>(
        &mut self,
        flash: &mut S,
        incarnation: u32,
        boot: u32,
        states: &mut Vec<StreamState, 24>,
        scratch: &mut [u8],
    ) -> Result<(), S::Error> {
        let stream = self.class.stream;
        let waiting = self.oldest_in_flash(flash, scratch).await?;
        for (earlier, last) in &self.earlier {
            let oldest = waiting
                .filter(|span| span.incarnation == *earlier)
                .map_or(Mark { boot: 1, seq: 1 }, Span::first);
            let state = StreamState {
                incarnation: *earlier,
                stream,
                last: *last,
                oldest,
            };
            let _ = states.push(state); // four for each of at most six classes
        }
        let in_memory = self
            .ring
            .iter()
            .next()
            .map_or(self.ring.next_seq(), |entry| entry.seq);
        let oldest = match waiting {
            Some(span) if span.incarnation == incarnation => span.first(),
            Some(_) => Mark { boot: 1, seq: 1 },
            None => Mark {
                boot,
                seq: in_memory,
            },
        };
        let _ = states.push(StreamState {
            incarnation,
            stream,
            last: self.last,
            oldest,
        });
        Ok(())
    }

    async fn oldest_in_flash<S: NorFlash>(
        &mut self,
        flash: &mut S,
        scratch: &mut [u8],
    ) -> Result<Option<Span>, S::Error> {
        let mut walk = Walk::from(self.log.keep);
        loop {
            match self.log.next(flash, &mut walk, scratch).await {
                Ok(Some(record)) => {
                    if let Some(span) = self.renames.span_of(&record) {
                        return Ok(Some(span));
                    }
                }
                Err(LogError::Flash(error)) => return Err(error),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    /// Notes what is given up. What lies between two messages of a boot is lost with them, or the node has both.
    fn give_up(&mut self, span: Span) {
        let is_of = |it: &&mut Dropped| {
            (it.incarnation, it.to.boot, it.reason)
                == (span.incarnation, span.boot, LossReason::Outbox)
        };
        if let Some(of_boot) = self.dropped.iter_mut().find(is_of) {
            of_boot.to = span.last();
            return;
        }
        if self.dropped.is_full() {
            let other = self
                .dropped
                .iter()
                .position(|it| it.reason != LossReason::Outbox);
            if let Some(other) = other {
                self.dropped.remove(other); // a jump shows it, too
            } else if let Some(newest) = self.dropped.last_mut() {
                // Of more boots than there are ranges, the last one grows by as many: their number stays right.
                newest.to.seq = newest.to.seq.saturating_add(span.count());
            }
        }
        let (from, to) = (span.first(), span.last());
        self.note_dropped(span.incarnation, from, to, LossReason::Outbox);
    }

    /// Notes a range that will never come, if there is room.
    pub(super) fn note_dropped(
        &mut self,
        incarnation: u32,
        from: Mark,
        to: Mark,
        reason: LossReason,
    ) {
        let _ = self.dropped.push(Dropped {
            incarnation,
            stream: self.class.stream,
            from,
            to,
            reason,
        });
    }

    pub(super) fn note_loss(&mut self, reason: LossReason, count: u64) {
        if let Some(losses) = self.losses.get_mut(usize::from(reason as u8)) {
            *losses = losses.saturating_add(count);
        }
    }

    pub(super) fn losses(&self) -> impl Iterator<Item = Loss> {
        let stream = self.class.stream;
        let losses = REASONS.into_iter().zip(self.losses);
        losses
            .filter(|(_, count)| *count > 0)
            .map(move |(reason, count)| Loss {
                stream,
                reason,
                count,
            })
    }

    /// Sends nothing before this place.
    pub(super) fn keep_from(&mut self, keep: Cursor) {
        self.log.keep = self.log.keep.max(keep);
        self.walk = Walk::from(self.log.keep);
    }
}
