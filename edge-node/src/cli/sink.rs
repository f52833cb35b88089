//! `edge-node sink`: the places events go to.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{CliError, DataDir, client};
use crate::{config::UplinkName, endpoints::Endpoints};

#[derive(Debug, Subcommand)]
pub(super) enum SinkCommand {
    /// Give up what is held for a sink that left the configuration; `edge-node status` lists it as removed
    Remove(Remove),
}

#[derive(Args, Debug)]
pub(super) struct Remove {
    #[command(flatten)]
    data: DataDir,
    /// Name of the sink
    name: UplinkName,
}

pub(super) fn execute(command: &SinkCommand, out: &mut dyn Write) -> Result<(), CliError> {
    let SinkCommand::Remove(Remove { data, name }) = command;
    let address = Endpoints::read(&data.data)?.http;
    let name = name.as_str();
    client::delete(address, &format!("/api/v1/sinks/{name}"))?;
    writeln!(
        out,
        "{name} is removed; what it was owed is in the ledger of `edge-node status`"
    )?;
    Ok(())
}
