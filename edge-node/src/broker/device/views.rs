//! Devices as doors show them.

use spool::{NodeTime, Seq};

use super::super::{Broker, journal::Journal};
use crate::{
    device::Device,
    node::devices::{
        DeviceError, DevicePage, DeviceStatus, DeviceSummary, DevicesQuery, KindStatus,
        ReportedStatus, StreamStatus,
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
        })
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
        let seq = self
            .change(journal, removed)
            .map_err(|full| DeviceError::Unavailable {
                what: full.to_string(),
            })?;
        self.devices.heard.remove(name);
        Ok(seq)
    }
}

fn hex(incarnation: u32) -> String {
    format!("{incarnation:08x}")
}
