use std::{cell::Cell, time::Duration};

use spool::NodeTime;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::TICK;

/// Rings when something is due, also if that became known only while it was awaited.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// When it rings.
    at: Cell<NodeTime>,
    /// That was moved forward.
    moved: Notify,
}

impl Alarm {
    /// Something is due at that time: it rings by then.
    pub(super) fn move_to(&self, due: NodeTime) {
        if due < self.at.get() {
            self.at.set(due);
            self.moved.notify_one();
        }
    }

    /// Returns at `due` or a [`TICK`] after `now`, whichever comes first, or when it is moved to.
    pub(super) async fn ring(&self, now: NodeTime, due: Option<NodeTime>) {
        let began = Instant::now();
        let tick_ms = TICK.as_millis().try_into().unwrap_or(u64::MAX);
        let latest = NodeTime(now.0.saturating_add(tick_ms));
        self.at.set(due.map_or(latest, |due| due.min(latest)));
        loop {
            // A little later than due, so that what is due is so.
            let wait_ms = self.at.get().0.saturating_sub(now.0) + 1;
            tokio::select! {
                () = sleep_until(began + Duration::from_millis(wait_ms)) => return,
                () = self.moved.notified() => {}
            }
        }
    }
}
