//! The command as a shell meets it: exit status, what goes to standard output, what to standard error.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
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

#[test]
fn a_directory_that_its_user_may_not_write_is_status_1_with_what_to_do_and_stays_empty() {
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let ports = ["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let ports = [&ports[..], &["--grpc", "127.0.0.1:0"]].concat();
    let path = data.path().to_str().unwrap();

    let output = as_a_plain_user(
        data.path(),
        &[&["run", "--data", path], &ports[..]].concat(),
    );

    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in [path, "Permission denied", "--data"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn bash_completes_what_the_command_knows() {
    let typed = [
        (&["edge-node", "sp"][..], "spool"),
        (&["edge-node", "spool", "ver"], "verify"),
        (&["edge-node", "rules", "test", "--pay"], "--payload"),
        (&["edge-node", "run", "--g"], "--grpc"),
        (&["edge-node", "jq"], ""),
    ];
    for (words, completed) in typed {
        let (last, before) = words.split_last().unwrap();
        let script = format!(
            r#"source <("$0" completions bash)
               function=$(complete -p edge-node | sed 's/.*-F \([^ ]*\).*/\1/')
               COMP_WORDS=({words}) COMP_CWORD={at}
               "$function" edge-node "{last}" "{previous}"
               printf '%s\n' "${{COMPREPLY[@]}}""#,
            words = words.join(" "),
            at = before.len(),
            previous = before.last().unwrap(),
        );
        let output = Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_edge-node")])
            .output()
            .expect("bash starts");
        assert_eq!(text(&output.stderr), "", "{words:?}");
        assert_eq!(text(&output.stdout), format!("{completed}\n"), "{words:?}");
    }
}

/// The command without the superuser's right to write where the permissions of `own`, a directory of this process's user, forbid it.
fn as_a_plain_user(own: &Path, arguments: &[&str]) -> Output {
    let superuser = fs::metadata(own).is_ok_and(|it| it.uid() == 0);
    let mut command = match superuser {
        false => command(arguments),
        true => {
            let mut command = Command::new("setpriv");
            command.arg("--bounding-set=-dac_override,-dac_read_search");
            command.arg(env!("CARGO_BIN_EXE_edge-node")).args(arguments);
            command
        }
    };
    command.output().expect("the command starts")
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
