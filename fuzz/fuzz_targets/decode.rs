//! Decoders: no payload panics, what is shown is JSON, and a record read again is shown as it was when it was published.
//!
//! ```text
//! records, each: topic u8 · length u8 · payload
//! ```
#![no_main]

use filters::{
    decode::{Births, DecoderDefinition, Decoders, Decoding, Incoming, View},
    stage::Moment,
};
use libfuzzer_sys::fuzz_target;

const TOPICS: [&str; 12] = [
    "spBv1.0/g/NBIRTH/n",
    "spBv1.0/g/NDEATH/n",
    "spBv1.0/g/NDATA/n",
    "spBv1.0/g/DBIRTH/n/d",
    "spBv1.0/g/DDEATH/n/d",
    "spBv1.0/g/DDATA/n/d",
    "spBv1.0/g/DDATA/n/e",
    "spBv1.0/g/NCMD/n",
    "b/pump",
    "d/pump",
    "cbor",
    "json",
];

fuzz_target!(|input: &[u8]| {
    let definition = |topic: &str, format: &str| -> DecoderDefinition {
        serde_json::from_value(serde_json::json!({"topic": topic, "format": format})).expect("a definition")
    };
    let definitions = [
        definition("spBv1.0/#", "sparkplug"),
        definition("cbor", "cbor"),
        definition("json", "json"),
        definition("+/pump", "device"),
    ];
    let decoders = Decoders::compile(&definitions, &Default::default()).expect("they can be used");
    let (mut births, mut again) = (Births::default(), Births::default());
    let mut shown = Vec::new();
    let (mut rest, mut position) = (input, 0);
    while let [topic, length, behind @ ..] = rest {
        let (payload, next) = behind.split_at((*length as usize).min(behind.len()));
        rest = next;
        position += 1;
        let incoming = Incoming {
            topic: Some(TOPICS[*topic as usize % TOPICS.len()]),
            content_type: None,
            payload,
            position,
        };
        let Decoding { view, undo, .. } = decoders.decode(&mut births, &incoming, Moment(position));
        if let View::Decoded(decoded) = &view {
            serde_json::from_slice::<serde_json::Value>(decoded.json()).expect("it is JSON");
        }
        if *topic >= 128 {
            births.undo(undo);
            position -= 1;
            continue;
        }
        decoders.apply(&mut again, &incoming);
        shown.push((incoming, view));
    }
    // Of births that were read again, as a start reads them, each says what it said; now and then.
    let now = Moment(position);
    for (incoming, view) in shown {
        let mut decode = |births: &mut Births| decoders.decode(births, &incoming, now).view;
        let (once, then) = (decode(&mut births), decode(&mut again));
        assert_eq!(then, once);
        if !incoming.topic.is_some_and(|it| it.starts_with("d/") || it.starts_with("spBv1.0/")) {
            assert_eq!(then, view);
        }
    }
});
