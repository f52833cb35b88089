//! Messages between devices and the node: no bytes panic a decoder, and events that were decoded are the same events
//! after they were encoded again.
//!
//! ```text
//! first byte: 0 = events (d/), 1 = presence (b/), 2 = answer (a/); the rest: the message
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{
    answer::Answer,
    birth::Presence,
    envelope::{BatchEncoder, Envelope, Event, encode_event},
};

fuzz_target!(|input: &[u8]| {
    let [topic, message @ ..] = input else { return };
    match topic % 3 {
        0 => events(message),
        1 => presence(message),
        _ => answer(message),
    }
});

fn events(message: &[u8]) {
    let Ok(envelope) = Envelope::decode(message) else { return };
    let events: Vec<Event<'_>> = envelope.events().collect();
    let mut buffer = vec![0; message.len() + 64];
    let again = if envelope.is_batch() {
        let mut batch = BatchEncoder::new(&envelope.head(), &mut buffer).expect("there is room");
        for event in &events {
            batch.push(event.uptime_ms, event.data).expect("there is room");
        }
        batch.finish()
    } else {
        encode_event(&envelope.head(), events[0].data, &mut buffer).expect("there is room")
    };
    let again = Envelope::decode(again).expect("what was encoded is decoded");
    assert!(!events.is_empty());
    assert_eq!(again.head(), envelope.head());
    assert_eq!(again.events().collect::<Vec<_>>(), events);
}

fn presence(message: &[u8]) {
    let Ok(Presence::Birth(birth)) = Presence::decode(message) else { return };
    assert_eq!(birth.streams.iter().count(), birth.streams.len());
    assert_eq!(birth.dropped.iter().count(), birth.dropped.len());
    let mut fields = 0;
    for entry in birth.kinds.iter() {
        let (found, own) = birth.kind(entry.id).expect("it is announced");
        assert_eq!(found, entry);
        fields += own.count();
    }
    assert_eq!(fields, birth.fields.len());
}

fn answer(message: &[u8]) {
    let Ok(Answer::Welcome(_, stored) | Answer::Ack(stored)) = Answer::decode(message) else { return };
    assert_eq!(stored.iter().count(), stored.len());
}
