//! What the mesh services ask about their groups.

use std::{collections::BTreeMap, time::Duration};

use filters::TopicFilter;
use spool::{CursorId, Seq};
use tokio::sync::oneshot;

use super::handle::{NodeHandle, PublishError, Request};

/// What a door asks of the core about groups.
pub enum GroupRequest {
    /// Open a durable group.
    Open {
        /// Its name.
        name: String,
        /// What it hears.
        filters: Vec<TopicFilter>,
        /// Its cursor, and the position that must be committed before it is there.
        reply: oneshot::Sender<Result<(CursorId, Seq), PublishError>>,
    },
    /// Remove it.
    Remove {
        /// Its name.
        name: String,
        /// The position that must be committed before it is gone.
        reply: oneshot::Sender<Result<Seq, PublishError>>,
    },
    /// Note that it has no member.
    Rest {
        /// Its name.
        name: String,
        /// The position that must be committed before that is known.
        reply: oneshot::Sender<Result<Seq, PublishError>>,
    },
    /// Tell which are noted to have none.
    Resting {
        /// The names of their cursors, and for how long.
        reply: oneshot::Sender<BTreeMap<String, Duration>>,
    },
}

impl NodeHandle {
    /// Opens the durable group `name` (creates its cursor if it is new, starting now) and sets its topic filters.
    /// Returns once that is durable.
    pub async fn open_group(
        &self,
        name: &str,
        filters: Vec<TopicFilter>,
    ) -> Result<CursorId, PublishError> {
        let name = name.to_owned();
        let open = |reply| GroupRequest::Open {
            name,
            filters,
            reply,
        };
        let (cursor, seq) = self.ask_of_groups(open).await??;
        self.committed(seq).await?;
        Ok(cursor)
    }

    /// Removes a group; what it was owed enters the ledger.
    pub async fn remove_group(&self, name: &str) -> Result<(), PublishError> {
        let name = name.to_owned();
        let remove = |reply| GroupRequest::Remove { name, reply };
        let seq = self.ask_of_groups(remove).await??;
        self.committed(seq).await
    }

    /// Notes that a group has no member, until it is opened again. Returns once that is durable.
    pub async fn rest_group(&self, name: &str) -> Result<(), PublishError> {
        let name = name.to_owned();
        let rest = |reply| GroupRequest::Rest { name, reply };
        let seq = self.ask_of_groups(rest).await??;
        self.committed(seq).await
    }

    /// The cursors of groups that are noted to have no member, and for how long, over all starts of the node.
    pub async fn resting_groups(&self) -> Result<BTreeMap<String, Duration>, PublishError> {
        self.ask_of_groups(|reply| GroupRequest::Resting { reply })
            .await
    }

    async fn ask_of_groups<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> GroupRequest,
    ) -> Result<T, PublishError> {
        self.ask(|reply| Request::Groups(request(reply))).await
    }
}
