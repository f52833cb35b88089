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
            DeviceRequest::Command {
                device,
                order,
                reply,
            } => {
                let ordered =
                    self.transact(|broker, journal| broker.handle_command(journal, &device, order));
                let answer = ordered.map(|(command, at)| {
                    let id = self.broker.command_id(command);
                    (id, at)
                });
                drop(reply.send(answer));
            }
            DeviceRequest::Configure {
                device,
                data,
                reply,
            } => {
                let given = self.transact(|broker, journal| {
                    broker.handle_configuration(journal, &device, data)
                });
                drop(reply.send(given));
            }
            DeviceRequest::Commands { device, reply } => {
                let commands = self.broker.commands_status(&device, now);
                drop(reply.send(commands));
            }
        }
    }
}
