//! Why a command was not done.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode};

use crate::{
    bench::BenchError, config::ConfigError, demo::DemoError, endpoints::EndpointsError,
    logging::LogLevelError, run::node::RunError,
};

/// Why a command was not done, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is wrong: mend the file or the flag it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A rule file is wrong: mend what it names.
    #[error("{0}")]
    Rules(ConfigError),
    /// What rules were to be tried on is no event, or not there.
    #[error("{what}")]
    Invalid {
        /// What, and what is wrong with it.
        what: String,
    },
    /// The node did not start or did not end well.
    #[error(transparent)]
    Run(#[from] RunError),
    /// `EDGE_LOG` is no level.
    #[error("EDGE_LOG: {0}")]
    LogLevel(#[from] LogLevelError),
    /// No running node was found by its data directory.
    #[error(transparent)]
    Endpoints(#[from] EndpointsError),
    /// The node that wrote its address does not answer there.
    #[error("the node at {address} does not answer: {source}; is it still running?")]
    NoAnswer {
        /// Where it said it listens.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// What answers is no node, or one of another version.
    #[error("what answers at {address} is not understood: {what}")]
    Answer {
        /// Where it listens.
        address: SocketAddr,
        /// What is wrong with the answer.
        what: String,
    },
    /// The node refused.
    #[error("the node refused: {error}")]
    Refused {
        /// What it said.
        error: String,
    },
    /// The log cannot be opened.
    #[error("cannot read the log in {}: {source}", data.display())]
    Open {
        /// The data directory.
        data: PathBuf,
        /// What the spool said.
        source: spool::OpenError,
    },
    /// The log cannot be read.
    #[error("cannot read the log in {}: {source}", data.display())]
    Read {
        /// The data directory.
        data: PathBuf,
        /// What the spool said.
        source: spool::StorageError,
    },
    /// The log knows no sink of this name.
    #[error("the log in {} has no dead letters of a sink `{sink}`: {}", data.display(), known(names))]
    NoSuchSink {
        /// The data directory.
        data: PathBuf,
        /// As asked for.
        sink: String,
        /// The sinks it knows.
        names: Vec<String>,
    },
    /// The log has faults; each was shown.
    #[error(
        "the log in {} has {faults} faults; the node goes around them and enters them in the ledger",
        data.display()
    )]
    Faults {
        /// The data directory.
        data: PathBuf,
        /// How many.
        faults: u64,
    },
    /// There is nothing to show of a load that was asked for.
    #[error("bench: {0}")]
    Bench(BenchError),
    /// The demo did not show that nothing is lost.
    #[error("demo: {0}")]
    Demo(#[from] DemoError),
    /// Standard output does not take the result.
    #[error("cannot write the result: {0}")]
    Output(#[from] io::Error),
}

fn known(names: &[String]) -> String {
    if names.is_empty() {
        return "it knows no sink".to_owned();
    }
    format!("it knows {}", names.join(", "))
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Output(error) => Self::Output(error),
            error => Self::Bench(error),
        }
    }
}

impl CliError {
    /// The exit status of a process that ends with it.
    pub(super) fn status(&self) -> ExitCode {
        match self {
            CliError::Rules(_) | CliError::Invalid { .. } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    /// Whether the reader of standard output left, as `head` does: no fault.
    pub(super) fn is_reader_gone(&self) -> bool {
        matches!(self, CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
