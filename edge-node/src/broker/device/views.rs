//! Devices as doors show them.

use base64::{Engine, engine::general_purpose::STANDARD};
use spool::{LossReason, NodeTime, Seq};

use super::super::{Broker, journal::Journal};
use crate::{
    device::{Command, CommandState, Device},
    node::devices::{
        CommandStage, CommandStatus, ConfigurationStatus, DeviceError, DevicePage, DeviceStatus,
        DeviceSummary, DevicesQuery, KindStatus, ReportedStatus, StreamStatus,
    },
    record::Change,
};

impl Broker {
    /// Some devices, by name.
    pub fn device_page(&self, query: &DevicesQuery, now: NodeTime) -> DevicePage {
        let mut behind = self.devices.registry.behind(&query.after);
        let page = behind.by_ref().take(query.limit);
        let devices: Vec<DeviceSummary> = page
            .map(|(name, device)| self.device_summary(name, device, now))
            .collect();
        let is_more = behind.next().is_some();
        let last = devices.last().filter(|_| is_more);
        DevicePage {
            next: last.map(|it| it.id.clone()),
            devices,
        }
    }

    /// All that is known of a device.
    pub fn device_status(&self, name: &str, now: NodeTime) -> Option<DeviceStatus> {
        let device = self.devices.registry.get(name)?;
        let kinds = device.kinds().iter().map(|(r#type, version)| KindStatus {
            r#type: r#type.to_owned(),
            version,
        });
        let streams = device.streams().map(|(id, mark)| StreamStatus {
            incarnation: hex(id.incarnation),
            stream: id.number,
            boot: mark.boot,
            seq: mark.seq,
        });
        let reported = device
            .reported()
            .map(|(stream, cause, count)| ReportedStatus {
                stream,
                cause: cause.name().to_owned(),
                count,
            });
        Some(DeviceStatus {
            summary: self.device_summary(name, device, now),
            kinds: kinds.collect(),
            streams: streams.collect(),
            reported: reported.collect(),
            wanted: device.configuration().map(|it| ConfigurationStatus {
                version: it.version,
                state: it.state,
                data_base64: STANDARD.encode(&it.data),
            }),
        })
    }

    /// The commands that are kept for a device, by number.
    pub fn commands_status(
        &self,
        name: &str,
        now: NodeTime,
    ) -> Result<Vec<CommandStatus>, DeviceError> {
        self.known_device(name)?;
        let commands = self.devices.registry.commands.of(name);
        Ok(commands
            .map(|(seq, it)| self.command_status(seq, it, now))
            .collect())
    }

    pub(super) fn command_status(
        &self,
        seq: u64,
        command: &Command,
        now: NodeTime,
    ) -> CommandStatus {
        let (state, outcome, said) = match &command.state {
            CommandState::Waiting => (CommandStage::Waiting, None, None),
            CommandState::Sent => (CommandStage::Sent, None, None),
            CommandState::Expired { sent: false } => (CommandStage::Expired, None, None),
            CommandState::Expired { sent: true } => (CommandStage::Unknown, None, None),
            CommandState::Ended { outcome, data } | CommandState::EndedLate { outcome, data } => (
                CommandStage::Ended,
                Some(*outcome),
                Some(STANDARD.encode(data)),
            ),
        };
        let left_ms = command.expires.0.saturating_sub(now.0);
        CommandStatus {
            id: self.command_id(seq),
            name: command.name.clone(),
            state,
            outcome,
            data_base64: said,
            age_ms: now.0.saturating_sub(command.at.0),
            expires_in_ms: command.is_open().then_some(left_ms),
        }
    }

    /// What a command is called outside.
    pub fn command_id(&self, seq: u64) -> String {
        format!("{}-{seq}", hex(self.command_origin()))
    }

    fn device_summary(&self, name: &str, device: &Device, now: NodeTime) -> DeviceSummary {
        let heard = self.devices.heard.get(name);
        DeviceSummary {
            id: name.to_owned(),
            connected: self.device_connection(name).is_some(),
            seen_ms: heard.map(|heard| now.0.saturating_sub(heard.at.0)),
            firmware: device.about.firmware.clone(),
            incarnation: hex(device.about.incarnation),
            boot: device.about.boot,
            configuration: device.about.configuration,
            lost: device.lost,
        }
    }

    /// Forgets a device that is away.
    pub fn handle_remove_device(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
    ) -> Result<Seq, DeviceError> {
        let device = || name.to_owned();
        if self.devices.registry.get(name).is_none() {
            return Err(DeviceError::Unknown { device: device() });
        }
        if self.device_connection(name).is_some() {
            return Err(DeviceError::Connected { device: device() });
        }
        let removed = Change::DeviceRemoved { device: device() };
        let waiting = self.devices.registry.commands.of(name);
        let waiting = waiting.filter(|(_, it)| it.is_open()).count() as u64;
        let seq = self
            .change(journal, removed)
            .map_err(|full| DeviceError::Unavailable {
                what: full.to_string(),
            })?;
        self.devices.heard.remove(name);
        if waiting > 0 {
            let scope = format!("commands to {name}");
            self.lose(LossReason::CursorRemoved, scope, waiting, 0, journal.now);
        }
        Ok(seq)
    }
}

fn hex(incarnation: u32) -> String {
    format!("{incarnation:08x}")
}
