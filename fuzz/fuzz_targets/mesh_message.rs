//! Messages of EventMesh's clients: no bytes panic, and an event that was taken from one is the same event at the next node.
#![no_main]

use cloud_uplink::eventmesh::{Envelope, Sender, decode, encode, proto::CloudEvent};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = CloudEvent::decode(bytes) else { return };
    let Ok(received) = decode(message) else { return };
    assert_eq!(received.event.check(), Ok(()));
    let sender = Sender::default();
    let envelope = Envelope { mesh_topic: "t", mqtt_topic: None, sender: &sender, as_first_sent: false };
    let _ = encode(received.event.clone(), &Envelope { as_first_sent: true, ..envelope });
    // The first hop settles the form (a timestamp in UTC); from there on nothing changes.
    let once = hop(received.event, &envelope);
    assert_eq!(hop(once.clone(), &envelope), once);
});

fn hop(event: filters::Event, envelope: &Envelope<'_>) -> filters::Event {
    let bytes = encode(event, envelope).encode_to_vec();
    let message = CloudEvent::decode(bytes.as_slice()).expect("what was encoded is decoded");
    decode(message).expect("a node takes what a node sends").event
}
