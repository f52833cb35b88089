use std::io::{self, Read, Write};

use super::Outcome;

const NOT_BUILT: &str = "this program runs no jq: build it with `--features jq`";

/// Where programs would be run. This program was built without the feature `jq`.
#[derive(Debug, Default)]
pub struct Bench {}

impl Bench {
    /// Runs none.
    ///
    /// # Errors
    ///
    /// None; the outcome says why.
    pub fn run(&mut self, _: &str, _: &[u8]) -> io::Result<Outcome> {
        Ok(Outcome::NoProgram(NOT_BUILT.to_owned()))
    }
}

/// Refuses any program.
///
/// # Errors
///
/// Always.
pub fn check(_: &str) -> Result<(), String> {
    Err(NOT_BUILT.to_owned())
}

/// Works on nothing.
///
/// # Errors
///
/// Always.
pub fn work(_: impl Read, _: impl Write) -> io::Result<()> {
    Err(io::Error::other(NOT_BUILT))
}
