//! The command line: `edge-node run`, `check`, `spool`, `status` and the rest.
//!
//! Results go to standard output, as tables or, with `--json`, for machines; the log and errors go to standard error.
//! An error is one line that says what, where, and how to mend it. Exit status: 0 done, 1 not done, 2 wrong usage, or rules or events that are none.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;

use crate::{
    bench::{self, BenchArgs},
    config::{Config, ConfigError, Overrides, defaults},
    demo::{self, DemoArgs},
    jq,
    logging::{self, LogLevel},
    run,
};

mod check;
pub(crate) mod client;
mod completions;
mod dead;
mod device;
mod error;
mod node;
mod rules;
mod sink;
mod spool;
mod table;
mod tail;

pub use error::CliError;

/// The outermost node of an event mesh: MQTT in, durable CloudEvents, the mesh out.
///
/// Without a command: a node with the defaults.
#[derive(Debug, Parser)]
#[command(name = "edge-node", version)]
pub struct Cli {
    /// Least important lines to log: error, warn, info, debug or trace [env: EDGE_LOG] [default: info]
    #[arg(long, value_name = "LEVEL", global = true)]
    log: Option<LogLevel>,
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node until SIGTERM or Ctrl-C
    Run(RunArgs),
    /// Check a configuration file and show what it comes to
    Check(check::CheckArgs),
    /// Look into the log of a node, running or not, or have it sent again
    #[command(subcommand)]
    Spool(spool::SpoolCommand),
    /// Look after the places events go to
    #[command(subcommand)]
    Sink(sink::SinkCommand),
    /// Look after what sinks could not deliver
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Look after the microcontrollers that publish in the compact format
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Check rules and try them on events
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Show how a running node is
    Status(node::StatusArgs),
    /// Show events as they pass a running node, with what its rules make of them
    Tail(tail::TailArgs),
    /// See it work: a link to the mesh is cut, a node is killed, and nothing acknowledged is lost
    Demo(DemoArgs),
    /// Measure an MQTT broker under load, this one or any other
    Bench(BenchArgs),
    /// Run jq programs for a node, which starts this by itself
    #[command(name = jq::COMMAND, hide = true)]
    JqWorker,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
struct RunArgs {
    /// Configuration file; without one, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// What wins over the file.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
struct Flags {
    /// Data directory [default: ./edge-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen for MQTT, port 0 picks one [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDR")]
    mqtt: Option<std::net::SocketAddr>,
    /// Where to listen for HTTP, port 0 picks one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<std::net::SocketAddr>,
    /// Where to listen for EventMesh over gRPC, port 0 picks one [default: 127.0.0.1:10205]
    #[arg(long, value_name = "ADDR")]
    grpc: Option<std::net::SocketAddr>,
}

impl Flags {
    fn overrides(&self) -> Overrides {
        Overrides {
            data: self.data.clone(),
            mqtt: self.mqtt,
            http: self.http,
            grpc: self.grpc,
        }
    }
}

impl RunArgs {
    fn config(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &self.flags.overrides())
    }
}

/// The data directory of a node.
#[derive(Args, Clone, Debug)]
struct DataDir {
    /// Data directory of the node
    #[arg(long, value_name = "DIR", default_value = defaults::DATA)]
    data: PathBuf,
}

/// Does what the arguments of this process say. Wrong usage ends the process with status 2.
pub fn main() -> ExitCode {
    let cli = match Cli::parse().check() {
        Ok(cli) => cli,
        Err(misplaced) => misplaced.exit(),
    };
    let result = logging::start(cli.log)
        .map_err(CliError::from)
        .and_then(|()| cli.execute(&mut io::stdout()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_reader_gone() => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "edge-node: {error}"); // nobody reads: the exit status still tells
            error.status()
        }
    }
}

impl Cli {
    /// Refuses flags of `run` before another command, which would do nothing.
    fn check(self) -> Result<Cli, clap::Error> {
        if self.command.is_some() && self.run != RunArgs::default() {
            let what = "flags of a node stand behind `run`, or alone without a command";
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, what));
        }
        Ok(self)
    }

    fn execute(self, out: &mut dyn Write) -> Result<(), CliError> {
        match self.command {
            None => Ok(run::node::run(&self.run.config()?)?),
            Some(Command::Run(args)) => Ok(run::node::run(&args.config()?)?),
            Some(Command::Check(args)) => check::check(&args, out),
            Some(Command::Spool(command)) => spool::execute(&command, out),
            Some(Command::Sink(command)) => sink::execute(&command, out),
            Some(Command::Dead(command)) => dead::execute(&command, out),
            Some(Command::Device(command)) => device::execute(&command, out),
            Some(Command::Rules(command)) => rules::execute(&command, out),
            Some(Command::Status(args)) => node::status(&args, out),
            Some(Command::Tail(args)) => tail::tail(&args, out),
            Some(Command::Demo(args)) => Ok(demo::run(&args, out)?),
            Some(Command::Bench(args)) => Ok(bench::run(&args, out)?),
            Some(Command::JqWorker) => Ok(jq::work(io::stdin().lock(), out)?),
            Some(Command::Completions { shell }) => {
                Ok(out.write_all(completions::script(shell).as_bytes())?)
            }
        }
    }
}

#[cfg(test)]
mod tests;
