//! `edge-node demo`, as a newcomer meets it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tests::edge_node;

#[test]
fn the_demo_loses_nothing_over_a_cut_link_and_a_kill_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    // Long enough that a slow machine spools something while the link is cut.
    let output = demo(folder.path()).args(["--seconds", "15"]).output();
    let output = output.unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}{errors}");

    let last = shown.lines().last().unwrap();
    let numbers: Vec<u64> = last
        .split(|it: char| !it.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let [acknowledged, delivered, lost, repeated] = numbers[..] else {
        panic!("{last}");
    };
    assert_eq!(
        last,
        format!("acknowledged {acknowledged}, delivered {delivered}, lost 0, repeated {repeated}")
    );
    assert!(acknowledged > 0 && lost == 0, "{last}");
    assert_eq!(acknowledged, delivered);

    let live: Vec<Live> = shown.lines().filter_map(Live::parse).collect();
    assert!(
        live.iter()
            .any(|it| it.scene == "link cut" && it.spooled > 0 && it.acknowledged > it.delivered),
        "the counts part while the link is cut:\n{shown}"
    );
    let end = live.last().unwrap();
    assert_eq!(
        (end.spooled, end.acknowledged),
        (0, end.delivered),
        "they meet again:\n{shown}"
    );
    assert!(shown.contains("kill -9"), "{shown}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_demo_whose_node_loses_its_disk_says_so_and_fails() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut demo = demo(folder.path());
    // Long enough between the line that is waited for and the kill.
    let mut demo = demo
        .args(["--seconds", "50"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| {
        Live::parse(&line.unwrap()).is_some_and(|it| it.scene == "link cut" && it.spooled > 0)
    }));
    // The node that runs goes on with the files it has; the one that is started after its kill finds none.
    let data = folder_of_demo(folder.path()).join("node");
    std::fs::rename(data, elsewhere.path().join("node")).unwrap();

    let last = lines.last().unwrap().unwrap();
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{last}");
    let (_, lost) = last.split_once(", lost ").unwrap();
    let (lost, _) = lost.split_once(',').unwrap();
    assert_ne!(lost, "0");
    let kept = folder_of_demo(folder.path());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "edge-node: demo: {lost} acknowledged events did not arrive; data and logs are kept in {}\n",
            kept.display()
        )
    );
}

#[test]
fn a_demo_that_is_interrupted_ends_its_processes_and_says_that_it_proved_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demo(folder.path());
    let mut demo = demo
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("link up")));
    let nodes = pids(folder.path());
    assert_eq!(nodes.len(), 2, "a node and a hub");

    kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
    lines.for_each(drop);
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "edge-node: demo: interrupted\n"
    );
    for node in nodes {
        assert!(!Path::new(&format!("/proc/{node}")).exists());
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

/// Its temporary folder is made in `folder`.
fn demo(folder: &Path) -> Command {
    let mut command = Command::new(edge_node());
    command.arg("demo").env("TMPDIR", folder);
    command
}

/// The counts of one moment.
struct Live {
    scene: String,
    acknowledged: u64,
    spooled: u64,
    delivered: u64,
}

impl Live {
    /// `None` for other lines, and where the node cannot be asked.
    fn parse(line: &str) -> Option<Live> {
        let (scene, counts) = line.split_once("acknowledged ")?;
        let (_, scene) = scene.split_once(" s ")?;
        let words: Vec<&str> = counts.split_whitespace().collect();
        let [acknowledged, "spooled", spooled, "delivered", delivered] = words[..] else {
            return None;
        };
        Some(Live {
            scene: scene.trim().to_owned(),
            acknowledged: acknowledged.parse().ok()?,
            spooled: spooled.parse().ok()?,
            delivered: delivered.parse().ok()?,
        })
    }
}

/// The only thing in its temporary folder.
fn folder_of_demo(folder: &Path) -> PathBuf {
    folder.read_dir().unwrap().next().unwrap().unwrap().path()
}

/// The processes that say they listen, from the data directories below the demo's folder.
fn pids(folder: &Path) -> Vec<u64> {
    let demo = folder_of_demo(folder);
    let endpoints = ["hub", "node"].map(|who| demo.join(who).join("endpoints.json"));
    let pid = |file: &Path| -> u64 {
        let text = std::fs::read(file).unwrap();
        let endpoints: serde_json::Value = serde_json::from_slice(&text).unwrap();
        endpoints["pid"].as_u64().unwrap()
    };
    endpoints.iter().map(|file| pid(file)).collect()
}
