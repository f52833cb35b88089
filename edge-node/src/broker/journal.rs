//! How the broker writes: through one transaction of the log, with ingest beside it.

use std::sync::Arc;

use spool::{
    CursorId, Full, Head, Kind, Lane, Loss, LossReason, NodeTime, RouteId, Savepoint, Seq, Spool,
    Start, Transaction,
    clock::{ClockMark, WallTime},
};

use super::subscriptions::Terms;
use crate::{
    ingest::{DeviceEvent, Ingest, Minted, PublishView, PublishedEvent, Received},
    mqtt::{
        packet::{Publish, ReasonCode},
        stored,
    },
    record::{Change, PublishRecord, StoredWill},
};

/// One transaction, the time it stands for, and the parts that decide what a record holds.
pub struct Journal<'a> {
    /// The time of everything written, on the node clock.
    pub now: NodeTime,
    wall: WallTime,
    transaction: Transaction<'a>,
    ingest: &'a mut Ingest,
    keeps_history: bool,
    /// The last position before it.
    before: Seq,
}

/// What ingest decided about a publish, as it goes into its record.
#[derive(Clone, Debug)]
pub(crate) struct Mint {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lane: Lane,
    /// Whether it is no valid event and was wrapped as opaque data.
    pub(crate) wrapped: bool,
}

/// Bytes that what is minted for a plain PUBLISH takes, with some to spare.
const MINTED_BYTES: usize = 96;

fn encode_minted(minted: &Minted) -> Vec<u8> {
    postcard::to_extend(minted, Vec::with_capacity(MINTED_BYTES))
        .expect("what was minted has no unserialisable part")
}

impl<'a> Journal<'a> {
    /// Begins a transaction. `keeps_history`: records that nobody is owed are kept as well.
    pub fn begin(
        spool: &'a Spool,
        ingest: &'a mut Ingest,
        clock: ClockMark,
        keeps_history: bool,
    ) -> Journal<'a> {
        let transaction = spool.transaction(clock.node);
        Journal {
            now: clock.node,
            wall: clock.wall,
            before: transaction.appended(),
            transaction,
            ingest,
            keeps_history,
        }
    }

    /// Ends it; everything in it is durable once the log is committed up to this position.
    pub fn finish(self) -> Seq {
        self.transaction.finish()
    }

    pub(crate) fn clock(&self) -> ClockMark {
        ClockMark {
            node: self.now,
            wall: self.wall,
        }
    }

    pub(crate) fn keeps_history(&self) -> bool {
        self.keeps_history
    }

    /// Whether so much waits for a commit that the log takes nothing.
    pub(crate) fn is_waiting_full(&self) -> bool {
        self.transaction.is_waiting_full()
    }

    /// Whether a packet of so many bytes may be taken into this transaction, so that what it records fits beside what came before.
    pub(crate) fn has_place_for(&self, packet_bytes: usize) -> bool {
        self.transaction.is_within_half(packet_bytes)
    }

    /// Whether nothing was appended yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.transaction.appended() == self.before
    }

    /// The last position assigned.
    pub(crate) fn appended(&self) -> Seq {
        self.transaction.appended()
    }

    /// The position of the record that is appended next.
    pub(crate) fn next(&self) -> Seq {
        Seq(self.appended().0 + 1)
    }

    /// Which event a PUBLISH is that was read then, and what goes into its record of that.
    pub(crate) fn mint(
        &mut self,
        topic: &str,
        publish: &Publish,
        client: &str,
        received: NodeTime,
    ) -> Result<(Minted, Mint), ReasonCode> {
        let view = PublishView {
            topic,
            properties: publish.properties.set(),
            payload: &publish.payload,
            client,
        };
        match self.ingest.accept(&view, self.received_at(received)) {
            Ok(accepted) => {
                if let Some(error) = &accepted.wrapped {
                    tracing::debug!(client, topic, %error, "no valid event: taken as opaque data");
                }
                let mint = Mint {
                    bytes: encode_minted(&accepted.minted),
                    lane: accepted.lane,
                    wrapped: accepted.wrapped.is_some(),
                };
                Ok((accepted.minted, mint))
            }
            Err(refusal) => {
                tracing::debug!(client, topic, error = %refusal.error, "no valid event: refused");
                Err(refusal.reason)
            }
        }
    }

    /// As `mint`, for a will.
    pub(crate) fn mint_will(
        &mut self,
        client: &str,
        will: &StoredWill,
    ) -> Result<Mint, ReasonCode> {
        let properties = stored::decode(&will.properties).unwrap_or_default(); // what was stored can be decoded
        let view = PublishView {
            topic: &will.topic,
            properties: properties.set(),
            payload: &will.payload,
            client,
        };
        match self.ingest.accept(&view, self.received()) {
            Ok(accepted) => Ok(Mint {
                bytes: encode_minted(&accepted.minted),
                lane: accepted.lane,
                wrapped: accepted.wrapped.is_some(),
            }),
            Err(refusal) => Err(refusal.reason),
        }
    }

    /// The PUBLISH of an event that came through another door.
    pub(crate) fn mint_event(
        &mut self,
        topic: &str,
        event: &filters::Event,
    ) -> (PublishedEvent, Mint) {
        let (published, lane) = self.ingest.accept_event(topic, event, self.received());
        let bytes = encode_minted(&published.minted);
        (
            published,
            Mint {
                bytes,
                lane,
                wrapped: false,
            },
        )
    }

    /// What is stored beside an event of a device.
    pub(crate) fn mint_device_event(&self, event: DeviceEvent, lane: Lane) -> Mint {
        let bytes = encode_minted(&Minted::of_device(self.received(), event));
        Mint {
            bytes,
            lane,
            wrapped: false,
        }
    }

    /// Where what comes on this topic is kept.
    pub(crate) fn lane(&self, topic: &str) -> Lane {
        self.ingest.lane(topic)
    }

    /// Milliseconds since 1970; `None` while the clock is not plausible.
    pub(crate) fn plausible_time(&self) -> Option<u64> {
        self.is_plausible().then_some(self.wall.0)
    }

    /// Whether the time of day can be right.
    pub(crate) fn is_plausible(&self) -> bool {
        self.wall.is_plausible()
    }

    /// What happened at this time of the node clock, milliseconds since 1970; no later than now.
    pub(crate) fn time_of(&self, at: NodeTime) -> u64 {
        let ago = self.now.0.saturating_sub(at.0);
        self.wall.0.saturating_sub(ago)
    }

    /// Where the transaction stands, to come back to.
    pub(crate) fn savepoint(&mut self) -> Savepoint {
        self.transaction.savepoint()
    }

    /// Takes back what was appended behind `savepoint`.
    pub(crate) fn back_to(&mut self, savepoint: Savepoint) {
        self.transaction.back_to(savepoint);
    }

    fn received(&self) -> Received {
        self.received_at(self.now)
    }

    fn received_at(&self, at: NodeTime) -> Received {
        Received {
            millis: self.time_of(at),
            plausible: self.wall.is_plausible(),
        }
    }

    pub(crate) fn append(
        &mut self,
        kind: Kind,
        lane: Lane,
        route: RouteId,
        record: &PublishRecord<'_>,
    ) -> Result<Seq, Full> {
        self.transaction
            .append(Head { kind, lane, route }, |out| record.encode(out))
    }

    pub(crate) fn change(&mut self, change: &Change) -> Result<Seq, Full> {
        let head = Head {
            kind: Kind::State,
            lane: Lane(0),
            route: RouteId::NOBODY,
        };
        self.transaction.append(head, |out| change.encode(out))
    }

    /// The id of the route on these terms.
    pub(crate) fn route(&mut self, mut terms: Terms) -> Result<RouteId, Full> {
        terms.sort_by_key(|(cursor, _)| *cursor);
        terms.dedup_by_key(|(cursor, _)| *cursor);
        let cursors: Vec<CursorId> = terms.iter().map(|(cursor, _)| *cursor).collect();
        let bytes = postcard::to_stdvec(&terms).expect("terms have no unserialisable part");
        self.transaction.route(&cursors, &bytes)
    }

    /// Whether the log still knows a route that was asked for before.
    pub(crate) fn has_route(&self, route: RouteId) -> bool {
        self.transaction.has_route(route)
    }

    pub(crate) fn route_terms(&self, route: RouteId) -> Option<Arc<[u8]>> {
        self.transaction.find_route(route).map(|route| route.terms)
    }

    pub(crate) fn create_cursor(
        &mut self,
        name: &str,
        start: Start,
        bound_bytes: Option<u64>,
    ) -> Result<CursorId, Full> {
        self.transaction.create_cursor(name, start, bound_bytes)
    }

    /// Creates a cursor and appends the changes that name it, or does neither.
    pub(crate) fn open_cursor(
        &mut self,
        name: &str,
        bound_bytes: u64,
        changes: impl FnOnce(CursorId) -> Vec<Change>,
    ) -> Result<(CursorId, Vec<(Change, Seq)>), Full> {
        let savepoint = self.transaction.savepoint();
        let opened = self
            .create_cursor(name, Start::Now, Some(bound_bytes))
            .and_then(|cursor| {
                let append = |change| self.change(&change).map(|seq| (change, seq));
                let appended: Result<Vec<_>, Full> =
                    changes(cursor).into_iter().map(append).collect();
                Ok((cursor, appended?))
            });
        if opened.is_err() {
            self.transaction.back_to(savepoint);
        }
        opened
    }

    pub(crate) fn remove_cursor(&mut self, cursor: CursorId, reason: Option<LossReason>) {
        self.transaction.remove_cursor(cursor, reason);
    }

    /// Keeps a record though nobody is owed it.
    pub(crate) fn pin(&mut self, seq: Seq) {
        self.transaction.pin(seq);
    }

    /// Keeps it no longer once this transaction is committed.
    pub(crate) fn unpin(&mut self, seq: Seq) {
        self.transaction.unpin(seq);
    }

    /// Counts a loss that is on disk no later than what is in this transaction.
    pub(crate) fn record_loss(&mut self, loss: Loss) {
        self.transaction.record_loss(loss);
    }

    /// Everything that was lost so far.
    pub(crate) fn ledger(&self) -> Vec<Loss> {
        self.transaction.ledger()
    }

    /// Stores an entry of the ledger with this transaction.
    pub(crate) fn store_loss(&mut self, loss: &Loss) {
        self.transaction.store_loss(loss);
    }

    pub(crate) fn acknowledge(&mut self, cursor: CursorId, seq: Seq) {
        self.transaction.ack(cursor, seq);
    }
}
