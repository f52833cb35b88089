//! `edge-node rules`: check rules, try them on events, evaluate an expression, see how rules are found.

#[cfg(test)]
mod tests;
mod timeline;

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use filters::{Event, cesql, stage::Moment};
use serde_json::{Value as Json, json};

use super::{CliError, DataDir, client, table, table::Table};
use crate::{
    config::{Config, Overrides, Rules},
    endpoints::Endpoints,
    node::reload::ReloadAnswer,
};
use timeline::Timeline;

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Check rule files
    Check(RuleFiles),
    /// Try rules on events: a timeline under a clock set by their `time`
    Test(TestArgs),
    /// Evaluate a CESQL expression
    Eval(EvalArgs),
    /// Show by which condition each rule is found
    Explain(ExplainArgs),
    /// Have a running node read its files of rules again, all or none; SIGHUP does the same
    Reload(DataDir),
}

#[derive(Args, Debug)]
pub(super) struct RuleFiles {
    /// Rule file; several apply one after the other
    #[arg(long, value_name = "FILE", required = true)]
    rules: Vec<PathBuf>,
    /// Configuration file whose uplinks and lanes the rules may name; without one, any may be named
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct TestArgs {
    #[command(flatten)]
    files: RuleFiles,
    /// Events in the JSON format of CloudEvents, one or a line each; `-` reads standard input
    #[arg(long, value_name = "FILE", required_unless_present = "payload")]
    event: Option<PathBuf>,
    /// Topic of the events; without it, their attribute `mqtttopic`
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Payload of one PUBLISH, in place of events
    #[arg(
        long,
        value_name = "FILE",
        requires = "content_type",
        conflicts_with = "event"
    )]
    payload: Option<PathBuf>,
    /// What the payload is
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Let the clock run on until then, so that windows close and silence shows (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct EvalArgs {
    /// The expression
    #[arg(allow_hyphen_values = true)]
    expression: String,
    /// The event, in the JSON format of CloudEvents; without it, one with nothing but what every event has
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    files: RuleFiles,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(command: &RulesCommand, out: &mut dyn Write) -> Result<(), CliError> {
    match command {
        RulesCommand::Check(files) => {
            let rules = files.load()?;
            let unindexed = rules.set.index().unindexed().len();
            let count = rules.definitions.len();
            write!(
                out,
                "{count} rules are right; {unindexed} of them are asked about every event"
            )?;
            match rules.decoders.len() {
                0 => writeln!(out)?,
                decoders => writeln!(out, "; {decoders} decoders read payloads for them")?,
            }
            Ok(())
        }
        RulesCommand::Test(args) => test(args, out),
        RulesCommand::Eval(args) => eval(args, out),
        RulesCommand::Explain(args) => explain(args, out),
        RulesCommand::Reload(data) => reload(data, out),
    }
}

impl RuleFiles {
    fn load(&self) -> Result<Rules, CliError> {
        let config = self
            .config
            .as_deref()
            .map(|it| Config::load(Some(it), &Overrides::default()));
        let known = config.transpose()?.map(|it| it.known_to_rules());
        Rules::load(&self.rules, known, Moment(0)).map_err(CliError::Rules)
    }
}

fn test(args: &TestArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let rules = args.files.load()?;
    let until = args.until.as_deref().map(time).transpose()?;
    let mut timeline = Timeline::new(&rules);
    let mut print = |verdict: &Json| match args.json {
        true => writeln!(out, "{verdict}").map_err(CliError::from),
        false => timeline::print(verdict, out),
    };
    for event in given(args)? {
        let topic = args.topic.clone().or_else(|| {
            let topic = event.extension_text("mqtttopic");
            topic.map(|it| it.into_owned())
        });
        print(&timeline.publish(&event, topic.as_deref()))?;
    }
    if let Some(until) = until {
        print(&timeline.run_until(until))?;
    }
    Ok(())
}

/// The events to be tried.
fn given(args: &TestArgs) -> Result<Vec<Event>, CliError> {
    if let (Some(path), Some(content_type)) = (&args.payload, &args.content_type) {
        let event = timeline::event_of(read(path)?, content_type);
        return Ok(vec![event.map_err(|it| invalid(it.to_string()))?]);
    }
    let path = args.event.as_deref().unwrap_or(Path::new("-"));
    events(&read(path)?)
}

/// One event, however many lines it has, or one on each line.
fn events(bytes: &[u8]) -> Result<Vec<Event>, CliError> {
    if let Ok(event) = filters::json::decode(bytes) {
        return Ok(vec![event]);
    }
    let lines = bytes.split(|it| *it == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines
        .map(|(number, line)| {
            let event = filters::json::decode(line);
            event.map_err(|error| invalid(format!("event on line {}: {error}", number + 1)))
        })
        .collect()
}

fn eval(args: &EvalArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let event = match &args.event {
        Some(path) => {
            let event = filters::json::decode(&read(path)?);
            event.map_err(|error| invalid(format!("{}: {error}", path.display())))?
        }
        None => Event::builder("1", "/", "example")
            .build()
            .map_err(|it| invalid(it.to_string()))?,
    };
    let (value, error) = match cesql::Expression::parse(&args.expression) {
        Ok(expression) => {
            let evaluation = expression.evaluate(&event);
            let value = match &evaluation.value {
                cesql::Value::Boolean(value) => json!(value),
                cesql::Value::Integer(value) => json!(value),
                cesql::Value::String(value) => json!(value),
            };
            let error = evaluation.error;
            (value, error.map(|it| (it.class().as_str(), it.to_string())))
        }
        Err(error) => (Json::Null, Some(("parse", error.to_string()))),
    };
    if args.json {
        let class = error.map(|it| it.0);
        return table::json(&json!({"value": value, "error": class}), out);
    }
    writeln!(out, "{value}")?;
    if let Some((class, message)) = error {
        writeln!(out, "{class} error: {message}")?;
    }
    Ok(())
}

fn reload(data: &DataDir, out: &mut dyn Write) -> Result<(), CliError> {
    let address = Endpoints::read(&data.data)?.http;
    let ReloadAnswer { rules } = client::post(address, "/api/v1/rules/reload", &json!({}))?;
    writeln!(out, "{rules} rules are in use")?;
    Ok(())
}

fn explain(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let rules = args.files.load()?;
    let explained = (0..).zip(&rules.definitions).map(|(id, definition)| {
        let explanation = rules.set.index().explain(filters::index::RuleId(id));
        (definition.name.as_str(), explanation)
    });
    let mut rows = Table::new(&["rule", "found by", "bytes"]);
    let mut objects = Vec::new();
    for (name, explanation) in explained {
        let (access, bytes) = explanation.map_or((Vec::new(), 0), |it| (it.access, it.bytes));
        let words = access
            .iter()
            .map(|it| it.as_deref().unwrap_or(ASKED_ALWAYS));
        let words: Vec<&str> = words.collect();
        rows.row([name.to_owned(), words.join(" | "), bytes.to_string()]);
        objects.push(json!({"rule": name, "access": access, "bytes": bytes}));
    }
    match args.json {
        true => table::json(&objects, out),
        false => rows.print(out),
    }
}

const ASKED_ALWAYS: &str =
    "nothing: it is asked about every event, since no condition of it can be looked up";

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| invalid(format!("cannot read {}: {error}", path.display())))
}

fn time(text: &str) -> Result<i64, CliError> {
    let millis = filters::timestamp_millis(text);
    millis.ok_or_else(|| {
        invalid(format!(
            "--until: `{text}` is no time; accepted: RFC 3339, such as 2026-11-21T10:00:00Z"
        ))
    })
}

fn invalid(what: impl Into<String>) -> CliError {
    CliError::Invalid { what: what.into() }
}
