//! `edge-node status`: what a running node says of itself.

use std::io::Write;

use clap::Args;

use super::{
    CliError, DataDir, client,
    table::{self, Table, maybe_time, size, time},
};
use crate::{
    endpoints::Endpoints,
    node::status::{
        DecodersStatus, LaneStatus, LossStatus, NodeHealth, NodeStatus, ReplayStatus, RuleStatus,
        SinkStatus,
    },
};

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    data: DataDir,
    /// Address of the node's HTTP door, instead of finding it by its data directory
    #[arg(long, value_name = "ADDR", conflicts_with = "data")]
    http: Option<std::net::SocketAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn status(args: &StatusArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let address = match args.http {
        Some(address) => address,
        None => Endpoints::read(&args.data.data)?.http,
    };
    let status: NodeStatus = client::get(address, "/api/v1/status")?;
    if args.json {
        return table::json(&status, out);
    }
    print(&status, out)
}

fn print(status: &NodeStatus, out: &mut dyn Write) -> Result<(), CliError> {
    let (health, reasons) = match &status.health {
        NodeHealth::Ok => ("ok", &[][..]),
        NodeHealth::Degraded { reasons } => ("degraded", reasons.as_slice()),
        NodeHealth::Failing { reasons } => ("FAILING", reasons.as_slice()),
        NodeHealth::Stopped => ("stopped", &[][..]),
    };
    let (node, version, uptime) = (&status.node, &status.version, time(status.uptime_ms));
    writeln!(
        out,
        "node {node} is {health}; version {version}, up {uptime}"
    )?;
    for reason in reasons {
        writeln!(out, "  {reason}")?;
    }

    let mut listeners = Table::new(&["listener", "address", "connections"]);
    for it in &status.listeners {
        listeners.row([
            it.door.name().to_owned(),
            it.address.to_string(),
            it.connections.to_string(),
        ]);
    }
    listeners.print(out)?;

    let spool = &status.spool;
    let (used, bound, free) = (
        size(spool.used_bytes),
        size(spool.bound_bytes),
        size(spool.free_bytes),
    );
    writeln!(
        out,
        "\nspool {used} of {bound}, {free} free on the disk; committed up to {}",
        spool.committed
    )?;
    lanes(&spool.lanes, out)?;
    if status.sinks.is_empty() {
        writeln!(
            out,
            "\nno uplink is configured: events stay in the spool for one to come, and make room oldest first"
        )?;
    }
    sinks(&status.sinks, out)?;
    rules(&status.rules, out)?;
    decoders(&status.decoders, out)?;
    ledger(&status.ledger, out)
}

fn lanes(lanes: &[LaneStatus], out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = Table::new(&["lane", "pending", "bytes", "bound", "oldest", ""]);
    for lane in lanes {
        let full = if lane.full { "full" } else { "" };
        table.row([
            lane.name.clone(),
            lane.pending_records.to_string(),
            size(lane.pending_bytes),
            size(lane.bound_bytes),
            maybe_time(lane.oldest_age_ms),
            full.to_owned(),
        ]);
    }
    table.print(out)
}

fn sinks(sinks: &[SinkStatus], out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = Table::new(&[
        "sink",
        "state",
        "pending",
        "bytes",
        "acknowledged",
        "next try",
        "catch-up",
        "last error",
    ]);
    for sink in sinks {
        let error = sink.last_error.as_ref();
        table.row([
            sink.name.clone(),
            sink.state.name().to_owned(),
            sink.pending_records.to_string(),
            size(sink.pending_bytes),
            sink.acknowledged.to_string(),
            maybe_time(sink.next_retry_ms),
            maybe_time(sink.catch_up_ms),
            error.map_or_else(
                || "-".to_owned(),
                |error| format!("{} ({} ago)", error.error, time(error.age_ms)),
            ),
        ]);
    }
    table.print(out)?;
    dead_letters(sinks, out)?;
    replays(sinks, out)
}

fn dead_letters(sinks: &[SinkStatus], out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = Table::new(&["dead letters", "kept", "bytes"]);
    for sink in sinks.iter().filter(|sink| sink.dead_letters > 0) {
        table.row([
            sink.name.clone(),
            sink.dead_letters.to_string(),
            size(sink.dead_letter_bytes),
        ]);
    }
    table.print(out)
}

fn replays(sinks: &[SinkStatus], out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = Table::new(&["replay", "from", "to", "done up to", "sent", "refused", ""]);
    for sink in sinks {
        let Some(replay) = &sink.replay else { continue };
        let state = match replay {
            ReplayStatus { done: true, .. } => "done",
            ReplayStatus { stopped: true, .. } => "stopped",
            _ => "running",
        };
        table.row([
            sink.name.clone(),
            replay.first.to_string(),
            replay.last.to_string(),
            replay.up_to.to_string(),
            replay.sent.to_string(),
            replay.refused.to_string(),
            state.to_owned(),
        ]);
    }
    table.print(out)
}

fn rules(rules: &[RuleStatus], out: &mut dyn Write) -> Result<(), CliError> {
    if rules.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["rule", "matched", "dropped", "errors"]);
    for rule in rules {
        let counts = [rule.matched, rule.dropped, rule.errors].map(|it| it.to_string());
        let [matched, dropped, errors] = counts;
        table.row([rule.name.clone(), matched, dropped, errors]);
    }
    table.print(out)?;
    stages(rules, out)
}

fn stages(rules: &[RuleStatus], out: &mut dyn Write) -> Result<(), CliError> {
    if rules.iter().all(|it| it.stages.is_empty()) {
        return Ok(());
    }
    let mut table = Table::new(&["stage", "keys", "bytes", "forgotten", "late", "invalid"]);
    for rule in rules {
        for stage in &rule.stages {
            table.row([
                format!("{}/{} {}", rule.name, stage.step, stage.stage),
                stage.keys.to_string(),
                size(stage.bytes),
                stage.forgotten.to_string(),
                stage.late.to_string(),
                stage.invalid.to_string(),
            ]);
        }
    }
    table.print(out)
}

fn decoders(decoders: &DecodersStatus, out: &mut dyn Write) -> Result<(), CliError> {
    let sparkplug = &decoders.sparkplug;
    let counts = [
        ("Sparkplug: stale death", sparkplug.stale_deaths),
        ("Sparkplug: gap of seq", sparkplug.gaps),
        ("Sparkplug: unknown alias", sparkplug.unknown_aliases),
        ("Sparkplug: no birth", sparkplug.unborn),
        ("Sparkplug: birth forgotten", sparkplug.forgotten),
        ("Sparkplug: asked for rebirth", sparkplug.rebirths),
    ];
    let mut table = Table::new(&["decoders", "times"]);
    for (format, count) in &decoders.undecoded {
        table.row([format!("not decoded: {format}"), count.to_string()]);
    }
    for (what, count) in counts.into_iter().filter(|it| it.1 > 0) {
        table.row([what.to_owned(), count.to_string()]);
    }
    table.print(out)
}

pub(super) fn ledger(ledger: &[LossStatus], out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = Table::new(&["lost", "whose", "records", "bytes", "positions", "when"]);
    for loss in ledger {
        table.row([
            loss.reason.clone(),
            loss.scope.clone(),
            loss.count.to_string(),
            size(loss.bytes),
            format!("{}-{}", loss.first, loss.last),
            format!("{} ago", time(loss.age_ms)),
        ]);
    }
    table.print(out)
}
