//! What a record is to a subscriber: a message with what EventMesh adds on delivery.

use std::{
    borrow::Cow,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use cloud_uplink::eventmesh::{
    Envelope, Sender,
    attribute::{MESH_TOPIC, REQ_MESH_TO_CLIENT, REQ_MQ_TO_MESH},
    encode,
    proto::CloudEvent,
};
use prost::Message;
use spool::{Batch, Loss, LossReason};

use super::{
    core::{Found, Reading},
    key::GroupKey,
};
use crate::node::handle::{Incoming, NodeHandle};

/// What the node says of itself on an event that no client of EventMesh sent.
static SENDER: LazyLock<Sender> = LazyLock::new(Sender::default);

/// A batch of a group's cursor as its subscribers get it. May block: a record is decoded, and a loss recorded.
pub(super) fn reading(
    node: &NodeHandle,
    key: &GroupKey,
    batch: Batch,
    message_bytes: usize,
) -> Reading<Box<CloudEvent>> {
    let (next, at_end) = (batch.next, batch.at_end);
    let mut entries = Vec::with_capacity(batch.entries.len());
    for entry in batch.entries {
        let Some(incoming) = node.event(&entry) else {
            entries.push((entry.seq, Found::Nothing));
            continue;
        };
        let message = message(incoming, SystemTime::now());
        let bytes = message.encoded_len();
        if bytes <= message_bytes {
            let message = Box::new(message);
            entries.push((entry.seq, Found::Event { bytes, message }));
            continue;
        }
        // No client of EventMesh takes it: each would break its stream and be given it again.
        tracing::warn!(group = %key, seq = entry.seq.0, bytes, "an event is larger than a subscriber can take");
        node.spool().record_loss(Loss {
            reason: LossReason::Refused,
            scope: format!("mesh/{key}"),
            count: 1,
            bytes: bytes as u64,
            first: entry.seq,
            last: entry.seq,
            at: entry.time,
        });
        entries.push((entry.seq, Found::Nothing));
    }
    Reading {
        entries,
        next,
        at_end,
    }
}

/// An event as a subscriber gets it.
fn message(incoming: Incoming, now: SystemTime) -> CloudEvent {
    let mesh_topic = incoming.mesh_topic().map(Cow::into_owned);
    let mut event = incoming.event;
    event.extensions.remove(MESH_TOPIC);
    let envelope = Envelope {
        mesh_topic: mesh_topic.as_deref().unwrap_or(&incoming.topic),
        mqtt_topic: None,
        sender: &SENDER,
        as_first_sent: true,
    };
    let mut message = encode(event, &envelope);
    let millis = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis()
        .to_string();
    message.set_text(REQ_MQ_TO_MESH, &millis);
    message.set_text(REQ_MESH_TO_CLIENT, millis);
    message
}
