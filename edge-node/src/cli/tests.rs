use std::{
    fs,
    io::{self, Write},
};

use tempfile::TempDir;

use super::*;

#[test]
fn without_a_command_a_node_runs_and_takes_the_same_flags() {
    let bare = parse(&[]).unwrap();
    assert!(bare.command.is_none());
    assert_eq!(bare.run, RunArgs::default());
    assert_eq!(bare.run.config().unwrap(), Config::default());

    let flags = [
        "--data",
        "d",
        "--mqtt",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:1",
        "--grpc",
        "[::1]:2",
    ];
    let bare = parse(&flags).unwrap();
    let named = parse(&[&["run"], &flags[..]].concat()).unwrap();
    let Some(Command::Run(named)) = named.command else {
        panic!("{:?}", named.command)
    };
    assert_eq!(bare.run, named);
    let config = named.config().unwrap();
    assert_eq!(config.node.data, std::path::Path::new("d"));
    assert_eq!(config.mqtt.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.grpc.listen.to_string(), "[::1]:2");
}

#[test]
fn the_level_of_the_log_stands_before_or_after_the_command() {
    let debug = Some("debug".parse().unwrap());
    for arguments in [
        &["--log", "debug", "run"][..],
        &["run", "--log", "debug"],
        &["--log", "debug"],
    ] {
        assert_eq!(parse(arguments).unwrap().log, debug, "{arguments:?}");
    }
    let error = parse(&["--log", "loud"]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`loud` is no level; accepted: error, warn, info, debug, trace, off")
    );
}

#[test]
fn wrong_usage_is_status_2_and_says_what_is_accepted() {
    for (arguments, kind) in [
        (&["--mqtt", "localhost"][..], ErrorKind::ValueValidation),
        (&["--data", "d", "status"], ErrorKind::ArgumentConflict),
        (&["rnu"], ErrorKind::InvalidSubcommand),
        (
            &["spool", "replay", "--from", "1"],
            ErrorKind::MissingRequiredArgument,
        ),
        (
            &["spool", "replay", "--sink", "s", "--from", "1", "--stop"],
            ErrorKind::ArgumentConflict,
        ),
        (
            &["spool", "export", "--from", "yesterday"],
            ErrorKind::ValueValidation,
        ),
        (
            &["status", "--data", "d", "--http", "127.0.0.1:1"],
            ErrorKind::ArgumentConflict,
        ),
    ] {
        let error = parse(arguments).unwrap_err();
        assert_eq!(
            (error.kind(), error.exit_code()),
            (kind, 2),
            "{arguments:?}: {error}"
        );
    }
    Cli::command().debug_assert();
}

#[test]
fn check_shows_a_configuration_that_comes_to_the_same() {
    let data = TempDir::new().unwrap();
    let file = write(
        &data,
        "[mqtt]\nlisten = \"127.0.0.1:0\"\n[[uplink]]\nname = \"mesh\"\nkind = \"http\"\nendpoints = [\"http://127.0.0.1:1/events\"]\n",
    );
    let shown = execute(&["check", "--config", &file, "--http", "127.0.0.1:0"]).unwrap();
    assert!(
        shown.starts_with(&format!("# {file} is right and comes to this:\n[node]\n")),
        "{shown}"
    );
    assert!(shown.contains("max-packet-size = \"1 MiB\"\n"), "{shown}");

    let again = write(&data, &shown);
    let flags = Overrides {
        http: Some("127.0.0.1:0".parse().unwrap()),
        ..Overrides::default()
    };
    let first = Config::load(Some(file.as_ref()), &flags);
    assert_eq!(
        Config::load(Some(again.as_ref()), &Overrides::default()).unwrap(),
        first.unwrap()
    );

    let json = execute(&["check", "--config", &file, "--json"]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["mqtt"]["listen"], "127.0.0.1:0");
    assert_eq!(json["uplink"][0]["name"], "mesh");
}

#[test]
fn check_notes_that_a_hub_configured_alike_takes_less_than_this_node() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let notes = |text: &str| {
        std::fs::write(path, text).unwrap();
        let shown = execute(&["check", "--config", path]).unwrap();
        let notes = shown.lines().filter(|line| line.starts_with("# Note: "));
        notes.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(notes(""), [""; 0]);
    assert_eq!(notes("[mqtt]\nmax-packet-size = \"1536 KiB\""), [""; 0]);
    assert_eq!(
        notes("[mqtt]\nmax-packet-size = \"3 MiB\""),
        [
            "# Note: `max-body` of [http] (2 MiB) is less than an event of `max-packet-size` of [mqtt] (3 MiB) takes there, \
             4 MiB and its attributes: a node that sends this one as large ones as it accepts is refused."
        ]
    );
    let both = notes("[mqtt]\nmax-packet-size = \"5 MiB\"");
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn check_tells_what_is_wrong_in_one_line() {
    let data = TempDir::new().unwrap();
    let file = write(&data, "[htpp]\nlisten = \"127.0.0.1:0\"\n");
    let error = execute(&["check", "--config", &file])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!(
            "{file}:1:2: unknown key `htpp`, did you mean `http`?; accepted here: node, mqtt, http, grpc, spool, rules, devices, ingest, uplink"
        )
    );
}

#[test]
fn a_node_that_does_not_run_is_told_so() {
    let data = TempDir::new().unwrap();
    let path = data.path().display().to_string();
    for arguments in [
        &["status", "--data", &path][..],
        &[
            "spool", "replay", "--data", &path, "--sink", "mesh", "--from", "1",
        ],
    ] {
        assert_eq!(
            execute(arguments).unwrap_err().to_string(),
            format!("no node runs on {path}; start one with `edge-node run --data {path}`")
        );
    }
}

#[test]
fn a_broker_that_cannot_be_measured_is_named() {
    // Bound, so that nobody else listens there, and refuses since it does not listen either.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = closed.local_addr().unwrap().to_string();
    let error = execute(&["bench", "--addr", &addr])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!("bench: cannot connect to {addr}: Connection refused (os error 111)")
    );
}

#[test]
fn whatever_prints_tables_prints_json_too() {
    let without = leaves(&Cli::command(), "")
        .into_iter()
        .filter(|(_, command)| !command.get_arguments().any(|it| it.get_id() == "json"));
    let without: Vec<String> = without.map(|(path, _)| path).collect();
    // These print lines of text, or JSON alone.
    assert_eq!(
        without,
        [
            "run",
            "spool export",
            "sink remove",
            "dead list",
            "dead retry",
            "dead drop",
            "device command",
            "device configure",
            "device remove",
            "rules check",
            "rules reload",
            "demo",
            "completions"
        ]
    );
}

/// The commands that help shows and that have no commands of their own, each with its path.
fn leaves(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
    let each = shown.flat_map(|it| {
        let path = format!("{path} {}", it.get_name());
        match it.has_subcommands() {
            true => leaves(it, &path),
            false => vec![(path.trim_start().to_owned(), it.clone())],
        }
    });
    each.collect()
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let script = execute(&["completions", shell]).unwrap();
        assert!(
            script.contains("edge-node") && script.contains("spool"),
            "{shell}: {script}"
        );
    }
}

#[test]
fn a_reader_that_leaves_ends_what_is_printed_without_a_fault() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for arguments in [&["completions", "bash"][..], &["check"]] {
        let error = parse(arguments).unwrap().execute(&mut Gone).unwrap_err();
        assert!(error.is_reader_gone(), "{arguments:?}: {error}");
    }
}

fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["edge-node"], arguments].concat())?.check()
}

fn execute(arguments: &[&str]) -> Result<String, CliError> {
    let mut out = Vec::new();
    parse(arguments).unwrap().execute(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn write(data: &TempDir, text: &str) -> String {
    let file = data.path().join(format!("{}.toml", text.len()));
    fs::write(&file, text).unwrap();
    file.display().to_string()
}
