//! What an expression needs of an event, as an index is told.

use std::sync::Arc;

use super::super::Expression;
use crate::{
    AttributeValue, Attributes, Condition, DataView, EventView, Path, Scalar,
    index::{Access, Budget, Check, IndexBuilder, Rule, Scratch, When},
};

#[test]
fn every_indexable_operator_is_a_need() {
    for (text, expected) in [
        ("type = 'a'", "type \"a\""),
        ("'a' = type", "type \"a\""),
        ("TYPE = 'a' AND subject = 'b'", "type \"a\"; subject \"b\""),
        ("type = 'a' OR type = 'b'", "type \"a\" | type \"b\""),
        ("type = 'a' XOR type = 'b'", "type \"a\" | type \"b\""),
        ("sequence = 10", "sequence integer from 10 to 10"),
        ("10 = sequence", "sequence \"10\" | sequence \"true\""),
        (
            "sequence = 1",
            "sequence integer from 1 to 1 | sequence \"true\"",
        ),
        ("sequence > 9", "sequence integer from 10 to 2147483647"),
        ("9 < sequence", "sequence integer from 10 to 2147483647"),
        ("sequence >= '10'", "sequence integer from 10 to 2147483647"),
        ("sequence < -9", "sequence integer from -2147483648 to -10"),
        (
            "NOT (sequence <= -9)",
            "sequence integer from -8 to 2147483647 | sequence \"false\" | sequence \"true\"",
        ),
        (
            "flag",
            "flag equals-ignore-case \"true\" | flag integer from -2147483648 to -1 | flag integer from 1 to 2147483647",
        ),
        (
            "NOT flag",
            "flag equals-ignore-case \"false\" | flag integer from 0 to 0",
        ),
        (
            "flag = FALSE",
            "flag equals-ignore-case \"false\" | flag integer from 0 to 0",
        ),
        ("EXISTS subject", "subject exists true"),
        ("type LIKE 'a'", "type \"a\""),
        ("type LIKE 'a%'", "type prefix \"a\""),
        ("type LIKE '%a'", "type suffix \"a\""),
        ("type LIKE 'a_b'", "type prefix \"a\"; type suffix \"b\""),
        (
            "type LIKE 'a%b%_c\\%*'",
            "type prefix \"a\"; type suffix \"c%*\"; type wildcard \"a*b*c%\\\\*\"",
        ),
        ("type LIKE '%abc%'", "type wildcard \"*abc*\""),
        ("subject LIKE '%'", "subject exists true"),
        ("subject NOT LIKE 'a%'", "subject exists true"),
        ("type IN ('a', 'b')", "type \"a\" | type \"b\""),
        ("sequence IN (10)", "sequence \"10\" | sequence \"true\""),
        ("subject NOT IN ('a')", "subject exists true"),
        ("subject != 'a'", "subject exists true"),
        ("NOT (subject != 'a')", "subject \"a\""),
        ("BOOL(subject = 'a')", "subject \"a\""),
        ("a + b > 3", "a exists true; b exists true"),
        (
            "LENGTH(subject) > 3 AND type = 'a'",
            "subject exists true; type \"a\"",
        ),
        // An absent attribute that is read first is an error, whatever stands behind the OR.
        ("missing = 'a' OR type = 'x'", "missing \"a\" | type \"x\""),
        (
            "missing = 'a' OR TRUE",
            "missing \"a\" | missing exists true",
        ),
        (
            "(EXISTS a OR EXISTS b) AND type = 'x'",
            "a exists true | b exists true; type \"x\"",
        ),
        ("TRUE AND type = 'x'", "type \"x\""),
        ("FALSE OR type = 'x'", "type \"x\""),
    ] {
        assert_eq!(shown(&parse(text)), expected, "{text}");
    }
}

#[test]
fn without_an_indexable_condition_nothing_is_known() {
    for text in [
        "TRUE",
        "EXISTS id",
        "type != 'a'",
        "NOT EXISTS subject",
        "LENGTH(type) > 3",
        "type = 'a' OR NOT EXISTS subject",
    ] {
        assert!(parse(text).access().is_empty(), "{text}");
    }
}

#[test]
fn what_never_passes_needs_what_no_event_has() {
    for text in [
        "FALSE",
        "type = 'a' AND FALSE",
        "NOT EXISTS id",
        "UNKNOWN() OR TRUE",
        "sequence > 2147483647",
        "sequence < 'abc'",
    ] {
        assert_eq!(parse(text).access(), [[]], "{text}");
    }
}

#[test]
fn long_chains_are_taken_apart_in_time() {
    let any = (0..4_000).map(|n| format!("a = '{n}'"));
    let any = parse(&any.collect::<Vec<_>>().join(" OR "));
    assert_eq!(
        any.access().iter().map(Vec::len).collect::<Vec<_>>(),
        [4_000]
    );

    let xor = (0..1_000).map(|n| format!("a{n} = 'x'"));
    let xor = parse(&xor.collect::<Vec<_>>().join(" XOR "));
    assert!(xor.access().iter().all(|set| set.len() <= 16_384));
}

#[test]
fn memory_is_counted() {
    let small = parse("type = 'a'").heap_bytes();
    assert!((50..300).contains(&small), "{small}");
    let list = vec!["'abcdefgh'"; 1_000].join(", ");
    let large = parse(&format!("type IN ({list})")).heap_bytes();
    assert!((50_000..80_000).contains(&large), "{large}");
}

/// The index may be told too much and never too little, and what it finds is what the interpreter passes.
#[test]
fn random_expressions_are_found_where_they_pass() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut scratch = Scratch::default();
    let (mut passed, mut narrowed) = (0, 0);
    for _ in 0..800 {
        let texts: Vec<String> = (0..8).map(|_| expression(&mut random, 4)).collect();
        let rules: Vec<Expression> = texts.iter().map(|text| parse(text)).collect();
        let mut index = IndexBuilder::new(Budget::default());
        for rule in &rules {
            let when = When::Check(Arc::new(rule.clone()));
            index.add(&Rule { topic: None, when }).expect("few rules");
        }
        let index = index.build();
        for _ in 0..8 {
            let event = random_event(&mut random);
            let mut expected = Vec::new();
            for (id, rule) in rules.iter().enumerate() {
                let passes = rule.passes(&event);
                let found = rule
                    .access()
                    .iter()
                    .all(|set| set.iter().any(|it| holds(it, &event)));
                assert!(
                    found || !passes,
                    "{rule}\nneeds {}\nof {event:?}",
                    shown(rule)
                );
                expected.extend(passes.then_some(id));
                passed += usize::from(passes);
                narrowed += usize::from(!found);
            }
            let found = index.matches(&event, &mut scratch);
            let found: Vec<usize> = found.iter().map(|id| id.0 as usize).collect();
            assert_eq!(found, expected, "{texts:#?}\n{event:?}");
        }
    }
    assert!(
        passed > 3_000 && narrowed > 3_000,
        "{passed} passed, {narrowed} ruled out"
    );
}

#[test]
fn what_is_found_passes_by_its_casts_and_not_with_an_error() {
    let found = |rule: &str, name, value: &'static str| {
        let mut index = IndexBuilder::new(Budget::default());
        let when = When::Check(Arc::new(parse(rule)));
        index.add(&Rule { topic: None, when }).expect("one rule");
        let mut event = EventView::default();
        event.attributes.push(name, value);
        let mut scratch = Scratch::default();
        !index.build().matches(&event, &mut scratch).is_empty()
    };
    for (sequence, passes) in [("10", true), ("010", true), ("+10", true), ("1e1", false)] {
        let rule = "sequence = 10";
        assert_eq!(found(rule, "sequence", sequence), passes, "{sequence}");
    }
    assert!(!found("missing = 'a' OR type = 'x'", "type", "x"));
    assert!(found("type = 'x' OR missing = 'a'", "type", "x"));
}

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shown(expression: &Expression) -> String {
    let set = |set: &Vec<Access>| {
        let each = set.iter().map(|it| format!("{} {}", it.path, it.condition));
        each.collect::<Vec<_>>().join(" | ")
    };
    let sets: Vec<String> = expression.access().iter().map(set).collect();
    sets.join("; ")
}

/// Whether an access condition holds, as the index promises to read it.
fn holds(access: &Access, event: &EventView<'_>) -> bool {
    let Path::Attribute(name) = &access.path else {
        panic!("an expression reads attributes only");
    };
    let Some(value) = event.attributes.find(name) else {
        return false;
    };
    let text = value.text();
    match &access.condition {
        Condition::Exists => true,
        Condition::Equals(Scalar::Text(wanted)) => *text == **wanted,
        Condition::EqualsIgnoreCase(wanted) => text.to_lowercase() == wanted.to_lowercase(),
        Condition::Prefix(start) => text.starts_with(&**start),
        Condition::Suffix(end) => text.ends_with(&**end),
        Condition::Wildcard(shape) => shape.matches(&text),
        Condition::Integer(low, high) => match value {
            AttributeValue::Boolean(_) => false,
            _ => text
                .parse()
                .is_ok_and(|it: i64| (*low..=*high).contains(&it)),
        },
        other => panic!("no need of an expression: {other}"),
    }
}

fn pick<'a>(random: &mut fastrand::Rng, list: &[&'a str]) -> &'a str {
    list[random.usize(..list.len())]
}

const ATTRIBUTES: [&str; 4] = ["a", "b", "type", "C"];

fn random_event(random: &mut fastrand::Rng) -> EventView<'static> {
    let mut attributes = Attributes::new();
    for name in ["specversion", "id", "source"] {
        attributes.push(name, "1.0");
    }
    for name in ["type", "a", "b", "c"] {
        let value = match random.u8(..4) {
            0 if name != "type" => continue,
            1 if name != "type" => AttributeValue::Integer(random.i32(-1..12)),
            2 if name != "type" => AttributeValue::Boolean(random.bool()),
            _ => pick(
                random,
                &["x", "xyz", "10", "010", "+10", "1", "TRUE", "false", ""],
            )
            .into(),
        };
        attributes.push(name, value);
    }
    EventView {
        topic: None,
        attributes,
        data: DataView::Absent,
    }
}

fn literal(random: &mut fastrand::Rng) -> &'static str {
    let all = [
        "'x'", "'xyz'", "'10'", "'010'", "'true'", "TRUE", "FALSE", "10", "1", "0", "-1", "'FALSE'",
    ];
    pick(random, &all)
}

fn expression(random: &mut fastrand::Rng, depth: usize) -> String {
    let attribute = pick(random, &ATTRIBUTES);
    if depth == 0 {
        return match random.u8(..3) {
            0 => literal(random).to_owned(),
            _ => attribute.to_owned(),
        };
    }
    let mut part = || {
        let less = random.usize(..depth);
        expression(random, less)
    };
    let (left, right) = (part(), part());
    match random.u8(..16) {
        0 => format!("NOT ({left})"),
        1 => format!("EXISTS {attribute}"),
        2 => {
            let pattern = pick(
                random,
                &["x%", "%z", "%", "x_z", "1%0", "_rue", "10", "%y%"],
            );
            let not = pick(random, &["", "NOT "]);
            format!("{attribute} {not}LIKE '{pattern}'")
        }
        3 => {
            let not = pick(random, &["", "NOT "]);
            let (one, two) = (literal(random), literal(random));
            format!("{attribute} {not}IN ({one}, {two})")
        }
        4 => format!("({left}) IN ({}, {right})", literal(random)),
        5..=7 => {
            let operator = pick(random, &["=", "=", "!=", "<", "<=", ">", ">="]);
            format!("{attribute} {operator} {}", literal(random))
        }
        8 => {
            let operator = pick(random, &["=", "!=", "<", "<=", ">", ">="]);
            format!("{} {operator} {attribute}", literal(random))
        }
        9 => format!(
            "({left}) {} ({right})",
            pick(random, &["=", "!=", "<", "+", "-", "/"])
        ),
        10 => {
            let function = pick(
                random,
                &["LENGTH", "BOOL", "INT", "IS_INT", "UPPER", "ABS", "NONE"],
            );
            format!("{function}({left})")
        }
        _ => {
            let operator = pick(random, &["AND", "OR", "XOR"]);
            let another = pick(random, &["AND", "OR", "XOR"]);
            format!("{left} {operator} ({right}) {another} {attribute}")
        }
    }
}
