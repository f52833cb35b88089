//! Reading the rules again while the node runs: on SIGHUP and on order, one after the other.

use std::{sync::Arc, thread};

use filters::stage::Moment;
use tokio::{
    signal::unix::Signal,
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use super::Shared;
use crate::{
    config::Config,
    node::{
        core::Core,
        reload::{ReloadAnswer, ReloadError, ReloadOrder},
    },
    rules::Judge,
};

/// Reads the rules again whenever it is told to, until nobody can.
pub(super) async fn reload_on_order(
    shared: Shared,
    config: Arc<Config>,
    mut hangup: Signal,
    mut orders: mpsc::Receiver<ReloadOrder>,
) {
    loop {
        let order = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => Some(order),
                None => return,
            },
            _ = hangup.recv() => None,
        };
        let answer = reload(&shared, &config).await;
        match &answer {
            Ok(ReloadAnswer { rules }) => tracing::info!(rules, "the rules were read again"),
            Err(error) => tracing::error!(%error, "the rules stay what they were"),
        }
        if let Some(order) = order {
            let _ = order.send(answer); // who asked may be gone
        }
    }
}

/// All files or none. A thread of their own compiles them, so that only the swap stands between two events, and gives back the set they
/// replace: what one thread allocates and another frees is spread over both of their heaps, and stays with the process.
async fn reload(shared: &Shared, config: &Arc<Config>) -> Result<ReloadAnswer, ReloadError> {
    let now = Moment(shared.with(|core| core.now()).0);
    let config = Arc::clone(config);
    let (compiled, judge) = oneshot::channel();
    let (replaced, before) = oneshot::channel();
    let thread = thread::Builder::new().name("rules".to_owned());
    let thread = thread.spawn(move || {
        let loaded = config.load_rules(now).map(Judge::new);
        let is_right = loaded.is_ok();
        if compiled.send(loaded).is_ok() && is_right {
            drop(before.blocking_recv()); // a node that stops replaces nothing
        }
    });
    let refused = |error: &dyn std::fmt::Display| ReloadError::Rules {
        what: error.to_string(),
    };
    let thread = thread.map_err(|error| refused(&error))?;
    let judge = judge.await.map_err(|_| ReloadError::Stopping)?;
    let judge = judge.map_err(|error| refused(&error))?;
    let rules = judge.len();
    let _ = replaced.send(shared.with(|core: &mut Core| core.set_rules(judge))); // it waits for it
    // Its heap is the next one's, once it has ended.
    let ended = spawn_blocking(move || thread.join()).await;
    let _ = ended.map_err(|_| ReloadError::Stopping)?; // what it gave back last has no answer
    Ok(ReloadAnswer { rules })
}
