use std::{cell::Cell, net::Ipv4Addr, sync::atomic::Ordering};

use tokio::{task::LocalSet, time::advance};

use super::*;
use crate::broker::{
    Limits,
    tests::harness::{TestNode, limits},
};

const CONNECT_TIMEOUT_MS: u64 = 30;

#[tokio::test(start_paused = true)]
async fn what_becomes_due_while_nothing_was_due_is_done_in_its_time() {
    let limits = Limits {
        connect_timeout_ms: CONNECT_TIMEOUT_MS,
        ..limits()
    };
    let (core, time) = TestNode::with_limits(limits).into_core();
    let shared = Shared::new(core, Arc::default());
    let tasks = LocalSet::new();
    drop(tasks.spawn_local(follow_deadlines(shared.clone())));
    let pass = async || {
        time.fetch_add(1, Ordering::Relaxed);
        advance(Duration::from_millis(1)).await;
    };
    let scenario = async {
        pass().await;
        let id = shared.with(|core| core.handle_connected("192.0.2.1".to_owned()));
        let silent = Rc::new(Port {
            peer: Ipv4Addr::LOCALHOST.into(),
            wake: Notify::new(),
            resumed: Cell::new(false),
            closing: Cell::new(false),
        });
        shared.0.ports.borrow_mut().insert(id, Rc::clone(&silent));
        for _ in 1..CONNECT_TIMEOUT_MS {
            pass().await;
            assert!(!silent.closing.get());
        }
        for _ in 0..3 {
            pass().await;
        }
        assert!(
            silent.closing.get(),
            "it said nothing for {CONNECT_TIMEOUT_MS} ms"
        );
    };
    tasks.run_until(scenario).await;
}
