//! How an uplink understands the node's records.

use std::{net::IpAddr, sync::Arc};

use cloud_uplink::{
    DeadLetter, DeadLetters, Outgoing, RecordSource, eventmesh::attribute::MESH_TOPIC,
};
use filters::TopicFilter;
use spool::{CursorId, Entry, Full, Head, Kind, NodeTime, Spool, Transaction};

use super::{core::Clock, view};
use crate::record::DeadRecord;

/// The records of one sink.
pub struct Source {
    spool: Spool,
    clock: Clock,
    from: Vec<TopicFilter>,
    lanes: u32,
    /// Addresses of the sink's endpoints, without loopback: there, a peer cannot be told from its neighbours.
    peers: Vec<IpAddr>,
    /// The cursor that keeps what the sink could not deliver.
    graveyard: CursorId,
}

impl Source {
    /// For a sink that takes these topics and lanes, and keeps its dead letters under `graveyard`.
    pub fn new(
        spool: Spool,
        clock: Clock,
        from: Vec<TopicFilter>,
        lanes: u32,
        peers: Vec<IpAddr>,
        graveyard: CursorId,
    ) -> Arc<Source> {
        let peers = peers
            .into_iter()
            .filter(|peer| !peer.is_loopback())
            .collect();
        Arc::new(Source {
            spool,
            clock,
            from,
            lanes,
            peers,
            graveyard,
        })
    }
}

impl RecordSource for Source {
    fn event(&self, entry: &Entry) -> Option<Outgoing> {
        let mut seen = view::event(entry)?;
        // The sink gives it a mesh topic of its own.
        seen.event.extensions.remove(MESH_TOPIC);
        let lane = 1_u32.checked_shl(u32::from(entry.lane.0)).unwrap_or(0);
        let accepts =
            || self.lanes & lane != 0 && self.from.iter().any(|filter| filter.matches(&seen.topic));
        if !entry.owed && !accepts() {
            return None;
        }
        let expires = seen
            .expiry_seconds
            .map(|seconds| NodeTime(entry.time.0 + u64::from(seconds) * 1000));
        let origin = (!seen.origin.is_empty()).then_some(seen.origin);
        Some(Outgoing {
            topic: seen.topic,
            event: seen.event,
            origin,
            expires,
        })
    }

    fn came_from_peer(&self, origin: &str) -> bool {
        let address = origin.split_once(':').map(|(_, address)| address);
        let address = address.and_then(|address| address.parse::<std::net::SocketAddr>().ok());
        address.is_some_and(|address| self.peers.contains(&address.ip()))
    }

    fn now(&self) -> NodeTime {
        (self.clock)().node
    }

    fn dead_letters(&self) -> DeadLetters {
        let status = self.spool.cursor_status(self.graveyard);
        status.map_or(DeadLetters::default(), |status| DeadLetters {
            records: status.pending_records,
            bytes: status.pending_bytes,
        })
    }

    fn bury(&self, transaction: &mut Transaction<'_>, dead: &DeadLetter<'_>) -> Result<(), Full> {
        let record = DeadRecord {
            sink: dead.sink,
            seq: dead.seq,
            reason: dead.reason,
            tries: dead.tries,
            body: &dead.entry.body,
        };
        let route = transaction.route(&[self.graveyard], &[]);
        let head = Head {
            kind: Kind::Event,
            lane: dead.entry.lane,
            route,
        };
        transaction.append(head, |out| record.encode(out)).map(drop)
    }
}
