//! What a whole node does, measured from outside on the real process:
//!
//! ```text
//! cargo bench --profile load -p tests --bench node -- catch-up | start | memory | grpc | fleet | rules | reload
//! ```
//!
//! | scenario | what it does |
//! |---|---|
//! | `catch-up` | 1,000,000 events of 256 B are spooled while their receiver is away; it comes back, and 1,000 messages a second go on arriving |
//! | `start` | a node with 1 GB spooled for a sink, 1,000 sessions and 10,000 retained messages is stopped, and killed, and started |
//! | `memory` | what the node holds before anybody connects, and at most under 100 clients × 10 in flight with a subscriber |
//! | `fleet` | what 2,000 devices in the compact format are acknowledged, beside as many with plain MQTT |
//! | `rules` | 100 clients × 10 in flight with a subscriber, of 10,000 rules that read each payload one matching, beside a node without rules, on disk and on tmpfs |
//! | `reload` | 1,000 sets of 10,000 rules replace each other while 50 devices publish 5,000 messages a second |
//! | `grpc` | what EventMesh's publishers are acknowledged, over 4 connections |
//!
//! `--small` divides every amount by 20, to see that a scenario runs. What is printed holds for the machine and the run
//! that printed it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops at its own fault"
)]

mod catch_up;
mod fleet;
mod flush;
mod grpc;
mod memory;
mod publisher;
mod receiver;
mod reload;
mod rules;
mod start;

/// How large a scenario is.
#[derive(Clone, Copy, Debug)]
struct Scale {
    divisor: u64,
}

impl Scale {
    fn of(self, amount: u64) -> u64 {
        amount / self.divisor
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let small = words.iter().any(|word| word == "--small");
    let scale = Scale {
        divisor: if small { 20 } else { 1 },
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system gives a runtime");
    let scenarios: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with("--"))
        .collect();
    for scenario in scenarios {
        match scenario {
            "catch-up" => runtime.block_on(catch_up::run(scale)),
            "start" => runtime.block_on(start::run(scale)),
            "memory" => runtime.block_on(memory::run()),
            "fleet" => runtime.block_on(fleet::run(scale)),
            "rules" => runtime.block_on(rules::run(scale)),
            "reload" => runtime.block_on(reload::run(scale)),
            "grpc" => runtime.block_on(grpc::run(scale)),
            other => {
                println!(
                    "no scenario `{other}`; there are: catch-up, start, memory, grpc, fleet, reload"
                );
                std::process::exit(2);
            }
        }
    }
}
