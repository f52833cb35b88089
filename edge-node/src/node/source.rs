//! How an uplink understands the node's records.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use cloud_uplink::{
    DeadLetter, DeadLetters, Outgoing, Peers, RecordSource, eventmesh::attribute::MESH_TOPIC,
};
use filters::TopicFilter;
use spool::{CursorId, Entry, Full, Head, Kind, Lane, NodeTime, Seq, Spool, Transaction};

use super::{
    canary::canary,
    core::Clock,
    gap::is_gap_of,
    handle::{NODE_ORIGIN, RULE_ORIGIN},
    view,
};
use crate::{record::DeadRecord, rules::Uplinks};

/// The records of one sink.
pub struct Source {
    name: String,
    spool: Spool,
    clock: Clock,
    from: Vec<TopicFilter>,
    lanes: u32,
    /// The nodes that answered at the sink's endpoints.
    peers: Arc<Peers>,
    /// Addresses of the sink's endpoints, for peers that are no nodes; without loopback, where one cannot be told from its
    /// neighbours.
    addresses: Vec<IpAddr>,
    /// The cursor that keeps what the sink could not deliver.
    graveyard: CursorId,
    /// Bytes of dead letters that wait for their commit, by position; bounded as all that waits for one is. Guards itself, never
    /// held over another lock.
    coming: Mutex<BTreeMap<Seq, u64>>,
}

impl Source {
    /// For a sink of this name that takes these topics and lanes, and keeps its dead letters under `graveyard`.
    #[expect(clippy::too_many_arguments, reason = "each is one piece of the sink")]
    pub fn new(
        name: &str,
        spool: Spool,
        clock: Clock,
        from: Vec<TopicFilter>,
        lanes: u32,
        peers: Arc<Peers>,
        addresses: Vec<IpAddr>,
        graveyard: CursorId,
    ) -> Arc<Source> {
        let addresses = addresses
            .into_iter()
            .filter(|address| !address.is_loopback())
            .collect();
        Arc::new(Source {
            name: name.to_owned(),
            spool,
            clock,
            from,
            lanes,
            peers,
            addresses,
            graveyard,
            coming: Mutex::default(),
        })
    }

    /// How far the log is committed, and what of the dead letters it holds there.
    fn buried(&self) -> (Seq, DeadLetters) {
        loop {
            let committed = self.spool.committed();
            let status = self.spool.cursor_status(self.graveyard);
            if self.spool.committed() == committed {
                let buried = status.map_or(DeadLetters::default(), |status| DeadLetters {
                    records: status.pending_records,
                    bytes: status.pending_bytes,
                });
                return (committed, buried);
            }
        }
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
        let owes = match seen.settled.uplinks() {
            Uplinks::Accepting => entry.owed || accepts(),
            Uplinks::Named(names) => entry.owed || names.contains(&self.name),
            Uplinks::None => false,
        };
        if !owes {
            return None;
        }
        let sink_topic = seen.settled.shape(&self.name, &mut seen.event);
        let origin = (!seen.origin.is_empty()).then_some(seen.origin);
        Some(Outgoing {
            topic: seen.topic,
            sink_topic,
            unfit: seen.settled.unfit().map(str::to_owned),
            event: seen.event,
            origin,
            expires: seen.expires,
        })
    }

    fn came_from_peer(&self, origin: &str) -> bool {
        if let Some(node) = origin.strip_prefix(NODE_ORIGIN) {
            return self.peers.have_met(node);
        }
        if origin.starts_with(RULE_ORIGIN) {
            return false;
        }
        let address = origin.split_once(':').and_then(|(_, address)| {
            let with_port = address.parse::<SocketAddr>().map(|it| it.ip());
            with_port.or_else(|_| address.parse()).ok()
        });
        address.is_some_and(|address| self.addresses.contains(&address.to_canonical()))
    }

    fn tells_of_loss(&self, entry: &Entry) -> bool {
        view::event(entry).is_some_and(|seen| is_gap_of(self.peers.id(), &seen.event))
    }

    fn now(&self) -> NodeTime {
        (self.clock)().node
    }

    fn canary(&self) -> Option<Outgoing> {
        canary(self.peers.id(), (self.clock)().wall)
    }

    fn dead_letters(&self) -> DeadLetters {
        let (committed, mut held) = self.buried();
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        coming.retain(|seq, _| *seq > committed);
        held.records += coming.len() as u64;
        held.bytes += coming.values().sum::<u64>();
        held
    }

    fn bury(&self, transaction: &mut Transaction<'_>, dead: &DeadLetter<'_>) -> Result<(), Full> {
        let record = DeadRecord {
            sink: dead.sink,
            seq: dead.seq,
            reason: dead.reason,
            tries: dead.tries,
            was: Some((dead.entry.lane, dead.entry.time)),
            body: &dead.entry.body,
        };
        let route = transaction.route(&[self.graveyard], &[])?;
        let mut append = |lane| {
            let head = Head {
                kind: Kind::Event,
                lane,
                route,
            };
            let mut bytes = 0;
            let appended = transaction.append(head, |out| {
                let before = out.len();
                record.encode(out);
                bytes = (out.len() - before) as u64;
            });
            appended.map(|seq| (seq, bytes))
        };
        // Until it is buried, an event keeps everything behind it in its lane: a full lane stays full for it.
        let (seq, bytes) = append(dead.entry.lane).or_else(|_| append(Lane(0)))?;
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        coming.insert(seq, bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
