//! Transforms: no step panics or makes an invalid event, whatever the step and the payload, and a step that fails leaves
//! the event as it was.
//!
//! ```text
//! the first line: the payload; each further line: a step in JSON, or a template for a topic
//! ```
#![no_main]

use filters::{
    Event,
    transform::{EnrichmentTable, MAX_RESULT_BYTES, Tables, TopicTemplate, Transform, TransformFile},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|it| *it == b'\n');
    let payload = lines.next().unwrap_or_default();
    let mut event = Event::builder("1", "/s", "t")
        .subject("a \"b\"")
        .extension("n", 7)
        .payload(payload.to_vec())
        .build()
        .expect("any payload makes an event");
    let table = EnrichmentTable::parse(r#"{"a":{"x":1.50},"7":[],"t":{}}"#).expect("a table");
    let tables = Tables::from([("t".to_owned(), table.into())]);
    for line in lines.filter_map(|line| str::from_utf8(line).ok()) {
        if let Ok(topic) = TopicTemplate::parse(line, &Default::default())
            && let Ok(topic) = topic.resolve(&event)
        {
            assert_eq!(filters::check_topic_name(&topic), Ok(()));
            assert!(!topic.starts_with('$'));
        }
        let Ok(file) = serde_json::from_str::<TransformFile>(line) else { continue };
        let Ok(step) = Transform::new(file, &tables) else { continue };
        let before = event.clone();
        if let Ok(made) = step.apply(&event) {
            assert_eq!(made.check(), Ok(()));
            assert!(made.data_bytes().len() <= MAX_RESULT_BYTES.max(payload.len()));
            assert_eq!((&made.id, &made.source), (&event.id, &event.source));
            assert_eq!(event, before);
            event = made;
        }
    }
});
