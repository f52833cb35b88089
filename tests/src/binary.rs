use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The program under test: built once per run with the profile of the tests, or `EDGE_NODE_BIN`.
pub fn edge_node() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("EDGE_NODE_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// Whether that is built as it is shipped, or nearly so: a profile other than that of the tests, or `EDGE_NODE_BIN`.
pub fn is_as_shipped() -> bool {
    std::env::var_os("EDGE_NODE_BIN").is_some() || profile() != "dev"
}

fn profile() -> &'static str {
    match std::env::current_exe().expect("a test has a path") {
        exe if exe.components().any(|part| part.as_os_str() == "release") => "release",
        exe if exe.components().any(|part| part.as_os_str() == "load") => "load",
        _ => "dev",
    }
}

fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args([
            "build",
            "--locked",
            "--package",
            "edge-node",
            "--bin",
            "edge-node",
        ])
        .args([
            "--profile",
            profile(),
            "--message-format",
            "json-render-diagnostics",
        ])
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the node does not build:\n{errors}"
    );
    let built = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.expect("cargo names the program it built")
}
