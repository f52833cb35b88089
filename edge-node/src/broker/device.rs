//! Devices that speak the compact format: their messages on `d/` and `b/`, and what they are told on `a/`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZeroU16,
    sync::Arc,
};

use spool::{Lane, LossReason, NodeTime, Seq};
use wire::topic::{Channel, DeviceId, Prefix, Topic};

mod commands;
mod events;
mod orders;
mod presence;
mod refused;
mod telling;
mod views;

use super::{
    Broker,
    answer::{Answer, Gate},
    connection::ConnectionId,
    fault::PeerError,
    journal::Journal,
    session::SessionId,
};
use crate::{
    config::{DeviceDataForm, DevicesConfig, SpoolConfig},
    device::{BootClock, Link, Registry, StreamId, Wanted},
    mqtt::packet::{Publish, QoS, ReasonCode, Version},
    node::status::DevicesStatus,
};

/// The devices, and the connections they are on.
#[derive(Default)]
pub(super) struct Devices {
    pub(super) registry: Registry,
    served: Option<Served>,
    links: HashMap<ConnectionId, Link>,
    /// Those that were born since the start, by their name.
    heard: HashMap<String, Heard>,
    /// Connections on which a commit lets something be told. What waits for a time has a timer: a commit asks no device that
    /// it does nothing for.
    telling: BTreeSet<ConnectionId>,
    /// Events of this transaction that ordered nothing, and have to be told so.
    refusals: Vec<orders::Refusal>,
    /// Since the start.
    counts: DevicesStatus,
}

/// What is heard of a device since the start.
struct Heard {
    /// When it booted.
    clock: BootClock,
    /// When it last said something.
    at: NodeTime,
    /// Tables it was asked for.
    wanted: Wanted,
}

/// On which terms devices are served.
struct Served {
    prefix: String,
    /// Devices known at one time.
    most: usize,
    /// Memory that commands and configurations may take.
    command_bytes: usize,
    /// Of streams that do not go where their topic does.
    lanes: BTreeMap<u8, Lane>,
    data: DeviceDataForm,
    /// Whether events order commands.
    takes_orders: bool,
}

/// Somebody at the other end of a device's topic.
#[derive(Clone, Copy)]
struct Peer<'a> {
    connection: ConnectionId,
    session: SessionId,
    client: &'a str,
    topic: &'a str,
    publish: &'a Publish,
}

impl Broker {
    /// Serves devices on these terms.
    pub fn serve_devices(&mut self, config: &DevicesConfig, spool: &SpoolConfig) {
        let lanes = config.lanes.iter();
        let lanes = lanes.filter_map(|(stream, name)| Some((stream.0, spool.lane(name)?)));
        self.devices.served = Some(Served {
            lanes: lanes.collect(),
            data: config.data,
            takes_orders: config.command_events,
            prefix: config.prefix.clone(),
            most: config.max_devices as usize,
            command_bytes: config.command_bound.as_usize(),
        });
    }

    /// A topic of a device; `None` where no device can have this name.
    fn topic_to(&self, name: &str, channel: Channel) -> Option<String> {
        let topic = Topic {
            prefix: Prefix::new(&self.devices.served.as_ref()?.prefix)?,
            channel,
            device: DeviceId::new(name)?,
        };
        Some(topic.to_string())
    }

    /// Whether somebody else than a client may publish on this topic: on those of devices nobody may speak for them or
    /// for the node.
    pub fn is_open_topic(&self, topic: &str) -> bool {
        self.device_topic(topic).is_none()
    }

    /// What is known of devices.
    pub fn devices(&self) -> &Registry {
        &self.devices.registry
    }

    /// The devices, for status.
    pub fn devices_status(&self) -> DevicesStatus {
        let links = self.devices.links.values();
        DevicesStatus {
            known: self.devices.registry.len() as u64,
            connected: links.filter(|link| link.born.is_some()).count() as u64,
            ..self.devices.counts.clone()
        }
    }

    /// The connection on which a device was born.
    fn device_connection(&self, name: &str) -> Option<ConnectionId> {
        let session = self.clients.get(name).and_then(|id| self.sessions.get(*id));
        let connection = session?.connection?;
        let link = self.devices.links.get(&connection)?;
        link.born.map(|_| connection)
    }

    /// What a topic is to devices, if it is theirs.
    pub(super) fn device_topic<'t>(&self, topic: &'t str) -> Option<(Channel, DeviceId<'t>)> {
        let served = self.devices.served.as_ref()?;
        Prefix::new(&served.prefix)?.split(topic)
    }

    /// Whether a client may subscribe to what the node says to a device: only to what it says to itself.
    pub(super) fn may_hear(&self, client: &str, filter: &str) -> bool {
        let Some(served) = &self.devices.served else {
            return true;
        };
        let rest = filter.strip_prefix(served.prefix.as_str());
        let rest = match served.prefix.is_empty() {
            true => rest,
            false => rest.and_then(|rest| rest.strip_prefix('/')),
        };
        let whose = rest.and_then(|it| it.strip_prefix("a/").or(it.strip_prefix("c/")));
        whose.is_none_or(|whose| whose == client || whose.contains('/'))
    }

    /// A publish on a topic of devices.
    pub(super) fn handle_device_publish(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session: SessionId,
        publish: &Publish,
        topic: &str,
    ) -> Result<(), PeerError> {
        let client = self.sessions.get(session).map(|it| Arc::clone(&it.client));
        let (Some((channel, device)), Some(client)) = (self.device_topic(topic), client) else {
            return Ok(());
        };
        let is_own = device.as_str() == &*client && channel.is_up();
        self.count_open(id, publish.qos)?;
        self.count_received(publish.qos);
        let peer = Peer {
            connection: id,
            session,
            client: &client,
            topic,
            publish,
        };
        if let Some(heard) = self.devices.heard.get_mut(&*client).filter(|_| is_own) {
            heard.at = journal.now;
        }
        let taken = match channel {
            _ if !is_own || publish.qos == QoS::ExactlyOnce || publish.retain => {
                Err(ReasonCode::NotAuthorized)
            }
            Channel::Data => self.take_events(journal, &peer),
            _ => self.take_presence(journal, &peer),
        };
        self.devices.counts.refused += u64::from(taken.is_err());
        if let Some(packet_id) = publish.packet_id {
            self.acknowledge_device(&peer, packet_id.0, taken);
        }
        self.tell_device(id, journal.now);
        Ok(())
    }

    /// PUBACK says that the packet came; what it held is acknowledged on `a/`.
    fn acknowledge_device(
        &mut self,
        peer: &Peer<'_>,
        packet_id: NonZeroU16,
        taken: Result<Seq, ReasonCode>,
    ) {
        let (gate, reason) = match taken {
            Ok(seq) => (seq, ReasonCode::Success),
            Err(reason) => (Seq::ZERO, reason),
        };
        let version = self.connections.get(peer.connection).map(|it| it.version);
        if version == Some(Version::V311) && reason.is_error() {
            return; // it could not tell this from success
        }
        let answer = match peer.publish.qos {
            QoS::ExactlyOnce => Answer::PubRec(packet_id, reason),
            _ => Answer::PubAck(packet_id, reason),
        };
        self.answer(peer.connection, Gate::Committed(gate), answer);
    }

    fn note_lost(&mut self, client: &str, stream: StreamId, count: u64, now: NodeTime) {
        if count > 0 {
            self.devices.counts.lost += count;
            let scope = format!("device {client}/{}", stream.number);
            self.lose(LossReason::LostAtDevice, scope, count, 0, now);
        }
    }

    /// The connection of a device ended.
    pub(super) fn forget_link(&mut self, id: ConnectionId) {
        self.devices.links.remove(&id);
        self.devices.telling.remove(&id);
    }
}
