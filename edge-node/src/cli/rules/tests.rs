use std::fs;

use clap::Parser;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::cli::Cli;

const RULES: &str = r#"
[[rule]]
name = "hot"
pattern = '{"data": {"celsius": [{"numeric": [">", 60]}]}}'
lane = "alarm"
sinks = ["site"]

[[rule]]
name = "urgent"
sql = "severity = 'high'"

[[rule]]
name = "changes"
topic = "plant/#"
[[rule.step]]
deadband = { field = "$.data.celsius", absolute = 0.5 }

[[rule]]
name = "minutes"
[[rule.step]]
window = { size = "1m", values = { mean = "avg($.data.celsius)" } }
"#;

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(rules: &str) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rules.toml"), rules).unwrap();
        Desk { folder }
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Result<String, CliError> {
        let rules = self.folder.path().join("rules.toml");
        let rules = rules.to_str().unwrap();
        let begin = ["edge-node", "rules", command, "--rules", rules];
        run(&[&begin[..], arguments].concat())
    }

    fn verdicts(&self, arguments: &[&str]) -> Vec<Json> {
        let shown = self
            .run("test", &[arguments, &["--json"]].concat())
            .unwrap();
        shown
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn run(arguments: &[&str]) -> Result<String, CliError> {
    let mut out = Vec::new();
    Cli::try_parse_from(arguments).unwrap().execute(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn event(id: u32, second: u32, celsius: f64) -> String {
    json!({
        "specversion": "1.0", "id": id.to_string(), "source": "/p", "type": "reading",
        "time": format!("2026-11-21T10:00:{second:02}Z"), "data": {"celsius": celsius},
    })
    .to_string()
}

#[test]
fn events_are_a_timeline_and_each_has_its_verdict() {
    let desk = Desk::new(RULES);
    let events = [event(1, 0, 61.0), event(2, 30, 61.2), event(3, 40, 59.0)].join("\n");
    let events = desk.file("events", events);
    let until = "2026-11-21T10:10:00Z";
    let verdicts = desk.verdicts(&["--event", &events, "--topic", "plant/7", "--until", until]);
    assert_eq!(verdicts.len(), 4);
    assert_eq!(verdicts[0]["matched"], json!(["hot", "changes", "minutes"]));
    assert_eq!(verdicts[0]["sinks"], json!(["site"]));
    assert_eq!(verdicts[0]["lane"], json!("alarm"));
    assert_eq!(verdicts[0]["errors"][0]["rule"], json!("urgent"));
    assert_eq!(verdicts[0]["errors"][0]["class"], json!("missingAttribute"));
    assert_eq!(verdicts[0]["event"]["data"]["celsius"], json!(61.0));
    assert_eq!(
        verdicts[1]["dropped"],
        json!({"rule": "changes", "step": 0, "cause": "stage"})
    );
    assert_eq!(verdicts[1]["event"], Json::Null);
    assert_eq!(verdicts[2]["matched"], json!(["changes", "minutes"]));
    assert_eq!(verdicts[2]["sinks"], Json::Null);
    let emitted = &verdicts[3]["emitted"][0];
    assert_eq!(emitted["topic"], json!("plant/7/minutes"));
    assert_eq!(emitted["event"]["data"]["values"], json!({"mean": 60.0}));
}

#[test]
fn a_listed_key_is_watched_from_the_first_event_on() {
    let desk = Desk::new(
        "[[rule]]\nname = \"silence\"\n[[rule.step]]\n\
         absence = { after = \"5m\", keys = [\"plant/8\"], emit-topic = \"health\" }\n",
    );
    let events = desk.file("events", event(1, 0, 61.0));
    let until = "2026-11-21T10:04:59Z";
    let arguments = ["--event", &events, "--topic", "plant/7", "--until", until];
    let emitted = |arguments: &[&str]| {
        let verdicts = desk.verdicts(arguments).into_iter();
        verdicts
            .map(|it| it["emitted"].as_array().unwrap().len())
            .collect::<Vec<_>>()
    };
    assert_eq!(emitted(&arguments), [0, 0]);
    let later = [&arguments[..5], &["2026-11-21T10:05:00Z"]].concat();
    assert_eq!(
        emitted(&later),
        [0, 2],
        "the one that is listed, and the one that was seen"
    );
}

#[test]
fn every_condition_that_held_is_said() {
    let desk = Desk::new(
        r#"
        [[rule]]
        name = "pattern"
        topic = "plant/+"
        pattern = '{"type": ["alarm", "reading"], "data": {"celsius": [{"numeric": [">", 60]}]}}'
        [[rule]]
        name = "sql"
        sql = "type LIKE 'read%' AND NOT EXISTS severity"
        [[rule]]
        name = "filter"
        filter = { all = [{ prefix = { type = "read" } }, { not = { exact = { source = "/q" } } }] }
        [[rule]]
        name = "all"
        "#,
    );
    let event = desk.file("event", event(1, 0, 61.0));
    let verdicts = desk.verdicts(&["--event", &event, "--topic", "plant/7"]);
    assert_eq!(
        verdicts[0]["why"],
        json!([
            {"rule": "pattern", "condition": r#"topic plant/+ and type "reading" and data.celsius numeric > 60"#},
            {"rule": "sql", "condition": "type LIKE 'read%' AND NOT EXISTS severity"},
            {"rule": "filter", "condition": r#"all (prefix type "read"; not (exact source "/q"))"#},
            {"rule": "all", "condition": "every event"},
        ])
    );
}

#[test]
fn without_a_topic_a_rule_with_one_does_not_match() {
    let desk = Desk::new(RULES);
    let without = desk.file("without", event(1, 0, 1.0));
    assert_eq!(
        desk.verdicts(&["--event", &without])[0]["matched"],
        json!(["minutes"])
    );
    let with = event(1, 0, 1.0).replace("\"id\"", "\"mqtttopic\":\"plant/7\",\"id\"");
    let with = desk.file("with", with);
    assert_eq!(
        desk.verdicts(&["--event", &with])[0]["matched"],
        json!(["changes", "minutes"])
    );
}

#[test]
fn a_payload_is_decoded_before_the_rules_see_it() {
    let desk = Desk::new(RULES);
    let payload = desk.file("payload", b"\xa1\x67celsius\x18\x40");
    let verdicts = desk.verdicts(&["--payload", &payload, "--content-type", "application/cbor"]);
    assert_eq!(verdicts[0]["matched"], json!(["hot", "minutes"]));
    let broken = desk.file("broken", b"\xff");
    let verdicts = desk.verdicts(&["--payload", &broken, "--content-type", "application/cbor"]);
    assert_eq!(verdicts[0]["errors"][1]["class"], json!("missing"));
}

/// A file of rules with a decoder.
fn decoder(keys: &str) -> String {
    format!("[[rule]]\nname = \"all\"\n\n[[decoder]]\ntopic = \"spBv1.0/#\"\n{keys}\n")
}

#[test]
fn the_decoder_of_a_topic_reads_payloads_by_the_births_before_them() {
    let desk = Desk::new(&decoder("format = \"sparkplug\"\nemit = \"json\""));
    let event = |message: &str, payload: &str| {
        json!({
            "specversion": "1.0", "id": message, "source": "/p", "type": "t", "data_base64": payload,
            "mqtttopic": format!("spBv1.0/plant/{message}/press"),
        })
        .to_string()
    };
    let (birth, data) = ("Eg0KBWxldmVsEAEgA1ADGAA=", "EgQQAVAqGAE=");
    let events = [event("NBIRTH", birth), event("NDATA", data)].join("\n");
    let verdicts = desk.verdicts(&["--event", &desk.file("events", events)]);
    assert_eq!(verdicts[1]["event"]["data"]["values"], json!({"level": 42}));
    let unborn = desk.file("unborn", event("NDATA", data));
    let verdicts = desk.verdicts(&["--event", &unborn]);
    assert_eq!(verdicts[0]["event"]["data"]["values"], json!({}));
    assert_eq!(
        desk.run("check", &[]).unwrap(),
        "1 rules are right; 1 of them are asked about every event; 1 decoders read payloads for them\n"
    );
}

#[test]
fn a_decoder_that_is_wrong_is_told_with_its_place() {
    for (keys, error) in [
        (
            "format = \"sparkplg\"",
            "rules.toml:6:10: unknown value `sparkplg`, did you mean `sparkplug`?",
        ),
        (
            "format = \"protobuf\"\nmessage = \"Pump\"",
            "rules.toml:4:1: a decoder of protobuf has `descriptors` and `message`",
        ),
        (
            "format = \"cbor\"\nrebirth = true",
            "rules.toml:4:1: only a decoder of sparkplug has `rebirth`",
        ),
        (
            "format = \"protobuf\"\nmessage = \"Pump\"\ndescriptors = \"none.desc\"",
            "rules.toml:8:15: cannot read ",
        ),
        (
            "format = \"protobuf\"\nmessage = \"Pump\"\ndescriptors = \"rules.toml\"",
            "rules.toml:8:15: ",
        ),
    ] {
        let desk = Desk::new(&decoder(keys));
        let told = desk.run("check", &[]).unwrap_err().to_string();
        assert!(told.contains(error), "{told}");
    }
}

#[test]
fn the_example_of_decoders_reads_its_payloads() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/rules");
    let file = |name: &str| examples.join(name).to_str().unwrap().to_owned();
    let (rules, events) = (file("decoders.toml"), file("payloads.jsonl"));
    let begin = ["edge-node", "rules", "test", "--json"];
    let shown = run(&[&begin[..], &["--rules", &rules, "--event", &events]].concat()).unwrap();
    let verdicts: Vec<Json> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let matched: Vec<&Json> = verdicts.iter().map(|it| &it["matched"]).collect();
    assert_eq!(
        matched,
        [&json!([]), &json!(["full"]), &json!(["hot"]), &json!([])]
    );
    assert_eq!(verdicts[1]["event"]["data"]["values"]["level"], json!(97));
    assert_eq!(verdicts[2]["event"]["data"]["celsius"], json!(71.5));
    assert_eq!(verdicts[3]["event"]["data_base64"], json!("oWF4Bw=="));
}

/// A gate's event with a number that nobody is to see.
#[cfg(feature = "wasm")]
const ENTRY: &str = r#"{"specversion": "1.0", "id": "1", "source": "/gate", "type": "entry", "data": {"door": 3, "pin": "4711"}}"#;

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/rules");
    examples.join(name).to_str().unwrap().to_owned()
}

#[cfg(feature = "wasm")]
#[test]
fn the_example_of_a_module_masks_what_nobody_is_to_see() {
    let desk = Desk::new("");
    let (rules, entry) = (example("mask.toml"), desk.file("entry", ENTRY));
    let begin = ["edge-node", "rules", "test", "--json", "--topic", "gates/3"];
    let shown = run(&[&begin[..], &["--rules", &rules, "--event", &entry]].concat()).unwrap();
    let verdict: Json = serde_json::from_str(&shown).unwrap();
    assert_eq!(verdict["event"]["data"], json!({"door": 3, "pin": "****"}));
    assert_eq!(verdict["errors"], json!([]));
}

#[cfg(feature = "wasm")]
#[test]
fn a_module_that_is_not_there_or_has_no_such_export_is_refused_with_its_place() {
    let module = example("mask.wasm");
    let rule = |keys: &str| format!("[[rule]]\nname = \"m\"\n[[rule.step]]\nwasm = {{ {keys} }}\n");
    for (keys, error) in [
        ("file = 'none.wasm'", "rules.toml:4:17: cannot read "),
        (
            "file = 'rules.toml'",
            "no module of WebAssembly in the binary format: ",
        ),
        (
            &format!("file = '{module}', export = 'hide'"),
            "rules.toml:3:1: rule \"m\", step 1: it does not export `hide [I32, I32] -> I64`",
        ),
        (
            &format!("file = '{module}', fuel = 0"),
            "rules.toml:3:1: rule \"m\", step 1: `fuel` is 1 to ",
        ),
    ] {
        let told = Desk::new(&rule(keys)).run("check", &[]);
        let told = told.unwrap_err().to_string();
        assert!(told.contains(error), "{told}");
    }
}

#[cfg(not(feature = "wasm"))]
#[test]
fn a_program_without_webassembly_says_with_which_feature_it_has_it() {
    let rules = example("mask.toml");
    let error = run(&["edge-node", "rules", "check", "--rules", &rules]).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("mask.toml:8:17: "), "{error}");
    assert!(
        error.ends_with("build it with `--features wasm`"),
        "{error}"
    );
}

#[cfg(not(feature = "jq"))]
#[test]
fn a_program_without_jq_says_with_which_feature_it_has_it() {
    let rules = example("unbatch.toml");
    let error = run(&["edge-node", "rules", "check", "--rules", &rules]).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("unbatch.toml:10:18: "), "{error}");
    assert!(error.ends_with("build it with `--features jq`"), "{error}");
}

#[cfg(feature = "jq")]
#[test]
fn a_program_that_is_wrong_is_refused_with_its_place() {
    let rule = "[[rule]]\nname = \"m\"\n[[rule.step]]\njq = { program = \".data | now\" }\n";
    let error = Desk::new(rule).run("check", &[]).unwrap_err().to_string();
    assert!(error.contains("rules.toml:4:18: there is no "), "{error}");
    assert!(error.contains("`now`"), "{error}");
}

#[test]
fn what_is_wrong_ends_with_status_2_and_its_place() {
    let desk = Desk::new(&RULES.replace("lane =", "lan ="));
    let error = desk.run("check", &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("rules.toml:5:1: unknown key `lan`, did you mean `lane`?"),
        "{error}"
    );
    assert_eq!(error.status(), std::process::ExitCode::from(2));
    let desk = Desk::new(&RULES.replace("absolute = 0.5", "absolute = -1"));
    let error = desk.run("check", &[]).unwrap_err().to_string();
    assert!(
        error.contains("rules.toml:15:1: rule \"changes\", step 1: a deadband is not negative"),
        "{error}"
    );
    let desk = Desk::new(RULES);
    let events = desk.file("events", format!("{}\n{{}}", event(1, 0, 1.0)));
    let error = desk.run("test", &["--event", &events]).unwrap_err();
    assert!(
        error.to_string().starts_with("event on line 2: "),
        "{error}"
    );
    assert_eq!(error.status(), std::process::ExitCode::from(2));
}

#[test]
fn rules_may_name_what_the_configuration_has() {
    let desk = Desk::new(RULES);
    assert!(desk.run("check", &[]).is_ok());
    let config = desk.file("config.toml", "");
    let error = desk
        .run("check", &["--config", &config])
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no uplink `site`"), "{error}");
}

#[test]
fn an_expression_is_evaluated_and_its_error_has_a_class() {
    let cases = [
        ("-1 + 2", json!({"value": 1, "error": null})),
        ("type = 'example'", json!({"value": true, "error": null})),
        ("CONCAT('a', 'b')", json!({"value": "ab", "error": null})),
        (
            "severity",
            json!({"value": false, "error": "missingAttribute"}),
        ),
        ("1 / 0", json!({"value": 0, "error": "math"})),
        ("1 +", json!({"value": null, "error": "parse"})),
    ];
    for (expression, expected) in cases {
        let shown = run(&["edge-node", "rules", "eval", expression, "--json"]).unwrap();
        assert_eq!(
            serde_json::from_str::<Json>(&shown).unwrap(),
            expected,
            "{expression}"
        );
    }
}

#[test]
fn each_rule_is_explained() {
    let desk = Desk::new(RULES);
    let shown = desk.run("explain", &["--json"]).unwrap();
    let explained: Json = serde_json::from_str(&shown).unwrap();
    assert_eq!(explained[1]["access"], json!(["severity \"high\""]));
    assert_eq!(explained[3]["access"], json!([null]));
    assert!(explained[0]["bytes"].as_u64().unwrap() > 0);
}

#[test]
fn the_example_shows_what_its_comments_say() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let file = |name: &str| examples.join(name).to_str().unwrap().to_owned();
    let (rules, events) = (file("rules/plant.toml"), file("rules/readings.jsonl"));
    let begin = [
        "edge-node",
        "rules",
        "test",
        "--rules",
        &rules,
        "--event",
        &events,
    ];
    let shown =
        run(&[&begin[..], &["--until", "2026-11-21T10:10:00Z", "--json"]].concat()).unwrap();
    let verdicts: Vec<Json> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let passed: Vec<bool> = verdicts.iter().map(|it| !it["event"].is_null()).collect();
    assert_eq!(passed, [true, false, true, true, true, false]);
    assert_eq!(verdicts[0]["event"]["data"]["line"], json!("north"));
    assert_eq!(verdicts[3]["lane"], json!("alarm"));
    let emitted = verdicts.iter().filter_map(|it| it["emitted"].as_array());
    let topics: Vec<&Json> = emitted.flatten().map(|it| &it["topic"]).collect();
    assert_eq!(topics, ["plant/7/temperature/minutes"; 2]);
}
