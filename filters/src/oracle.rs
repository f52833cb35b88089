//! What patterns mean, said as plainly as possible and far too slowly for use: the index is held against it.

pub mod random;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{
    AttributeValue, Condition, DataView, EventView, Number, Pattern, Scalar, fold_case,
    pattern::{Asked, Fields},
};

/// Whether `serde_json` reads a payload, and every text in it.
pub fn is_json(payload: &[u8]) -> bool {
    Json::parse(payload).is_some()
}

/// Whether `event` matches, tried for every way to choose one element of each array of objects: for small events.
pub fn matches(pattern: &Pattern, event: &EventView<'_>) -> bool {
    let data = match event.data.checked() {
        DataView::Absent => Some(vec![Tree::default()]),
        DataView::Opaque | DataView::Unchecked { .. } => None,
        DataView::Text(text) => Some(vec![Tree::leaf(Scalar::from(text))]),
        DataView::Json(json) => Json::parse(json).map(|it| chosen(&it)),
        // By name only.
        DataView::Decoded(decoded) => Json::parse(decoded.json()).map(|it| chosen(&it)),
    };
    let mut attributes = Tree::default();
    for (name, value) in event.attributes.iter() {
        let value = match value {
            AttributeValue::Boolean(value) => Scalar::Boolean(*value),
            AttributeValue::Integer(value) => Scalar::from(i64::from(*value)),
            AttributeValue::Text(text) => Scalar::from(&**text),
        };
        attributes.fields.insert(name.into(), Tree::leaf(value));
    }
    let Some(data) = data else {
        return in_tree(pattern.fields(), &attributes, false);
    };
    data.into_iter().any(|data| {
        let mut event = attributes.clone();
        event.fields.insert("data".into(), data);
        in_tree(pattern.fields(), &event, true)
    })
}

/// A JSON value; the last of duplicate keys counts.
#[derive(Clone, Debug, PartialEq)]
enum Json {
    Scalar(Scalar),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// What serde_json reads, numbers with all their digits; `None` where a text in it is none.
    fn parse(json: &[u8]) -> Option<Json> {
        let raw: &RawValue = serde_json::from_slice(json).ok()?;
        Json::of(raw)
    }

    fn of(raw: &RawValue) -> Option<Json> {
        let text = raw.get();
        Some(match text.as_bytes().first()? {
            b'{' => {
                let fields: Object<'_> = serde_json::from_str(text).ok()?;
                let read = |(key, raw)| Some((key, Json::of(raw)?));
                Json::Object(fields.0.into_iter().map(read).collect::<Option<_>>()?)
            }
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Json::List(elements.into_iter().map(Json::of).collect::<Option<_>>()?)
            }
            b'"' => Json::Scalar(Scalar::Text(serde_json::from_str(text).ok()?)),
            b't' => Json::Scalar(Scalar::Boolean(true)),
            b'f' => Json::Scalar(Scalar::Boolean(false)),
            b'n' => Json::Scalar(Scalar::Null),
            _ => Json::Scalar(Scalar::Number(Number::parse(text)?)),
        })
    }
}

struct Object<'a>(BTreeMap<String, &'a RawValue>);

impl<'de> serde::Deserialize<'de> for Object<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Object<'de>, D::Error> {
        BTreeMap::deserialize(from).map(Object)
    }
}

/// A document in which each array of objects is one of its objects.
#[derive(Clone, Debug, Default)]
struct Tree {
    leaves: Vec<Scalar>,
    fields: BTreeMap<String, Tree>,
}

impl Tree {
    fn leaf(value: Scalar) -> Tree {
        Tree {
            leaves: vec![value],
            fields: BTreeMap::new(),
        }
    }
}

/// Every way to choose.
fn chosen(json: &Json) -> Vec<Tree> {
    match json {
        Json::Scalar(value) => vec![Tree::leaf(value.clone())],
        Json::Object(fields) => {
            let mut all = vec![Tree::default()];
            for (key, value) in fields {
                let ways = chosen(value);
                let with = |tree: &Tree| {
                    let each = ways.iter().map(|way| {
                        let mut tree = tree.clone();
                        tree.fields.insert(key.clone(), way.clone());
                        tree
                    });
                    each.collect::<Vec<_>>()
                };
                all = all.iter().flat_map(with).collect();
            }
            all
        }
        Json::List(_) => {
            let mut flat = Vec::new();
            flatten(json, &mut flat);
            let leaves = flat.iter().filter_map(|it| match it {
                Json::Scalar(value) => Some(value.clone()),
                _ => None,
            });
            let leaves: Vec<Scalar> = leaves.collect();
            let objects = flat.iter().filter(|it| matches!(it, Json::Object(_)));
            let mut all: Vec<Tree> = objects.flat_map(|it| chosen(it)).collect();
            if all.is_empty() {
                all.push(Tree::default());
            }
            all.iter_mut().for_each(|it| it.leaves.clone_from(&leaves));
            all
        }
    }
}

fn flatten<'a>(json: &'a Json, out: &mut Vec<&'a Json>) {
    match json {
        Json::List(elements) => elements.iter().for_each(|it| flatten(it, out)),
        other => out.push(other),
    }
}

fn in_tree(mut fields: Fields<'_>, tree: &Tree, has_data: bool) -> bool {
    let none = Tree::default();
    let below = |key: &str| {
        let is_readable = has_data || key != "data";
        is_readable.then(|| tree.fields.get(key).unwrap_or(&none))
    };
    fields.all(|asked| match asked {
        Asked::Leaf(key, conditions) => {
            below(key).is_some_and(|below| conditions.iter().any(|it| of_leaves(it, &below.leaves)))
        }
        Asked::Object(key, fields) => below(key).is_some_and(|it| in_tree(fields, it, true)),
        Asked::Or(mut alternatives) => alternatives.any(|it| in_tree(it, tree, has_data)),
    })
}

fn of_leaves(condition: &Condition, leaves: &[Scalar]) -> bool {
    match condition {
        Condition::Missing => leaves.is_empty(),
        condition => leaves.iter().any(|it| of_leaf(condition, it)),
    }
}

fn of_leaf(condition: &Condition, leaf: &Scalar) -> bool {
    match (condition, leaf) {
        (Condition::Exists, _) => true,
        (Condition::Equals(value), leaf) => value == leaf,
        (Condition::AnythingBut(all), leaf) => !all.iter().any(|it| of_leaf(it, leaf)),
        (Condition::Number(range), Scalar::Number(number)) => range.contains(number),
        (Condition::EqualsIgnoreCase(text), Scalar::Text(leaf)) => *fold_case(leaf) == **text,
        (Condition::Prefix(text), Scalar::Text(leaf)) => leaf.starts_with(&**text),
        (Condition::PrefixIgnoreCase(text), Scalar::Text(leaf)) => {
            fold_case(leaf).starts_with(&**text)
        }
        (Condition::Suffix(text), Scalar::Text(leaf)) => leaf.ends_with(&**text),
        (Condition::SuffixIgnoreCase(text), Scalar::Text(leaf)) => {
            fold_case(leaf).ends_with(&**text)
        }
        (Condition::Network(network), Scalar::Text(leaf)) => network.contains_text(leaf),
        (Condition::Wildcard(shape), Scalar::Text(leaf)) => {
            let runs: Vec<&str> = shape.runs().collect();
            wildcard(&runs, leaf)
        }
        _ => false,
    }
}

/// Tries every place for every run.
fn wildcard(runs: &[&str], text: &str) -> bool {
    let Some((run, later)) = runs.split_first() else {
        return false;
    };
    let Some(rest) = text.strip_prefix(run) else {
        return false;
    };
    if later.is_empty() {
        return rest.is_empty();
    }
    let places = rest.char_indices().map(|it| it.0).chain([rest.len()]);
    places
        .into_iter()
        .any(|at| rest.get(at..).is_some_and(|it| wildcard(later, it)))
}
