//! `GET /api/v1/tail?filter=…`: a line of JSON for each event that passes, until the reader leaves or the node stops.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use filters::{
    Event, EventView,
    decode::View,
    index::{Budget, Scratch},
    rules::{Arrival, Known, RuleDefinition, RuleMemory, RuleSet},
    stage::Moment,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio_stream::Stream;

use super::{Fault, Node, Shared, peer::Peer};
use crate::{
    node::{
        tap::{MAX_TAPS, Passed, TapReader, Tapped, Verdict},
        view,
    },
    record::Record,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    filter: Option<String>,
    topic: Option<String>,
}

pub(super) async fn tail<N: Node>(
    State(shared): State<Arc<Shared<N>>>,
    Extension(peer): Extension<Peer>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Fault> {
    peer.is_operator()?;
    let Query(wanted) = wanted.map_err(|it| Fault::bad(it.body_text()))?;
    let rules = rule_of(&wanted)?;
    let Some(reader) = shared.node.tap().await? else {
        return Err(Fault::later(format!(
            "{MAX_TAPS} are looking on already, which is the most"
        )));
    };
    let lines = Lines {
        reader,
        memory: RuleMemory::new(&rules),
        scratch: Scratch::default(),
        rules,
    };
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// What is asked for, as the one rule of a set: a pattern if it begins with `{`, else CESQL.
fn rule_of(wanted: &Wanted) -> Result<RuleSet, Fault> {
    let mut rule = Map::new();
    rule.insert("name".to_owned(), "tail".into());
    if let Some(filter) = &wanted.filter {
        let is_pattern = filter.trim_start().starts_with('{');
        let language = if is_pattern { "pattern" } else { "sql" };
        rule.insert(language.to_owned(), filter.as_str().into());
    }
    if let Some(topic) = &wanted.topic {
        rule.insert("topic".to_owned(), topic.as_str().into());
    }
    let bad = |error: &dyn std::fmt::Display| Fault::bad(error.to_string());
    let rule: RuleDefinition = serde_json::from_value(rule.into()).map_err(|it| bad(&it))?;
    RuleSet::compile(&[rule], &Known::default(), Budget::default(), Moment(0))
        .map_err(|it| bad(&it.problem))
}

/// One event that passed.
#[derive(Serialize)]
struct Line<'a> {
    position: Option<u64>,
    topic: &'a str,
    #[serde(flatten)]
    verdict: &'a Verdict,
    event: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    decoded: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undecoded: Option<String>,
}

/// The lines of what passes and fits.
struct Lines {
    reader: TapReader,
    rules: RuleSet,
    memory: RuleMemory,
    scratch: Scratch,
}

impl Stream for Lines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let lines = self.get_mut();
        loop {
            let line = match ready!(lines.reader.poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Tapped::Missed(missed)) => Some(json!({"missed": missed})),
                Some(Tapped::Passed(passed)) => lines.line(&passed),
            };
            if let Some(line) = line {
                return Poll::Ready(Some(Ok(Bytes::from(format!("{line}\n")))));
            }
        }
    }
}

impl Lines {
    /// `None`: it does not fit.
    fn line(&mut self, passed: &Passed) -> Option<Json> {
        let Some(Record::Publish(record)) = Record::decode(&passed.record) else {
            return None;
        };
        let event = view::of_record(&record)?;
        let mut seen = EventView::of(&event, Some(record.topic));
        seen.data = passed.view.data(seen.data);
        let arrival = Arrival {
            at: Moment(0),
            derived_by: &[],
        };
        let own = || event.clone();
        let (memory, scratch) = (&mut self.memory, &mut self.scratch);
        let ruling = self.rules.judge(memory, scratch, &seen, own, &arrival);
        (!ruling.matched.is_empty()).then(|| shown(passed, record.topic, &event))
    }
}

fn shown(passed: &Passed, topic: &str, event: &Event) -> Json {
    let json = |text: &[u8]| serde_json::from_slice(text).unwrap_or_default();
    let (decoded, undecoded) = match &passed.view {
        View::Plain => (None, None),
        View::Decoded(decoded) => (Some(json(decoded.json())), None),
        View::Opaque(error) => (None, Some(error.to_string())),
    };
    json!(Line {
        position: passed.position.map(|it| it.0),
        topic,
        verdict: &passed.verdict,
        event: json(&filters::json::encode(event)),
        decoded,
        undecoded,
    })
}
