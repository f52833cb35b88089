//! Requests about devices.

use super::Core;
use crate::node::devices::{DeviceError, DeviceRequest};

impl Core {
    pub(super) fn handle_device_request(&mut self, request: DeviceRequest) {
        let now = self.now();
        // An asker that went away needs no answer.
        match request {
            DeviceRequest::List { query, reply } => {
                drop(reply.send(self.broker.device_page(&query, now)));
            }
            DeviceRequest::Show { device, reply } => {
                let status = self.broker.device_status(&device, now);
                drop(reply.send(status.ok_or(DeviceError::Unknown { device })));
            }
            DeviceRequest::Remove { device, reply } => {
                let removed =
                    self.transact(|broker, journal| broker.handle_remove_device(journal, &device));
                drop(reply.send(removed));
            }
        }
    }
}
