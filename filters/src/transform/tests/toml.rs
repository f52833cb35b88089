//! Rules as operators write them.

use super::{
    super::{EnrichmentTable, Tables, Transform, TransformFile, apply_all},
    event,
};
use crate::SubscriptionFilter;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    filter: SubscriptionFilter,
    step: Vec<TransformFile>,
    table: std::collections::BTreeMap<String, EnrichmentTable>,
}

const RULE: &str = r#"
filter = { all = [{ prefix = { type = "read" } }, { sql = "sequence = 10 AND EXISTS subject" }] }

[[step]]
convert = { field = "$.data.temperature", from = "Cel", to = "[degF]" }

[[step]]
scale = { field = "$.data.count", factor = 0.5, offset = -1, missing = "pass" }

[[step]]
enrich = { table = "sites", key = "$.data.device", into = "$.data.site", missing = "error" }

[[step]]
rename = { from = "$.data.temperature", to = "$.data.fahrenheit" }

[[step]]
project = { keep = ["$.data.fahrenheit", "$.data.count", "$.data.site"] }

[[step]]
set = { attributes = { subject = "${place}", severity = 3 }, variables = { place = "$.data.site.name" } }

[[step]]
[step.template]
content = '{"t": ${t}, "n": ${$.data.count}, "at": "${$.subject}"}'
variables = { t = "$.data.fahrenheit" }

[table.sites]
pump-7 = { name = "Bonn", height = 60.5 }
"#;

#[test]
fn a_rule_in_toml_filters_and_transforms() {
    let rule: RuleFile = toml::from_str(RULE).expect("a rule");
    assert!(rule.filter.passes(&event()));
    let tables = rule
        .table
        .into_iter()
        .map(|(name, table)| (name, table.into()));
    let tables: Tables = tables.collect();
    let steps = rule
        .step
        .into_iter()
        .map(|step| Transform::new(step, &tables));
    let steps: Vec<_> = steps
        .collect::<Result<_, _>>()
        .expect("steps that can work");
    let made = apply_all(&steps, &event()).expect("all work");
    let data = str::from_utf8(made.data_bytes()).expect("text");
    assert_eq!(
        data,
        r#"{"t": 86.18, "n": 4503599627370495.5, "at": "Bonn"}"#
    );
    assert_eq!(made.subject.as_deref(), Some("Bonn"));
    assert_eq!(
        made.extensions.get("severity"),
        Some(&crate::Value::Integer(3))
    );
}

#[test]
fn a_mistake_is_told_with_its_line() {
    for (wrong, right, line, message) in [
        (
            "scael",
            "scale",
            "line 8,",
            "unknown variant `scael`, expected one of",
        ),
        ("faktor", "factor", "line 8,", "unknown field `faktor`"),
        (
            "prefics",
            "prefix",
            "line 2,",
            "all[0]: there is no dialect `prefics`; did you mean `prefix`?",
        ),
        (
            "EXIST subject",
            "EXISTS subject",
            "line 2,",
            "all[1].sql: line 1, column 25",
        ),
        (
            "\"data.fahrenheit\"",
            "\"$.data.fahrenheit\"",
            "",
            "`data.fahrenheit` is no path to one value",
        ),
    ] {
        let text = RULE.replacen(right, wrong, 1);
        let error = toml::from_str::<RuleFile>(&text)
            .expect_err(wrong)
            .to_string();
        assert!(error.contains(message), "{wrong}: {error}");
        assert!(error.contains(line), "{wrong}: {error}");
    }
}
