//! Reading the rules again while the node runs: on SIGHUP and on order, one after the other.

use std::sync::Arc;

use filters::stage::Moment;
use tokio::{
    signal::unix::Signal,
    sync::mpsc,
    task::{JoinError, spawn_blocking},
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

/// All files or none. They are compiled on a thread of its own, so that only the swap stands between two events.
async fn reload(shared: &Shared, config: &Arc<Config>) -> Result<ReloadAnswer, ReloadError> {
    let stopping = |_: JoinError| ReloadError::Stopping;
    let now = Moment(shared.with(|core| core.now()).0);
    let config = Arc::clone(config);
    let loaded = spawn_blocking(move || config.load_rules(now).map(Judge::new));
    let judge = loaded.await.map_err(stopping)?;
    let judge = judge.map_err(|error| ReloadError::Rules {
        what: error.to_string(),
    })?;
    let rules = judge.len();
    let before = shared.with(|core: &mut Core| core.set_rules(judge));
    // A large set takes its time to be given back.
    let freed = spawn_blocking(move || drop(before));
    freed.await.map_err(stopping)?;
    Ok(ReloadAnswer { rules })
}
