//! `edge-node bench`: a load generator for any MQTT broker, on one thread.
//!
//! ```text
//!  publisher ×clients ──PUBLISH──▶ broker ──PUBLISH──▶ subscriber (optional, clean session, QoS 1)
//!      ▲                             │
//!      └──── PUBACK, PUBCOMP ────────┘   the next PUBLISH leaves when one is acknowledged
//! ```
//!
//! Each publisher keeps `inflight` messages unacknowledged. Latency is measured from the write of a PUBLISH to the read
//! of its last acknowledgement. With `--vs` both brokers are measured in turn, and medians are compared: a machine that
//! is slow for a while is slow for both. What is printed holds for the machine and the run that printed it.

mod cpu;
mod flush;
mod histogram;
pub(crate) mod link;
mod publisher;
mod report;
mod run;
mod subscriber;
mod table;
#[cfg(test)]
mod tests;

use clap::Args;
use report::Comparison;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The most that may be in flight at once, payloads only.
const MOST_IN_FLIGHT_BYTES: u64 = 1024 * 1024 * 1024;

/// What [`BenchArgs::patience`] is.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to measure, and how hard.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// The broker to measure
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883")]
    pub addr: String,
    /// Publishing connections
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: u32,
    /// Unacknowledged messages of each connection
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub inflight: u16,
    /// Bytes of each payload
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    pub size: u32,
    /// Send readings in JSON, as devices do, in place of bytes without a meaning
    #[arg(long)]
    pub readings: bool,
    /// Quality of service of the publishers: 0, 1 or 2
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// Seconds of each run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub secs: u32,
    /// Measure a second broker too, in turn with the first
    #[arg(long, value_name = "HOST:PORT")]
    pub vs: Option<String>,
    /// Runs of each broker; medians are shown. Default: 3 with --vs, else 1
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Add a subscriber at QoS 1 that receives everything
    #[arg(long)]
    pub subscriber: bool,
    /// Measure what one flush costs in this directory, before and after each round
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How long a broker may take for what is due when a run ends: the last acknowledgements, then the last deliveries. No
    /// argument
    #[arg(skip = PATIENCE)]
    pub patience: Duration,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The broker cannot be reached, or does not let the load generator in. Nothing was measured.
    #[error("cannot connect to {addr}: {reason}")]
    Connect {
        /// As given.
        addr: String,
        /// What went wrong.
        reason: String,
    },
    /// Not one message was acknowledged.
    #[error("{addr} acknowledged nothing: {reason}")]
    Nothing {
        /// As given.
        addr: String,
        /// What a connection ended with, if one did.
        reason: String,
    },
    /// More would be in flight than the load generator holds in memory.
    #[error("clients × inflight × size is {bytes} bytes; the limit is {MOST_IN_FLIGHT_BYTES}")]
    TooMuch {
        /// As asked for.
        bytes: u64,
    },
    /// A flush cannot be measured in the directory.
    #[error("cannot measure a flush in {}: {source}", dir.display())]
    Flush {
        /// As given.
        dir: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The system gives the load generator not what it needs to run at all.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// The output does not take the result.
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
}

/// Measures as `args` say, and writes the result to `out`: a table, or JSON. Takes `rounds` × `secs` for each broker, and
/// up to twice `patience` more for each run when a broker stops answering.
pub fn run(args: &BenchArgs, out: &mut dyn Write) -> Result<(), BenchError> {
    let bytes = u64::from(args.clients) * u64::from(args.inflight) * u64::from(args.size);
    if bytes > MOST_IN_FLIGHT_BYTES {
        return Err(BenchError::TooMuch { bytes });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::Start)?;
    let rounds = args.rounds.unwrap_or(if args.vs.is_some() { 3 } else { 1 });
    let mut comparison = Comparison::new(args);
    for _ in 0..rounds {
        comparison.flushes.extend(flushes(args)?);
        comparison
            .runs
            .push(runtime.block_on(run::run(args, &args.addr))?);
        if let Some(vs) = &args.vs {
            comparison
                .vs_runs
                .push(runtime.block_on(run::run(args, vs))?);
        }
        comparison.flushes.extend(flushes(args)?);
    }
    let report = comparison.report();
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}

fn flushes(args: &BenchArgs) -> Result<Vec<Duration>, BenchError> {
    let Some(dir) = &args.data else {
        return Ok(Vec::new());
    };
    flush::measure(dir).map_err(|source| BenchError::Flush {
        dir: dir.clone(),
        source,
    })
}
