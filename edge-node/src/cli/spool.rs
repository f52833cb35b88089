//! `edge-node spool`: the log of a node, running or not.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    time::SystemTime,
};

use clap::{Args, Subcommand};
use serde::Serialize;
use spool::{CursorStatus, Entry, Lane, LaneStatus, NodeTime, Seq, Status, inspect};

use super::{
    CliError, DataDir, client,
    node::ledger,
    table::{self, Table, maybe_time, size},
};
use crate::{
    config::UplinkName,
    endpoints::Endpoints,
    lane_names,
    node::{
        replay::{Moment, ReplayAnswer, ReplayRequest},
        status::{LossStatus, age_ms},
        view,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum SpoolCommand {
    /// Show what is kept and for whom
    Status(Inspect),
    /// Check every frame of the log; exit status 1 if one is damaged
    Verify(Inspect),
    /// Print the events kept, one JSON object a line
    Export(Export),
    /// Have a running node give a sink again what it had, or stop doing that
    Replay(Replay),
}

#[derive(Args, Debug)]
pub(super) struct Inspect {
    #[command(flatten)]
    data: DataDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Export {
    #[command(flatten)]
    data: DataDir,
    /// First position, or time (2026-11-21T06:00:00Z); default: the oldest kept
    #[arg(long, value_name = "TIME|POSITION")]
    from: Option<Moment>,
    /// Last position, or time; default: the newest
    #[arg(long, value_name = "TIME|POSITION")]
    to: Option<Moment>,
}

#[derive(Args, Debug)]
pub(super) struct Replay {
    #[command(flatten)]
    data: DataDir,
    /// Name of the sink
    #[arg(long, value_name = "NAME")]
    sink: UplinkName,
    /// First position, or time (2026-11-21T06:00:00Z)
    #[arg(long, value_name = "TIME|POSITION", required_unless_present = "stop")]
    from: Option<Moment>,
    /// Last position, or time; default: the newest
    #[arg(long, value_name = "TIME|POSITION")]
    to: Option<Moment>,
    /// Give it no more of what an earlier `replay` ordered
    #[arg(long, conflicts_with_all = ["from", "to", "json"])]
    stop: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(command: &SpoolCommand, out: &mut dyn Write) -> Result<(), CliError> {
    match command {
        SpoolCommand::Status(args) => status(args, out),
        SpoolCommand::Verify(args) => verify(args, out),
        SpoolCommand::Export(args) => export(args, out),
        SpoolCommand::Replay(args) => replay(args, out),
    }
}

/// What lies on the disk. Its bounds are the running node's to say: `edge-node status`.
#[derive(Serialize)]
struct Kept {
    oldest: u64,
    committed: u64,
    used_bytes: u64,
    segments: u64,
    lanes: Vec<KeptLane>,
    cursors: Vec<CursorStatus>,
    ledger: Vec<LossStatus>,
}

#[derive(Serialize)]
struct KeptLane {
    /// 0 is the lane kept longest.
    lane: usize,
    /// Its number where no node has noted its name.
    name: String,
    pending_records: u64,
    pending_bytes: u64,
    oldest_age_ms: Option<u64>,
}

impl Kept {
    fn of(status: Status, now: NodeTime) -> Kept {
        let lane = |(index, lane): (usize, LaneStatus)| KeptLane {
            lane: index,
            name: lane.name,
            pending_records: lane.pending_records,
            pending_bytes: lane.pending_bytes,
            oldest_age_ms: lane.oldest.map(|oldest| age_ms(oldest, now)),
        };
        Kept {
            oldest: status.oldest.0,
            committed: status.committed.0,
            used_bytes: status.used_bytes,
            segments: status.segments,
            lanes: status.lanes.into_iter().enumerate().map(lane).collect(),
            cursors: status.cursors,
            ledger: status
                .ledger
                .iter()
                .map(|loss| LossStatus::of(loss, now))
                .collect(),
        }
    }
}

fn status(args: &Inspect, out: &mut dyn Write) -> Result<(), CliError> {
    let kept = Kept::of(args.data.open()?.status(), wall_clock());
    if args.json {
        return table::json(&kept, out);
    }
    let (used, segments) = (size(kept.used_bytes), kept.segments);
    writeln!(
        out,
        "positions {} to {}, {used} in {segments} segments",
        kept.oldest, kept.committed
    )?;
    let mut lanes = Table::new(&["lane", "pending", "bytes", "oldest"]);
    for lane in &kept.lanes {
        lanes.row([
            lane.name.clone(),
            lane.pending_records.to_string(),
            size(lane.pending_bytes),
            maybe_time(lane.oldest_age_ms),
        ]);
    }
    lanes.print(out)?;
    let mut cursors = Table::new(&["cursor", "up to", "pending", "bytes", "acknowledged"]);
    for cursor in &kept.cursors {
        cursors.row([
            cursor.name.clone(),
            cursor.low.0.to_string(),
            cursor.pending_records.to_string(),
            size(cursor.pending_bytes),
            cursor.acknowledged_records.to_string(),
        ]);
    }
    cursors.print(out)?;
    ledger(&kept.ledger, out)
}

fn verify(args: &Inspect, out: &mut dyn Write) -> Result<(), CliError> {
    let inspection = args.data.open()?;
    let mut shown = Ok(());
    let verified = inspection.verify(&mut |fault| {
        if shown.is_ok() && !args.json {
            shown = writeln!(out, "{fault}");
        }
    });
    let verified = verified.map_err(|source| args.data.unreadable(source))?;
    shown?;
    if args.json {
        table::json(&verified, out)?;
    } else {
        let inspect::Verified {
            segments,
            frames,
            records,
            faults,
        } = &verified;
        writeln!(
            out,
            "{records} records in {frames} frames in {segments} segments: {faults} faults"
        )?;
    }
    match verified.faults {
        0 => Ok(()),
        faults => Err(CliError::Faults {
            data: args.data.data.clone(),
            faults,
        }),
    }
}

/// One line of an export.
#[derive(Serialize)]
struct Exported<'a> {
    position: u64,
    /// When the node took it.
    taken: String,
    topic: &'a str,
    event: &'a serde_json::value::RawValue,
}

fn export(args: &Export, out: &mut dyn Write) -> Result<(), CliError> {
    let inspection = args.data.open()?;
    let first = match args.from {
        Some(Moment::Position(position)) => position,
        Some(Moment::Time(_)) | None => Seq(1),
    };
    let mut out = io::BufWriter::new(out);
    let mut written = Ok(());
    let read = inspection.scan(first, &mut |entry| {
        if let Some(Moment::Time(from)) = args.from
            && entry.time < from
        {
            return ControlFlow::Continue(());
        }
        // Times on the node clock only advance, so nothing behind the first record after the end is within it.
        match args.to {
            Some(Moment::Position(last)) if entry.seq > last => return ControlFlow::Break(()),
            Some(Moment::Time(last)) if entry.time > last => return ControlFlow::Break(()),
            _ => {}
        }
        written = export_one(entry, &mut out);
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    written?;
    out.flush()?;
    read.map_err(|source| args.data.unreadable(source))
}

fn export_one(entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let Some(seen) = view::event(entry) else {
        return Ok(());
    };
    let event = filters::json::encode(&seen.event);
    let line = Exported {
        position: entry.seq.0,
        taken: filters::timestamp_text(entry.time.0),
        topic: &seen.topic,
        event: serde_json::from_slice(&event).expect("an encoded event is JSON"),
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

fn replay(args: &Replay, out: &mut dyn Write) -> Result<(), CliError> {
    let address = Endpoints::read(&args.data.data)?.http;
    let sink = args.sink.as_str();
    let Some(from) = args.from else {
        client::delete(address, &format!("/api/v1/replay/{sink}"))?;
        writeln!(
            out,
            "{sink} is given no more again; `edge-node status` shows how far it was"
        )?;
        return Ok(());
    };
    let request = ReplayRequest {
        sink: sink.to_owned(),
        from,
        to: args.to,
    };
    let answer: ReplayAnswer = client::post(address, "/api/v1/replay", &request)?;
    if args.json {
        return table::json(&answer, out);
    }
    let ReplayAnswer {
        sink,
        first,
        last,
        kept_from,
    } = answer;
    writeln!(
        out,
        "{sink} is given the positions {first} to {last} again; `edge-node status` shows how far it is, and the same \
         command with --stop in place of --from and --to ends it"
    )?;
    if let Some(oldest) = kept_from {
        writeln!(
            out,
            "no event is kept from before position {oldest}: what is freed cannot be given again"
        )?;
    }
    Ok(())
}

impl DataDir {
    pub(super) fn open(&self) -> Result<inspect::Inspection, CliError> {
        let data = &self.data;
        let lanes = lane_names::read(data)
            .unwrap_or_else(|| (0..Lane::MOST).map(|lane| lane.to_string()).collect());
        inspect::open(data, &lanes).map_err(|source| CliError::Open {
            data: data.clone(),
            source,
        })
    }

    pub(super) fn unreadable(&self, source: spool::StorageError) -> CliError {
        CliError::Read {
            data: self.data.clone(),
            source,
        }
    }
}

/// The node clock of a node that is not asked: near enough for ages.
fn wall_clock() -> NodeTime {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since_1970.unwrap_or_default().as_millis();
    NodeTime(u64::try_from(millis).unwrap_or(u64::MAX))
}
