//! From records to what the core and the sink need of them; runs on a blocking thread.

use std::sync::Arc;

use spool::{Entry, Seq};

use super::Drain;
use crate::{Fitness, Offered, RecordSource, Sink};

/// What one read gave.
pub(super) struct Read<I> {
    pub(super) offered: Vec<Offered>,
    pub(super) items: Vec<(Seq, Arc<I>)>,
    pub(super) next: Seq,
    pub(super) at_end: bool,
}

pub(super) fn prepare<R: RecordSource, S: Sink>(
    drain: &Drain<R, S>,
    batch: &spool::Batch,
) -> Read<S::Item> {
    let mut read = Read {
        offered: Vec::with_capacity(batch.entries.len()),
        items: Vec::with_capacity(batch.entries.len()),
        next: batch.next,
        at_end: batch.at_end,
    };
    let mut scratch = Vec::new();
    for entry in &batch.entries {
        let (fitness, item) = fitness(drain, entry, &mut scratch);
        read.offered.push(Offered {
            seq: entry.seq,
            fitness,
        });
        read.items
            .extend(item.map(|item| (entry.seq, Arc::new(item))));
    }
    read
}

fn fitness<R: RecordSource, S: Sink>(
    drain: &Drain<R, S>,
    entry: &Entry,
    scratch: &mut Vec<u8>,
) -> (Fitness, Option<S::Item>) {
    let Some(mut outgoing) = drain.source.event(entry) else {
        return (Fitness::NotOwed, None);
    };
    if outgoing
        .origin
        .as_deref()
        .is_some_and(|origin| drain.source.came_from_peer(origin))
    {
        return (Fitness::FromPeer, None);
    }
    if drain.drop_expired && outgoing.expires.is_some_and(|at| at <= drain.source.now()) {
        return (
            Fitness::Expired {
                bytes: entry.body.len() as u64,
            },
            None,
        );
    }
    if let Some(reason) = outgoing.unfit {
        return (Fitness::Unsendable(reason), None);
    }
    let hops = outgoing.hops();
    let key = outgoing.partition_key();
    outgoing.add_hop();
    scratch.clear();
    match drain.sink.prepare(outgoing, scratch) {
        Ok(prepared) => {
            let fitness = Fitness::Send {
                key,
                target: prepared.target,
                bytes: prepared.bytes,
                hops,
            };
            (fitness, (hops <= crate::MAX_HOPS).then_some(prepared.item))
        }
        Err(error) => (Fitness::Unsendable(error.0), None),
    }
}
