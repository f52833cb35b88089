//! `edge-node device`: the devices a running node knows.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{
    CliError, DataDir, client,
    table::{self, Table, maybe_time},
};
use crate::{
    endpoints::Endpoints,
    node::devices::{DevicePage, DeviceStatus, DeviceSummary, MOST_OF_PAGE},
};

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// List the devices
    List(List),
    /// Show all that is known of one
    Show(Show),
    /// Forget one that is gone for good; should it come back, what it sends again is taken for new
    Remove(Remove),
}

#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    data: DataDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Show {
    #[command(flatten)]
    data: DataDir,
    /// Name of the device, which is its MQTT client identifier
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Remove {
    #[command(flatten)]
    data: DataDir,
    /// Name of the device, which is its MQTT client identifier
    name: String,
}

pub(super) fn execute(command: &DeviceCommand, out: &mut dyn Write) -> Result<(), CliError> {
    match command {
        DeviceCommand::List(args) => list(args, out),
        DeviceCommand::Show(args) => show(args, out),
        DeviceCommand::Remove(Remove { data, name }) => {
            client::delete(Endpoints::read(&data.data)?.http, &path_of(name))?;
            writeln!(out, "{name} is removed")?;
            Ok(())
        }
    }
}

fn path_of(name: &str) -> String {
    format!("/api/v1/devices/{}", client::escaped(name))
}

fn list(args: &List, out: &mut dyn Write) -> Result<(), CliError> {
    let address = Endpoints::read(&args.data.data)?.http;
    let mut devices: Vec<DeviceSummary> = Vec::new();
    let mut next = Some(String::new());
    while let Some(after) = next {
        let after = client::escaped(&after);
        let path = format!("/api/v1/devices?limit={MOST_OF_PAGE}&after={after}");
        let page: DevicePage = client::get(address, &path)?;
        devices.extend(page.devices);
        next = page.next;
    }
    if args.json {
        return table::json(&devices, out);
    }
    let mut table = Table::new(&["device", "", "last seen", "firmware", "boot", "lost"]);
    for device in &devices {
        table.row(cells(device));
    }
    table.print(out)?;
    writeln!(out, "\n{} devices", devices.len())?;
    Ok(())
}

fn cells(device: &DeviceSummary) -> [String; 6] {
    let connected = if device.connected {
        "connected"
    } else {
        "away"
    };
    [
        device.id.clone(),
        connected.to_owned(),
        maybe_time(device.seen_ms),
        device.firmware.clone(),
        device.boot.to_string(),
        device.lost.to_string(),
    ]
}

fn show(args: &Show, out: &mut dyn Write) -> Result<(), CliError> {
    let address = Endpoints::read(&args.data.data)?.http;
    let device: DeviceStatus = client::get(address, &path_of(&args.name))?;
    if args.json {
        return table::json(&device, out);
    }
    let [id, connected, seen, firmware, boot, lost] = cells(&device.summary);
    writeln!(
        out,
        "{id} is {connected}, last seen {seen} ago; firmware {firmware}, boot {boot}, {lost} events lost"
    )?;
    let mut streams = Table::new(&["outbox", "stream", "boot", "sequence"]);
    for it in &device.streams {
        streams.row([
            it.incarnation.clone(),
            it.stream.to_string(),
            it.boot.to_string(),
            it.seq.to_string(),
        ]);
    }
    streams.print(out)?;
    let mut kinds = Table::new(&["event type", "version"]);
    for it in &device.kinds {
        kinds.row([it.r#type.clone(), it.version.to_string()]);
    }
    kinds.print(out)?;
    let mut reported = Table::new(&["it lost", "stream", "cause"]);
    for it in &device.reported {
        reported.row([
            it.count.to_string(),
            it.stream.to_string(),
            it.cause.clone(),
        ]);
    }
    reported.print(out)
}
