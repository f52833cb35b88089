//! Requests about groups.

use super::{Core, requests::full};
use crate::node::groups::GroupRequest;

impl Core {
    pub(super) fn handle_group_request(&mut self, request: GroupRequest) {
        // An asker that went away needs no answer.
        match request {
            GroupRequest::Open {
                name,
                filters,
                reply,
            } => {
                let opened = self
                    .transact(|broker, journal| broker.handle_open_group(journal, &name, &filters));
                drop(reply.send(opened.map_err(full)));
            }
            GroupRequest::Remove { name, reply } => {
                let removed =
                    self.transact(|broker, journal| broker.handle_remove_group(journal, &name));
                drop(reply.send(removed.map_err(full)));
            }
            GroupRequest::Rest { name, reply } => {
                let noted =
                    self.transact(|broker, journal| broker.handle_rest_group(journal, &name));
                drop(reply.send(noted.map_err(full)));
            }
            GroupRequest::Resting { reply } => {
                drop(reply.send(self.broker.resting_groups(self.now())));
            }
        }
    }
}
