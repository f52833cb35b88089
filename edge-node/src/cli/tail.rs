//! `edge-node tail`: events as they pass, with what rules make of them.

use std::{
    io::{self, BufRead, Write},
    net::SocketAddr,
};

use clap::Args;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{CliError, DataDir, client};
use crate::{endpoints::Endpoints, node::tap::Verdict};

/// Characters of the data that a line shows.
const SHOWN: usize = 240;

#[derive(Args, Debug)]
pub(super) struct TailArgs {
    #[command(flatten)]
    data: DataDir,
    /// Address of the node's HTTP door, instead of finding it by its data directory
    #[arg(long, value_name = "ADDR", conflicts_with = "data")]
    http: Option<SocketAddr>,
    /// Only events that fit: a pattern if it begins with `{`, else a CESQL expression
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    filter: Option<String>,
    /// Only events on topics that this MQTT topic filter fits
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// A line of the node.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Missed { missed: u64 },
    Passed(Box<Passed>),
}

/// An event that passed.
#[derive(Deserialize)]
struct Passed {
    topic: String,
    event: Json,
    decoded: Option<Json>,
    undecoded: Option<String>,
    #[serde(flatten)]
    verdict: Verdict,
}

pub(super) fn tail(args: &TailArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let address = match args.http {
        Some(address) => address,
        None => Endpoints::read(&args.data.data)?.http,
    };
    let wanted = [("filter", &args.filter), ("topic", &args.topic)];
    let wanted = wanted
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", client::escaped(value.as_ref()?))));
    let path = format!("/api/v1/tail?{}", wanted.collect::<Vec<_>>().join("&"));
    let lines = client::lines(address, &path)?;
    // Told apart from a node that does not answer; whoever reads the result does not see it.
    let _ = writeln!(
        io::stderr(),
        "looking at what passes the node at {address}; Ctrl-C ends"
    );
    let mut left = args.count.unwrap_or(u64::MAX);
    for line in lines.lines() {
        let text = line.map_err(|source| CliError::NoAnswer { address, source })?;
        let line: Line = serde_json::from_str(&text).map_err(|error| CliError::Answer {
            address,
            what: error.to_string(),
        })?;
        match args.json {
            true => writeln!(out, "{text}")?,
            false => print(&line, out)?,
        }
        out.flush()?;
        left -= u64::from(matches!(line, Line::Passed(_)));
        if left == 0 {
            return Ok(());
        }
    }
    Ok(())
}

fn print(line: &Line, out: &mut dyn Write) -> Result<(), CliError> {
    let Passed {
        topic,
        event,
        decoded,
        undecoded,
        verdict,
    } = match line {
        Line::Passed(passed) => &**passed,
        Line::Missed { missed } => {
            let told = writeln!(
                out,
                "… {missed} more passed faster than they could be shown"
            );
            return Ok(told?);
        }
    };
    let text = |name: &str| event.get(name).and_then(Json::as_str).unwrap_or_default();
    let data = decoded
        .as_ref()
        .or(event.get("data"))
        .or(event.get("data_base64"));
    let data = data.map(Json::to_string).unwrap_or_default();
    let shown: String = data.chars().take(SHOWN).collect();
    let more = if shown.len() < data.len() { "…" } else { "" };
    writeln!(
        out,
        "{} {topic} {} {shown}{more}",
        text("time"),
        text("type")
    )?;
    if let Some(error) = undecoded {
        writeln!(out, "    not decoded: {error}")?;
    }
    for error in &verdict.errors {
        let (rule, message) = (&error.rule, &error.message);
        writeln!(out, "    rule {rule} failed: {message}")?;
    }
    writeln!(out, "    {}", fate(verdict))?;
    Ok(())
}

/// What becomes of it, in a few words.
fn fate(verdict: &Verdict) -> String {
    let matched = match verdict.matched.is_empty() {
        true => "no rule".to_owned(),
        false => verdict.matched.join(", "),
    };
    let fate = match (&verdict.dropped, &verdict.dead, &verdict.sinks) {
        (Some(rule), ..) => format!("dropped by {rule}"),
        (_, Some(reason), _) => format!("a dead letter: {reason}"),
        (_, _, Some(sinks)) if sinks.is_empty() => "owed to no uplink".to_owned(),
        (_, _, Some(sinks)) => format!("owed to {}", sinks.join(", ")),
        (_, _, None) => "owed to every uplink that takes it".to_owned(),
    };
    let lane = verdict.lane.as_deref().unwrap_or_default();
    format!("{matched}: {fate}, lane {lane}")
}
