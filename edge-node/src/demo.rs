//! `edge-node demo`: the first promise of a node, to look at. What a node acknowledged is never lost.
//!
//! ```text
//!  sensors ──MQTT──▶ node ══ link ══▶ hub ──MQTT──▶ receiver
//!     │              kill -9   cut                     │
//!     └── acknowledged ──────▶ tally ◀──── delivered ──┘
//! ```
//!
//! Node and hub are processes of this program, each with a data directory in one temporary folder and with ports the
//! system picks. The link is a relay in this process: cut, it breaks what goes through it and lets nobody in. All is
//! ended and removed when the demo ends, also by Ctrl-C; only `kill -9` of the demo itself leaves them running.

mod process;
mod receiver;
mod relay;
mod screen;
mod script;
mod sensor;
mod stage;
mod tally;

use std::{io, path::PathBuf, time::Duration};

use clap::Args;

/// How to play it.
#[derive(Args, Clone, Copy, Debug)]
pub struct DemoArgs {
    /// Seconds it takes, about; the last fifth is for the node to catch up, and may become longer
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(3..=600))]
    pub seconds: u32,
}

/// Why the demo did not show that nothing is lost. Both processes are ended in every case.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Acknowledged events did not reach the hub; data and logs are kept.
    #[error("{lost} acknowledged events did not arrive; data and logs are kept in {}", kept.display())]
    Lost {
        /// How many.
        lost: usize,
        /// The folder with data and logs.
        kept: PathBuf,
    },
    /// Not one event was acknowledged, so nothing was shown.
    #[error("no event was acknowledged; data and logs are kept in {}", kept.display())]
    Nothing {
        /// The folder with data and logs.
        kept: PathBuf,
    },
    /// Node or hub ended by itself, or did not become ready.
    #[error("the {who} {what}; its last line: {line}")]
    Process {
        /// Node or hub.
        who: &'static str,
        /// What happened.
        what: String,
        /// The last line of its log.
        line: String,
    },
    /// The hub does not let the receiver in.
    #[error("cannot subscribe at the hub: {0}")]
    Subscribe(io::Error),
    /// The user wants no more of it.
    #[error("interrupted")]
    Interrupted,
    /// The system refuses a folder, a process, a port or a signal handler.
    #[error("cannot {what}: {source}")]
    System {
        /// What for.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// Standard output takes no more.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl DemoError {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Plays the demo on `out`: the sensors stop after four fifths of `seconds`, and it ends once nothing is missing, or nothing
/// more has arrived for 15 s. It refreshes a line where standard output is a terminal, and writes line after line elsewhere.
///
/// # Errors
/// Something acknowledged was lost, or the demo could not be played to its end.
pub fn run(args: &DemoArgs, out: &mut dyn io::Write) -> Result<(), DemoError> {
    let is_terminal = io::IsTerminal::is_terminal(&io::stdout());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DemoError::system("start"))?;
    let length = Duration::from_secs(u64::from(args.seconds));
    let screen = screen::Screen::new(out, is_terminal);
    runtime.block_on(stage::play(length, screen))
}
