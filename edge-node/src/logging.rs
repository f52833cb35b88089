//! The log: lines on standard error, and each reason once rather than a thousand times.

use std::{env, io, str::FromStr};

use tracing_subscriber::filter::LevelFilter;

mod limit;

pub use limit::{LogLimit, Verdict};

/// Lines of this importance and above are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(LevelFilter);

/// Not a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no level; accepted: error, warn, info, debug, trace, off")]
pub struct LogLevelError(String);

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<LogLevel, LogLevelError> {
        let level = match text {
            "error" => LevelFilter::ERROR,
            "warn" => LevelFilter::WARN,
            "info" => LevelFilter::INFO,
            "debug" => LevelFilter::DEBUG,
            "trace" => LevelFilter::TRACE,
            "off" => LevelFilter::OFF,
            _ => return Err(LogLevelError(text.to_owned())),
        };
        Ok(LogLevel(level))
    }
}

/// Starts the log of this process. Without a level, the variable `EDGE_LOG` decides, else `info`.
///
/// # Errors
/// `EDGE_LOG` is set to something else than a level.
pub fn start(level: Option<LogLevel>) -> Result<(), LogLevelError> {
    let level = match (level, env::var("EDGE_LOG")) {
        (Some(level), _) => level,
        (None, Ok(text)) if !text.is_empty() => text.parse()?,
        (None, _) => LogLevel(LevelFilter::INFO),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level.0)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber); // a process that logs already goes on as it does
    Ok(())
}
