//! What a node cannot do it says before it touches anything: exit status 1 and what to do.

use std::{collections::BTreeMap, fs, net::TcpListener, path::Path};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;
use tests::{TestNode, edge_node, within};
use tokio::process::Command;

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused() {
    let node = TestNode::start().await;
    let mut device = node.connect("pump-7").await;

    let ended = TestNode::builder()
        .data(node.data())
        .refuses_to_start()
        .await;

    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(
        ended.output.contains(&node.data().display().to_string()),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("in use"), "{}", ended.output);
    device.publish_readings(1..=3).await;
}

#[tokio::test]
async fn data_that_another_process_has_is_left_as_it_is() {
    let data = data_of_a_node_that_stopped().await;
    let lock = fs::File::open(data.path().join("lock")).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let before = contents(data.path());

    let ended = TestNode::builder()
        .data(data.path())
        .refuses_to_start()
        .await;

    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(ended.output.contains("in use"), "{}", ended.output);
    assert!(contents(data.path()) == before, "a file was changed");
}

#[tokio::test]
async fn a_port_in_use_leaves_the_data_as_it_is_whichever_door_it_is_for() {
    let data = data_of_a_node_that_stopped().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|it| (taken, it.to_string()));
    let (_held, address) = taken.unwrap();
    let before = contents(data.path());
    for flag in ["--mqtt", "--http", "--grpc"] {
        let mut run = Command::new(edge_node());
        run.args(["run", "--data"]).arg(data.path());
        for door in ["--mqtt", "--http", "--grpc"] {
            let free = "127.0.0.1:0";
            run.args([door, if door == flag { &address } else { free }]);
        }
        let output = within("it refuses", run.kill_on_drop(true).output()).await;
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{flag}: {said}");
        for part in [&address, "port is in use", flag] {
            assert!(said.contains(part), "{flag}: {said}");
        }
        assert!(
            contents(data.path()) == before,
            "{flag}: a file was changed"
        );
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_and_nothing_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");

    let ended = TestNode::builder()
        .mqtt(address)
        .data(&data)
        .refuses_to_start()
        .await;

    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(
        ended.output.contains(&address.to_string()),
        "{}",
        ended.output
    );
    for part in ["port is in use", "--mqtt"] {
        assert!(ended.output.contains(part), "{part}: {}", ended.output);
    }
    assert!(
        !data.exists(),
        "a node that cannot listen makes no data directory"
    );
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = file.path().join("data");

    let ended = TestNode::builder().data(&data).refuses_to_start().await;

    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(
        ended.output.contains(&data.display().to_string()),
        "{}",
        ended.output
    );
}

#[tokio::test]
async fn a_directory_that_nobody_may_write_is_refused_with_what_to_do() {
    // The process directory of the kernel refuses even the superuser.
    for data in ["/proc/edge-node", "/proc/self/fd"] {
        let ended = TestNode::builder().data(data).refuses_to_start().await;

        assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
        for part in [data, "cannot be used", "--data"] {
            assert!(ended.output.contains(part), "{part}: {}", ended.output);
        }
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_by_number_and_nothing_is_touched() {
    let data = data_of_a_node_that_stopped().await;
    make_newer(&data.path().join("0000000000000001.segment"));
    let before = contents(data.path());

    let ended = TestNode::builder()
        .data(data.path())
        .refuses_to_start()
        .await;

    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    for part in ["has format 9", "run the release that wrote it"] {
        assert!(ended.output.contains(part), "{part}: {}", ended.output);
    }
    assert!(contents(data.path()) == before, "a file was changed");
}

/// Complaint 14: a wrong setting crashes it, or stops it without a word.
#[tokio::test]
async fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
    let ended = TestNode::builder()
        .config("[mqtt]\nlisten-to = \"127.0.0.1:0\"")
        .refuses_to_start()
        .await;

    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(ended.output.contains("node.toml:2:1"), "{}", ended.output);
    assert!(
        ended.output.contains("`listen-to`, did you mean `listen`?"),
        "{}",
        ended.output
    );
}

#[tokio::test]
async fn a_listener_for_everyone_is_refused_without_the_word() {
    let config = "[mqtt]\nlisten = \"0.0.0.0:0\"\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    std::fs::write(&file, config).unwrap();

    let output = std::process::Command::new(edge_node())
        .args(["run", "--config"])
        .arg(&file)
        .arg("--data")
        .arg(folder.path().join("data"))
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("allow-anonymous = true"), "{said}");
}

#[tokio::test]
async fn check_refuses_what_run_refuses_and_shows_what_it_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    let check = || {
        let output = std::process::Command::new(edge_node())
            .args(["check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    std::fs::write(&file, "[spool]\nboundd = \"1 GiB\"\n").unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("did you mean `bound`?"), "{said}");

    std::fs::write(&file, "[spool]\nbound = \"1 GiB\"\n").unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("bound = \"1 GiB\""), "{said}");
    assert!(said.contains("listen = \"127.0.0.1:1883\""), "{said}");
}

async fn data_of_a_node_that_stopped() -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let mut node = TestNode::builder().data(data.path()).start().await;
    node.connect("pump-7").await.publish_readings(1..=3).await;
    node.stop().await;
    data
}

/// Writes version 9 into both copies of the header of a segment, with the checksum that goes with it.
fn make_newer(segment: &Path) {
    let mut bytes = fs::read(segment).unwrap();
    for copy in [0, 2048] {
        bytes[copy + 12] = 9;
        let sum = crc32c(&bytes[copy + 12..copy + 64]);
        bytes[copy + 8..copy + 12].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(segment, bytes).unwrap();
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0x82f6_3b78 * (sum & 1))
        })
    })
}

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let named = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        (name, fs::read(file.path()).unwrap())
    };
    files.map(named).collect()
}
