//! `edge-node device`: the devices a running node knows.

use std::{io::Write, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};

use super::{
    CliError, DataDir, client,
    table::{self, Table, maybe_time},
};
use crate::{
    config::units::Span,
    endpoints::Endpoints,
    node::devices::{
        CommandAnswer, CommandStatus, ConfigurationAnswer, DevicePage, DeviceStatus, DeviceSummary,
        MOST_OF_PAGE,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// List the devices
    List(List),
    /// Show all that is known of one
    Show(Show),
    /// Have one do something once; prints what the command is called
    Command(Order),
    /// Show the commands that are kept for one, and how they ended
    Commands(Show),
    /// Give one another configuration
    Configure(Configure),
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

#[derive(Args, Debug)]
pub(super) struct Order {
    #[command(flatten)]
    data: DataDir,
    /// Name of the device, which is its MQTT client identifier
    name: String,
    /// What to do
    command: String,
    /// With what: JSON, whose text the device gets
    #[arg(long, value_name = "JSON", value_parser = json)]
    with: Option<serde_json::Value>,
    /// How long it may wait for the device to say how it ended [default: 10m]
    #[arg(long, value_name = "TIME")]
    expires: Option<Span>,
}

#[derive(Args, Debug)]
pub(super) struct Configure {
    #[command(flatten)]
    data: DataDir,
    /// Name of the device, which is its MQTT client identifier
    name: String,
    /// File whose bytes it is to work with
    file: PathBuf,
}

pub(super) fn execute(command: &DeviceCommand, out: &mut dyn Write) -> Result<(), CliError> {
    match command {
        DeviceCommand::List(args) => list(args, out),
        DeviceCommand::Show(args) => show(args, out),
        DeviceCommand::Command(args) => order(args, out),
        DeviceCommand::Commands(args) => commands(args, out),
        DeviceCommand::Configure(args) => configure(args, out),
        DeviceCommand::Remove(Remove { data, name }) => {
            client::delete(Endpoints::read(&data.data)?.http, &path_of(name))?;
            writeln!(out, "{name} is removed")?;
            Ok(())
        }
    }
}

fn json(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(text)
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

fn order(args: &Order, out: &mut dyn Write) -> Result<(), CliError> {
    let address = Endpoints::read(&args.data.data)?.http;
    let body = serde_json::json!({
        "name": args.command,
        "data": args.with,
        "expires": args.expires,
    });
    let path = format!("{}/commands", path_of(&args.name));
    let CommandAnswer { id } = client::post(address, &path, &body)?;
    writeln!(out, "{id}")?;
    Ok(())
}

fn commands(args: &Show, out: &mut dyn Write) -> Result<(), CliError> {
    let address = Endpoints::read(&args.data.data)?.http;
    let path = format!("{}/commands", path_of(&args.name));
    let commands: Vec<CommandStatus> = client::get(address, &path)?;
    if args.json {
        return table::json(&commands, out);
    }
    let mut rows = Table::new(&["command", "what", "state", "outcome", "age", "waits"]);
    for it in &commands {
        let outcome = it.outcome.map_or("", |outcome| outcome.name());
        rows.row([
            it.id.clone(),
            it.name.clone(),
            it.state.name().to_owned(),
            outcome.to_owned(),
            table::time(it.age_ms),
            maybe_time(it.expires_in_ms),
        ]);
    }
    rows.print(out)
}

fn configure(args: &Configure, out: &mut dyn Write) -> Result<(), CliError> {
    let address = Endpoints::read(&args.data.data)?.http;
    let bytes = std::fs::read(&args.file).map_err(|error| CliError::Invalid {
        what: format!("cannot read {}: {error}", args.file.display()),
    })?;
    let body = serde_json::json!({ "data_base64": STANDARD.encode(bytes) });
    let path = format!("{}/configuration", path_of(&args.name));
    let ConfigurationAnswer { version } = client::put(address, &path, &body)?;
    writeln!(
        out,
        "configuration {version} goes to {}; `edge-node device show` says what became of it",
        args.name
    )?;
    Ok(())
}
