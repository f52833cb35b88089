//! What a node holds with nothing to do, and under its first load.

use std::process::Command;

use tests::{TestNode, edge_node};

const ROUNDS: usize = 3;

pub(crate) async fn run() {
    for _ in 0..ROUNDS {
        let node = TestNode::start().await;
        let idle = node.rss();
        let addr = node.mqtt().to_string();
        let load = tokio::task::spawn_blocking(move || {
            Command::new(edge_node())
                .args(["bench", "--subscriber", "--secs", "5", "--addr", &addr])
                .output()
        });
        let load = load.await.unwrap().unwrap();
        assert!(load.status.success(), "{load:?}");
        let rate = String::from_utf8(load.stdout).unwrap();
        let rate = rate
            .lines()
            .find(|line| line.starts_with("messages/s"))
            .unwrap_or_default();
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "RSS idle {:.1} MiB, at most {:.1} MiB under 100 clients × 10 in flight with a subscriber ({})",
            mib(idle),
            mib(node.peak_rss()),
            rate.split_whitespace().collect::<Vec<_>>().join(" ")
        );
    }
}
