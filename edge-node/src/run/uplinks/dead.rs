//! What becomes of the dead letters of a sink that runs.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{Shared, Uplink, Uplinks};
use crate::node::dead::{DeadAnswer, DeadError, DeadFate, Graveyard};

impl Uplink {
    fn graveyard(&self, shared: &Shared) -> Graveyard {
        Graveyard {
            sink: self.name().to_owned(),
            cursors: self.sink.cursors,
            spool: shared.spool.clone(),
            clock: Arc::clone(&shared.clock),
        }
    }

    /// Status and the bound of dead letters soon know how many are kept.
    pub(super) fn count_dead_letters(&self, shared: &Shared) {
        let graveyard = self.graveyard(shared);
        spawn_blocking(move || {
            if let Err(error) = graveyard.count() {
                tracing::warn!(sink = graveyard.sink, %error, "dead letters cannot be counted");
            }
        });
    }
}

impl Uplinks {
    pub(super) async fn settle(
        &self,
        sink: String,
        fate: DeadFate,
    ) -> Result<DeadAnswer, DeadError> {
        let Ok(uplink) = self.uplink(&sink) else {
            let names = self.names();
            return Err(DeadError::UnknownSink { sink, names });
        };
        let graveyard = uplink.graveyard(&self.shared);
        let durable = async |seq| self.durable(seq).await.is_ok();
        let records = graveyard.settle(fate, durable).await?;
        tracing::info!(sink, records, ?fate, "dead letters are settled");
        Ok(DeadAnswer { sink, records })
    }
}
