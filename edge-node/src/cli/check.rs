//! `edge-node check`.

use std::{io::Write, path::PathBuf};

use clap::Args;
use filters::stage::Moment;

use super::{CliError, Flags, table};
use crate::config::Config;

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// Configuration file; without one, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Prints the effective configuration as TOML that is a configuration file itself.
pub(super) fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let config = Config::load(args.config.as_deref(), &args.flags.overrides())?;
    config.load_rules(Moment(0)).map_err(CliError::Rules)?;
    if args.json {
        return table::json(&config, out);
    }
    match &args.config {
        Some(file) => writeln!(out, "# {} is right and comes to this:", file.display())?,
        None => writeln!(out, "# The defaults:")?,
    }
    for remark in config.remarks() {
        writeln!(out, "# Note: {remark}.")?;
    }
    out.write_all(config.to_toml().as_bytes())?;
    Ok(())
}
