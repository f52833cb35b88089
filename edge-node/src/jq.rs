//! jq programs, run by a process of their own: a step of a rule may be one.
//!
//! ```text
//!  node ── one program, one event ──▶ `edge-node jq-worker`   no environment, files, clock, input, modules, standard error
//!       ◀── what it made, or why not ──┘   50 ms of CPU, 32 MiB, 256 KiB made: beyond it is killed, and the next event gets another
//! ```
//!
//! A jq program can loop and recurse without end, and what runs it cannot be stopped from within. So it never runs in the node: its death takes
//! one event with it, of which its rule says what becomes.
//!
//! ```text
//! question  program length u32 · event length u32 · program · event     integers little-endian
//! answer    taken u8 · kind u8 · length u32 · bytes                     taken once the question is there; kinds as in `Outcome`
//! ```

#[cfg(not(feature = "jq"))]
mod absent;
#[cfg(feature = "jq")]
mod client;
#[cfg(feature = "jq")]
mod program;
#[cfg(feature = "jq")]
mod wire;
#[cfg(feature = "jq")]
mod worker;

#[cfg(not(feature = "jq"))]
pub use absent::{Bench, check, work};
#[cfg(feature = "jq")]
pub use client::Bench;
#[cfg(feature = "jq")]
pub use program::check;
#[cfg(feature = "jq")]
pub use worker::work;

/// How the program is told to be a worker.
pub const COMMAND: &str = "jq-worker";
/// What a program may take of the CPU for one event.
/// In a build with debug assertions, which is many times slower, ten times that.
pub const CPU_MILLISECONDS: u32 = if cfg!(debug_assertions) { 500 } else { 50 };
/// What a worker may take beside what it is itself.
pub const MEMORY_BYTES: u64 = 32 << 20;
/// All that a program makes of one event, as JSON.
pub const MAX_MADE_BYTES: usize = 256 << 10;
/// Values that a program makes of one event.
pub const MAX_MADE: usize = 64;
/// Bytes of a program.
pub const MAX_PROGRAM_BYTES: usize = 8 << 10;

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These values, as JSON.
    Made(Vec<Vec<u8>>),
    /// The program is none: why.
    NoProgram(String),
    /// The program said so, with these words.
    Error(String),
    /// It made too much.
    TooMuch,
    /// It made something that is no JSON.
    NoJson,
    /// It was killed at a limit.
    Killed(Limit),
}

/// What a worker was killed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`CPU_MILLISECONDS`].
    Cpu,
    /// [`MEMORY_BYTES`], or recursion without end.
    Memory,
}

impl Outcome {
    /// Why nothing was made, as a word for counters and a text for people.
    pub fn failure(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Outcome::Made(_) => return None,
            Outcome::NoProgram(why) => ("program", why.clone()),
            Outcome::Error(words) => ("jq", words.clone()),
            Outcome::TooMuch => (
                "result",
                format!("it made more than {MAX_MADE} values or {MAX_MADE_BYTES} bytes"),
            ),
            Outcome::NoJson => ("result", "it made something that is no JSON".to_owned()),
            Outcome::Killed(Limit::Cpu) => (
                "limit",
                format!("it took more than {CPU_MILLISECONDS} ms of the CPU"),
            ),
            Outcome::Killed(Limit::Memory) => (
                "limit",
                format!(
                    "it took more than {MEMORY_BYTES} bytes of memory, or recursed without end"
                ),
            ),
        })
    }
}

#[cfg(feature = "jq")]
#[cfg(test)]
mod tests;
