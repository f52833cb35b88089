//! jq programs in their process, and what the commands and a node make of them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use edge_node::jq::{Bench, Limit, Outcome};
use serde_json::{Value, json};

use crate::running_node::{Node, edge_node, printed};

const EVENT: &[u8] =
    br#"{"specversion":"1.0","id":"1","source":"/pump","type":"reading","data":{"n":[1,2]}}"#;

fn bench() -> Bench {
    Bench::of(Path::new(env!("CARGO_BIN_EXE_edge-node")))
}

fn run(bench: &mut Bench, program: &str) -> Outcome {
    bench.run(program, EVENT).expect("a worker can be had")
}

fn made(values: &[&str]) -> Outcome {
    Outcome::Made(values.iter().map(|it| it.as_bytes().to_vec()).collect())
}

#[test]
fn one_process_runs_one_program_after_the_other() {
    let mut bench = bench();
    for _ in 0..3 {
        assert_eq!(run(&mut bench, ".data.n[]"), made(&["1", "2"]));
        assert_eq!(run(&mut bench, ".id"), made(&["\"1\""]));
    }
    assert_eq!(
        run(&mut bench, "error(\"no pump\")"),
        Outcome::Error("no pump".to_owned())
    );
    assert_eq!(run(&mut bench, "nan"), Outcome::NoJson);
    assert!(matches!(run(&mut bench, "now"), Outcome::NoProgram(_)));
}

#[test]
fn an_event_over_which_jaq_panics_fails_and_the_process_goes_on() {
    let mut bench = bench();
    let event = br#"{"data":{"s":"ab","n":9223372036854775807}}"#;
    for _ in 0..2 {
        let failed = bench.run(".data.s * .data.n", event).expect("an answer");
        assert!(matches!(failed, Outcome::Error(_)), "{failed:?}");
        assert_eq!(run(&mut bench, ".id"), made(&["\"1\""]));
    }
}

#[test]
fn a_program_without_end_is_killed_and_the_next_event_has_another_process() {
    let mut bench = bench();
    for _ in 0..2 {
        let endless = run(&mut bench, "def f: f; f");
        assert_eq!(endless, Outcome::Killed(Limit::Cpu));
        assert_eq!(run(&mut bench, ".id"), made(&["\"1\""]));
    }
}

#[test]
fn a_program_that_wants_too_much_memory_or_recurses_without_end_takes_nothing_but_its_process() {
    let mut bench = bench();
    // Whichever of its limits it comes to first.
    let large = run(&mut bench, "\"x\" * 100000000 | length");
    assert!(matches!(large, Outcome::Killed(_)), "{large:?}");
    assert_eq!(run(&mut bench, "\"x\" * 10000 | length"), made(&["10000"]));
    let deep = run(&mut bench, "def f: 1 + f; f");
    assert!(matches!(deep, Outcome::Killed(_)), "{deep:?}");
    assert_eq!(run(&mut bench, ".id"), made(&["\"1\""]));
}

const RULES: &str = r#"
[[rule]]
name = "each"
topic = "pumps/+"
[[rule.step]]
jq = { program = ".data.n[]", consume = true }

[[rule]]
name = "bad"
topic = "bad/+"
[[rule.step]]
jq = { program = "error(\"no pump\")" }
"#;

#[test]
fn rules_test_shows_what_programs_make_and_what_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("it is written");
        path.display().to_string()
    };
    let (rules, event) = (
        file("rules.toml", RULES.as_bytes()),
        file("event.json", EVENT),
    );
    let verdict = |topic: &str| -> Value {
        let arguments = [
            "rules", "test", "--json", "--rules", &rules, "--event", &event, "--topic", topic,
        ];
        serde_json::from_str(&printed(edge_node().args(arguments))).expect("a verdict")
    };
    let emitted = &verdict("pumps/7")["emitted"];
    assert_eq!(emitted[1]["event"]["data"], json!(2));
    assert_eq!(
        (&emitted[1]["topic"], &emitted[1]["rule"]),
        (&json!("pumps/7/each"), &json!("each"))
    );
    assert_eq!(emitted[2], Value::Null);
    let errors = &verdict("bad/7")["errors"];
    assert_eq!(
        errors,
        &json!([{"rule": "bad", "class": "jq", "message": "no pump"}])
    );
}

#[test]
fn the_example_takes_a_batch_apart() {
    let example = |name: &str| format!("{}/../examples/rules/{name}", env!("CARGO_MANIFEST_DIR"));
    let (rules, batch) = (example("unbatch.toml"), example("batch.json"));
    let arguments = [
        "rules", "test", "--json", "--topic", "pumps/7", "--rules", &rules, "--event", &batch,
    ];
    let verdict: Value =
        serde_json::from_str(&printed(edge_node().args(arguments))).expect("a verdict");
    let emitted = verdict["emitted"].as_array().expect("a list").iter();
    let data: Vec<_> = emitted.map(|it| &it["event"]["data"]).collect();
    assert_eq!(
        data,
        [
            &json!({"pump": 7, "celsius": 41.5}),
            &json!({"pump": 7, "celsius": 42})
        ]
    );
}

#[test]
fn a_node_stores_what_programs_make_of_its_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.display().to_string()
    };
    write("rules.toml", RULES);
    let config = write("node.toml", "[rules]\nfiles = [\"rules.toml\"]\n");
    let node = Node::start(folder.path(), &["--config", &config]);
    let headers = "content-type: application/cloudevents+json\r\n";
    let event = str::from_utf8(EVENT).expect("it is text");
    assert_eq!(
        node.post("/events/publish?topic=pumps/7", headers, event).0,
        202
    );
    let each = || {
        let exported = node.command(&["spool", "export"]);
        let lines = exported
            .lines()
            .map(|it| serde_json::from_str(it).expect("a line is JSON"));
        let made = lines.filter(|it: &Value| it["topic"] == "pumps/7/each");
        made.map(|it| it["event"]["data"].clone())
            .collect::<Vec<_>>()
    };
    // Acknowledged, the event is in the log; what is made of it follows when its process has begun.
    let deadline = Instant::now() + Duration::from_secs(120);
    while each().len() < 2 {
        assert!(Instant::now() < deadline, "nothing was made");
        std::thread::sleep(Duration::from_millis(100)); // each look is a process
    }
    assert_eq!(each(), [json!(1), json!(2)]);
    assert!(node.stop().success());
}
