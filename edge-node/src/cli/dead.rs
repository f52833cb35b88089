//! `edge-node dead`: what sinks could not deliver.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    sync::Arc,
};

use clap::{Args, Subcommand};
use serde::Serialize;
use spool::{Entry, ReadLimits, Seq, inspect::Inspection};

use super::{CliError, DataDir, client};
use crate::{
    broker::dead_cursor,
    config::UplinkName,
    endpoints::Endpoints,
    node::{
        dead::{DeadAnswer, DeadFate, DeadRequest, dead_letter},
        view,
    },
};

/// Read at one time.
const STEP: ReadLimits = ReadLimits {
    records: 1_024,
    bytes: 1 << 20,
    lanes: u32::MAX,
};

#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// Print the dead letters of a sink, one JSON object a line
    List(Of),
    /// Have a running node send them again
    Retry(Of),
    /// Have a running node give them up
    Drop(Of),
}

#[derive(Args, Debug)]
pub(super) struct Of {
    #[command(flatten)]
    data: DataDir,
    /// Name of the sink
    name: UplinkName,
}

pub(super) fn execute(command: &DeadCommand, out: &mut dyn Write) -> Result<(), CliError> {
    match command {
        DeadCommand::List(of) => list(of, out),
        DeadCommand::Retry(of) => {
            let DeadAnswer { sink, records } = settle(of, DeadFate::Retry)?;
            writeln!(out, "{records} dead letters are sent to {sink} again")?;
            Ok(())
        }
        DeadCommand::Drop(of) => {
            let DeadAnswer { sink, records } = settle(of, DeadFate::Drop)?;
            writeln!(
                out,
                "{records} dead letters of {sink} are given up; they are in the ledger of `edge-node status`"
            )?;
            Ok(())
        }
    }
}

fn settle(of: &Of, fate: DeadFate) -> Result<DeadAnswer, CliError> {
    let address = Endpoints::read(&of.data.data)?.http;
    let path = format!("/api/v1/sinks/{}/dead-letters", of.name.as_str());
    client::post(address, &path, &DeadRequest { fate })
}

/// One line of a list.
#[derive(Serialize)]
struct Listed<'a> {
    /// Where the event stood in the log.
    position: u64,
    /// When it was put aside.
    died: String,
    reason: &'a str,
    tries: u32,
    topic: &'a str,
    event: &'a serde_json::value::RawValue,
}

fn list(of: &Of, out: &mut dyn Write) -> Result<(), CliError> {
    let inspection = of.data.open()?;
    let sink = of.name.as_str();
    let unreadable = |source| of.data.unreadable(source);
    let mut out = io::BufWriter::new(out);
    let mut after = Seq::ZERO;
    loop {
        let batch = inspection.read(&dead_cursor(sink), after, STEP);
        let batch = batch.map_err(unreadable)?;
        let batch = batch.ok_or_else(|| no_such_sink(of, &inspection))?;
        for entry in &batch.entries {
            list_one(sink, entry, &mut out)?;
        }
        if batch.at_end {
            return Ok(out.flush()?);
        }
        if batch.next <= after {
            break;
        }
        after = batch.next;
    }
    // A cursor gives only so many ahead of the first. Orders are carried out from the first on: the others are all kept.
    let mut written = Ok(());
    let rest = Seq(after.0.saturating_add(1));
    let read = inspection.scan(rest, &mut |entry| {
        written = list_one(sink, entry, &mut out);
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    written?;
    out.flush()?;
    read.map_err(unreadable)
}

fn no_such_sink(of: &Of, inspection: &Inspection) -> CliError {
    let prefix = dead_cursor("");
    let cursors = inspection.status().cursors;
    let names = cursors
        .iter()
        .filter_map(|it| it.name.strip_prefix(&prefix));
    CliError::NoSuchSink {
        data: of.data.data.clone(),
        sink: of.name.as_str().to_owned(),
        names: names.map(str::to_owned).collect(),
    }
}

fn list_one(sink: &str, entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let Some(dead) = dead_letter(entry).filter(|dead| dead.sink == sink) else {
        return Ok(());
    };
    let buried = Entry {
        body: Arc::from(dead.body),
        ..entry.clone()
    };
    let Some(seen) = view::event(&buried) else {
        return Ok(());
    };
    let event = filters::json::encode(&seen.event);
    let line = Listed {
        position: dead.seq.0,
        died: filters::timestamp_text(entry.time.0),
        reason: dead.reason,
        tries: dead.tries,
        topic: &seen.topic,
        event: serde_json::from_slice(&event).expect("an encoded event is JSON"),
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

#[cfg(test)]
mod tests;
