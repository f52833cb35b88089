//! What of devices is not taken: what they are told, and when they may come again.

use spool::{LossReason, Seq};
use wire::{
    Mark, Stream,
    answer::{
        BirthReason, BirthRefusal, RefusalReason, Refused, encode_birth_refused,
        encode_birth_wanted, encode_refused,
    },
    envelope::Envelope,
};

use super::{
    super::{Broker, journal::Journal},
    Peer,
};
use crate::{
    device::{Stopped, StreamId},
    mqtt::packet::ReasonCode,
    record::Change,
};

/// How long a device waits before it sends again what found no room in the log.
const NO_ROOM_AGAIN_MS: u32 = 1_000;
/// How long one waits before it comes again to a node whose log has no room for its birth.
const NO_ROOM_FOR_BIRTH_AGAIN_MS: u32 = 10_000;
/// How long one waits before it comes again to a node that has no place for it.
pub(super) const NO_PLACE_AGAIN_MS: u32 = 60_000;

impl Broker {
    pub(super) fn refuse_birth(&mut self, peer: &Peer<'_>, reason: BirthRefusal) -> ReasonCode {
        tracing::warn!(
            client = peer.client,
            ?reason,
            "the birth of a device is refused"
        );
        let after_ms = match reason {
            BirthRefusal::NoRoom => NO_ROOM_FOR_BIRTH_AGAIN_MS,
            _ => NO_PLACE_AGAIN_MS,
        };
        self.tell(peer.connection, Seq::ZERO, |into| {
            encode_birth_refused(reason, after_ms, into)
        });
        ReasonCode::QuotaExceeded
    }

    /// Nothing later of the stream is taken until the first event of this message returns behind a birth.
    pub(super) fn ask_for_birth(
        &mut self,
        peer: &Peer<'_>,
        envelope: &Envelope<'_>,
        stream: StreamId,
        reason: BirthReason,
    ) {
        let (at, after_ms) = (envelope.head().mark, None);
        if let Some(link) = self.devices.links.get_mut(&peer.connection) {
            link.stop(stream, Stopped { at, after_ms });
        }
        let heard = self.devices.heard.get_mut(peer.client);
        if let Some(heard) = heard.filter(|_| reason == BirthReason::UnknownKind) {
            heard.wanted.ask(envelope.head().kind);
        }
        self.tell(peer.connection, Seq::ZERO, |into| {
            encode_birth_wanted(reason, into)
        });
    }

    /// The log has no room for the events of this message from the one at this index on.
    pub(super) fn refuse_from(
        &mut self,
        peer: &Peer<'_>,
        envelope: &Envelope<'_>,
        stream: StreamId,
        index: usize,
    ) {
        self.refuse_event(peer, stream, nth(envelope, index), NO_ROOM_AGAIN_MS);
    }

    /// Nothing later of the stream is taken until the event at this place returns.
    pub(super) fn refuse_event(
        &mut self,
        peer: &Peer<'_>,
        stream: StreamId,
        at: Mark,
        after_ms: u32,
    ) {
        if let Some(link) = self.devices.links.get_mut(&peer.connection) {
            let after_ms = Some(after_ms);
            link.stop(stream, Stopped { at, after_ms });
        }
        let no_room = RefusalReason::NoRoom;
        self.tell_refused(peer, Seq::ZERO, (stream, at), no_room, after_ms);
    }

    /// The message is more than a transaction ever holds: it is in the ledger, and the stream goes on behind it.
    pub(super) fn refuse_for_good(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
        envelope: &Envelope<'_>,
        (stream, have, missing): (StreamId, usize, u64),
    ) {
        let (first, last) = (nth(envelope, have), nth(envelope, envelope.count() - 1));
        let count = (envelope.count() - have) as u64;
        let refused = Change::DeviceRefused {
            device: peer.client.to_owned(),
            stream,
            boot: last.boot,
            seq: last.seq,
            count,
        };
        let Ok(seq) = self.change(journal, refused) else {
            return self.refuse_event(peer, stream, first, NO_ROOM_AGAIN_MS);
        };
        self.note_missing(peer.client, stream, missing, journal.now);
        let bytes = peer.publish.payload.len() as u64;
        let scope = format!("device {}/{}", peer.client, stream.number);
        self.lose(LossReason::Rejected, scope, count, bytes, journal.now);
        tracing::warn!(
            client = peer.client,
            bytes,
            events = count,
            "a message of a device is larger than the log takes at once; larger segments take it"
        );
        self.tell_refused(peer, seq, (stream, first), RefusalReason::Size, 0);
        if let Some(link) = self.devices.links.get_mut(&peer.connection) {
            link.owe(seq, stream, last);
        }
    }

    fn tell_refused(
        &mut self,
        peer: &Peer<'_>,
        gate: Seq,
        (stream, mark): (StreamId, Mark),
        reason: RefusalReason,
        after_ms: u32,
    ) {
        let Some(number) = Stream::new(stream.number) else {
            return;
        };
        let refused = Refused {
            incarnation: stream.incarnation,
            stream: number,
            mark,
            reason,
            after_ms,
        };
        self.tell(peer.connection, gate, |into| encode_refused(&refused, into));
    }
}

/// The place of an event of a message.
fn nth(envelope: &Envelope<'_>, index: usize) -> Mark {
    let mark = envelope.head().mark;
    Mark {
        seq: mark.seq.saturating_add(index as u64),
        ..mark
    }
}
