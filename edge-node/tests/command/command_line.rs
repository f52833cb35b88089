//! The command as a shell meets it: exit status, what goes to standard output, what to standard error.

use std::{
    fs,
    process::{Command, Output},
};

#[test]
fn a_right_configuration_is_status_0_and_shown() {
    let output = edge_node(&["check"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("# The defaults:\n[node]\n"));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_wrong_configuration_is_status_1_and_one_line_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    let data = folder.path().join("data");
    fs::write(&file, "[mqtt]\nlisten = \"0.0.0.0:0\"\n").unwrap();
    let (file, data) = (file.to_str().unwrap(), data.to_str().unwrap());
    for command in ["run", "check"] {
        let output = edge_node(&[command, "--config", file, "--data", data]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert_eq!(text(&output.stdout), "");
        assert_eq!(
            text(&output.stderr),
            format!(
                "edge-node: {file}:2:10: [mqtt] would listen on 0.0.0.0:0, where others can reach it without saying \
                 who they are; listen on 127.0.0.1:0, or write `allow-anonymous = true` in [mqtt] to accept that\n"
            )
        );
    }
    assert!(!fs::exists(data).unwrap());
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [&["rnu"][..], &["--data", "d", "check"], &["--mqtt", "here"]] {
        let output = edge_node(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn a_level_of_the_log_that_is_none_is_status_1() {
    let output = command(&["check"])
        .env("EDGE_LOG", "loud")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "edge-node: EDGE_LOG: `loud` is no level; accepted: error, warn, info, debug, trace, off\n"
    );
}

#[test]
fn the_spool_of_a_directory_that_holds_none_is_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("nothing");
    for command in ["status", "verify", "export"] {
        let output = edge_node(&["spool", command, "--data", data.to_str().unwrap()]);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{command}: {}",
            text(&output.stderr)
        );
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
    assert!(!data.exists());
}

fn edge_node(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the command starts")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-node"));
    command.args(arguments).env_remove("EDGE_LOG");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the command writes UTF-8")
}
