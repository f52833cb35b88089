//! A disk that refuses every flush, as a dying one does: no false acknowledgement, what needs no disk goes on, and nothing
//! has to be restarted once it takes them again. `strace` answers the node's flushes from outside.

use std::process::{Child, Command, Stdio};

use tests::{TestNode, wait_until};

#[tokio::test]
async fn a_disk_that_fails_flushes_withholds_acknowledgements_and_the_node_recovers_without_a_restart()
 {
    let mut node = TestNode::start().await;
    let mut keeper = node.connect_durable("keeper").await;
    keeper.subscribe("pump-7/reading", 1).await;
    keeper.disconnect().await;
    let mut screen = node.connect("screen").await;
    screen.subscribe("live", 0).await;
    let mut device = node.connect("pump-7").await;
    device.publish_readings(1..=10).await;

    let Some(fault) = Fault::inject(&node).await else {
        return;
    };
    let payload = |number: u64| serde_json::json!({ "device": "pump-7", "n": number }).to_string();
    let topic = "pump-7/reading";
    device.start_publish(topic, payload(11), 11).await.unwrap();
    wait_until("status says that the disk fails", async || {
        let health = node.status().await["health"].clone();
        let reasons = health["reasons"].to_string();
        health["state"] == "failing" && reasons.contains("the disk does not take what it is given")
    })
    .await;
    let mut other = node.connect("other").await;
    other.publish_and_forget("live", "still here").await;
    assert_eq!(screen.next_message().await.unwrap().payload, "still here");
    let health = tests::get(node.http(), "/health").await;
    assert_eq!(health.code, 503, "{}", health.body);
    // An answer to a ping comes behind all that was written before it.
    assert!(!was_acknowledged(&mut device).await);

    fault.end();
    let (number, reason) = device.acknowledgement().await.unwrap().unwrap();
    assert_eq!((number, reason < 0x80), (11, true));
    device.publish_readings(12..=20).await;
    wait_until("status says that it is over", async || {
        node.status().await["health"]["state"] == "ok"
    })
    .await;
    node.restart().await;
    let mut keeper = node.connect_durable("keeper").await;
    assert!(keeper.session_present());
    keeper.receive_readings("pump-7", 1..=20).await;
}

/// Whether anything but the answer to a ping comes.
async fn was_acknowledged(device: &mut tests::Device) -> bool {
    use rumqttc::v5::mqttbytes::v5::{Packet, PingReq};
    device.send(&Packet::PingReq(PingReq)).await.unwrap();
    !matches!(device.receive().await.unwrap(), Packet::PingResp(_))
}

/// Every flush of a node fails while this is there.
struct Fault {
    strace: Child,
}

impl Fault {
    /// `None`, with a word why, where a process may not be attached to.
    async fn inject(node: &TestNode) -> Option<Fault> {
        let pid = node.process_id();
        let started = Command::new("strace")
            .args([
                "--quiet=all",
                "--follow-forks",
                "--output=/dev/null",
                "--trace=fsync,fdatasync",
                "--inject=fsync,fdatasync:error=EIO",
                "--attach",
                &pid.to_string(),
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut strace = match started {
            Ok(strace) => strace,
            Err(error) => {
                println!("NOT TESTED: strace is not here: {error}");
                return None;
            }
        };
        let mut ended = None;
        wait_until(
            "strace has every thread of the node, or has given up",
            async || {
                ended = strace.try_wait().unwrap();
                ended.is_some() || is_traced(pid, strace.id())
            },
        )
        .await;
        match ended {
            None => Some(Fault { strace }),
            Some(status) => {
                println!("NOT TESTED: strace may not attach: {status}");
                None
            }
        }
    }

    /// The node goes on as before.
    fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.strace);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.strace.wait().unwrap();
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = self.strace.kill(); // it may have ended
        let _ = self.strace.wait(); // reaps it
    }
}

/// Whether every thread of a process is traced by this one.
fn is_traced(pid: u32, tracer: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the node runs");
    let mut traced = threads.map(|thread| {
        // A thread that ended meanwhile needs no tracer.
        let status = thread.ok().map(|thread| thread.path().join("status"));
        let status = status.and_then(|path| std::fs::read_to_string(path).ok());
        status.is_none_or(|status| {
            let mut lines = status.lines();
            lines.any(|line| {
                line.strip_prefix("TracerPid:").map(str::trim) == Some(&tracer.to_string())
            })
        })
    });
    traced.all(|it| it)
}
