//! Commands and configurations on their way down.

use spool::{Full, LossReason, NodeTime, Seq};
use wire::{
    MAX_DATA, MAX_TEXT,
    command::{Command as Wire, CommandId, Configured, Outcome},
    topic::Channel,
};

use super::{
    super::{Broker, connection::ConnectionId, deadline::Timer, journal::Journal},
    Peer,
};
use crate::{
    device::{
        Asker, Command, CommandOutcome, CommandState, CommandStep, ConfigurationState,
        ConfigurationStep, Down, MOST_OPEN,
    },
    mqtt::packet::ReasonCode,
    node::devices::{CommandOrder, DeviceError},
    record::Change,
};

/// How soon what found no room in the log is tried again.
const NO_ROOM_AGAIN_MS: u64 = 1_000;
/// What the packet and the message need beside their topic, name and data.
const MESSAGE_BYTES: usize = 32;

impl Broker {
    /// Takes a command for a device in; its number and the position that must be committed before it is promised.
    pub fn handle_command(
        &mut self,
        journal: &mut Journal<'_>,
        device: &str,
        order: CommandOrder,
    ) -> Result<(u64, Seq), DeviceError> {
        self.known_device(device)?;
        check_length("name", order.name.len(), 1, MAX_TEXT)?;
        check_length("data", order.data.len(), 0, MAX_DATA)?;
        let commands = &self.devices.registry.commands;
        let asked = order.asker.as_ref();
        if let Some(seq) = asked.and_then(|asker| commands.asked(device, asker)) {
            return Ok((seq, self.appended));
        }
        if commands.of(device).filter(|(_, it)| it.is_open()).count() >= MOST_OPEN {
            return Err(DeviceError::TooMany {
                device: device.to_owned(),
            });
        }
        let command = Command {
            device: device.to_owned(),
            name: order.name,
            data: order.data,
            at: journal.now,
            expires: NodeTime(journal.now.0.saturating_add(order.expires_ms)),
            state: CommandState::Waiting,
        };
        let gone = self.room_for(command.bytes() + asked.map_or(0, Asker::bytes))?;
        let (seq, expires) = (commands.next(), command.expires);
        let ordered = match order.asker {
            None => CommandStep::Ordered { command, gone },
            Some(asker) => CommandStep::Asked {
                command,
                gone,
                asker,
            },
        };
        let at = self.step(journal, seq, ordered).map_err(no_room)?;
        self.timers.set(Timer::CommandEnd(seq), expires);
        self.send_next_command(journal, device);
        Ok((seq, self.appended.max(at)))
    }

    /// Gives a device another configuration; its version and the position that must be committed before it is promised.
    pub fn handle_configuration(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
        data: Vec<u8>,
    ) -> Result<(u32, Seq), DeviceError> {
        self.known_device(name)?;
        check_length("data", data.len(), 0, MAX_DATA)?;
        let highest = self.devices.registry.highest_configuration(name);
        let gone = self.room_for(data.len())?;
        if !gone.is_empty() {
            let forgotten = Change::CommandsForgotten { commands: gone };
            self.change(journal, forgotten).map_err(no_room)?;
        }
        let version = highest.saturating_add(1);
        let changed = ConfigurationStep::Changed { version, data };
        let seq = self.configure(journal, name, changed).map_err(no_room)?;
        self.send_configuration(journal, name);
        Ok((version, self.appended.max(seq)))
    }

    pub(super) fn known_device(&self, name: &str) -> Result<(), DeviceError> {
        match self.devices.registry.get(name) {
            Some(_) => Ok(()),
            None => Err(DeviceError::Unknown {
                device: name.to_owned(),
            }),
        }
    }

    /// Which commands that are over give up their place for so many bytes.
    fn room_for(&self, bytes: usize) -> Result<Vec<u64>, DeviceError> {
        let bound = self
            .devices
            .served
            .as_ref()
            .map_or(0, |it| it.command_bytes);
        let registry = &self.devices.registry;
        let room = registry
            .commands
            .room_for(registry.configuration_bytes() + bytes, bound);
        room.ok_or(DeviceError::Full { bound })
    }

    /// Sends a device the first of its commands that is to be run, unless that is on its way already.
    pub(in crate::broker) fn send_next_command(&mut self, journal: &mut Journal<'_>, name: &str) {
        let Some(connection) = self.command_connection(name) else {
            return;
        };
        while let Some((seq, command)) = self.devices.registry.commands.first_open(name) {
            let is_on_its_way = (self.devices.links.get(&connection))
                .is_some_and(|link| link.commanded == Some(seq));
            if is_on_its_way {
                return;
            }
            let fits = self.fits(connection, name, command.name.len() + command.data.len());
            let step = match (fits, &command.state) {
                (false, _) => Some(CommandStep::Ended {
                    outcome: CommandOutcome::TooLarge,
                    data: Vec::new(),
                }),
                (true, CommandState::Waiting) => Some(CommandStep::Sent),
                (true, _) => None,
            };
            if let Some(step) = step
                && self.step(journal, seq, step).is_err()
            {
                let again = NodeTime(journal.now.0 + NO_ROOM_AGAIN_MS);
                self.timers
                    .set_at_latest(Timer::SendDown(name.to_owned()), again);
                return;
            }
            if fits {
                return self.send_down(connection, journal.appended(), Down::Command(seq));
            }
        }
    }

    /// Sends a device the configuration the node has for it, if it works with another.
    pub(super) fn send_configuration(&mut self, journal: &mut Journal<'_>, name: &str) {
        let connection = self.command_connection(name);
        let device = self.devices.registry.get(name);
        let (Some(connection), Some(device)) = (connection, device) else {
            return;
        };
        let wanted = device.configuration();
        let Some(wanted) = wanted.filter(|it| it.is_for(device.about.configuration)) else {
            return;
        };
        if self.fits(connection, name, wanted.data.len()) {
            return self.send_down(connection, journal.appended(), Down::Configuration);
        }
        let said = ConfigurationStep::Said {
            version: wanted.version,
            state: ConfigurationState::TooLarge,
        };
        // No room for it in the log: the next birth finds the same.
        let _ = self.configure(journal, name, said);
    }

    /// The connection on which a device was born, if it hears there what goes down.
    fn command_connection(&self, name: &str) -> Option<ConnectionId> {
        let connection = self.device_connection(name)?;
        let session = self
            .clients
            .get(name)
            .and_then(|id| self.sessions.get(*id))?;
        let topic = self.topic_to(name, Channel::Command)?;
        let hears = session.kept.subscriptions.contains_key(&topic);
        hears.then_some(connection)
    }

    fn send_down(&mut self, connection: ConnectionId, gate: Seq, what: Down) {
        if let Some(link) = self.devices.links.get_mut(&connection) {
            link.send_down(gate, what);
            self.devices.telling.insert(connection);
        }
    }

    /// Whether a client takes a packet of so much name and data.
    fn fits(&self, connection: ConnectionId, name: &str, bytes: usize) -> bool {
        let most = self
            .connections
            .get(connection)
            .map(|it| it.limits.maximum_packet_size);
        let topic = self
            .topic_to(name, Channel::Command)
            .map_or(0, |it| it.len());
        let head = topic + MESSAGE_BYTES;
        most.is_none_or(|most| head + bytes <= most)
    }

    /// The message of what is to be sent to a device.
    pub(super) fn encode_down(&self, name: &str, what: Down, into: &mut [u8]) -> Option<Vec<u8>> {
        let registry = &self.devices.registry;
        let message = match what {
            Down::Command(seq) => {
                let command = registry.commands.get(seq).filter(|it| it.is_open())?;
                Wire::Run {
                    id: CommandId {
                        origin: self.command_origin(),
                        seq,
                    },
                    name: &command.name,
                    data: &command.data,
                }
            }
            Down::Configuration => {
                let wanted = registry.get(name)?.configuration()?;
                Wire::Configure {
                    version: wanted.version,
                    data: &wanted.data,
                }
            }
        };
        let bytes = message.encode(into).expect("bounded so that it fits");
        Some(bytes.to_vec())
    }

    /// What tells the commands of this data directory from those of others.
    pub(super) fn command_origin(&self) -> u32 {
        self.identity.node as u32
    }

    /// A device says how a command ended.
    pub(super) fn take_result(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
        id: CommandId,
        outcome: Outcome,
        data: &[u8],
    ) -> Result<Seq, ReasonCode> {
        let command = self.devices.registry.commands.get(id.seq);
        let is_its_own = command.is_some_and(|it| it.device == peer.client && it.may_end());
        if !is_its_own || id.origin != self.command_origin() {
            return Ok(journal.appended()); // of another data directory, or said before
        }
        let ended = CommandStep::Ended {
            outcome: outcome.into(),
            data: data.to_vec(),
        };
        let seq = self.step(journal, id.seq, ended);
        let seq = seq.map_err(|_| ReasonCode::QuotaExceeded)?;
        self.send_next_command(journal, peer.client);
        Ok(seq)
    }

    /// A device says what became of its configuration.
    pub(super) fn take_configured(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
        version: u32,
        outcome: Configured,
    ) -> Result<Seq, ReasonCode> {
        let device = self.devices.registry.get(peer.client);
        let wanted = device.and_then(|it| it.configuration());
        let is_news = wanted.is_some_and(|it| it.version == version && it.state != outcome.into());
        // The configurations of this node count on from one that another gave.
        let is_higher =
            device.is_some() && version > self.devices.registry.highest_configuration(peer.client);
        if !is_news && !is_higher {
            return Ok(journal.appended());
        }
        let said = ConfigurationStep::Said {
            version,
            state: outcome.into(),
        };
        let seq = self.configure(journal, peer.client, said);
        seq.map_err(|_| ReasonCode::QuotaExceeded)
    }

    /// The time of a command is over.
    pub(in crate::broker) fn command_is_due(&mut self, journal: &mut Journal<'_>, seq: u64) {
        let command = self.devices.registry.commands.get(seq);
        let Some(command) = command.filter(|it| it.is_open()) else {
            return;
        };
        let device = command.device.clone();
        if self.step(journal, seq, CommandStep::Expired).is_err() {
            let again = NodeTime(journal.now.0 + NO_ROOM_AGAIN_MS);
            self.timers.set(Timer::CommandEnd(seq), again);
            return;
        }
        let scope = format!("commands to {device}");
        self.lose(LossReason::Expired, scope, 1, 0, journal.now);
        self.send_next_command(journal, &device);
    }

    /// Lets the time of commands run that recovery folded.
    pub(in crate::broker) fn restart_commands(&mut self) {
        let open = self.devices.registry.commands.iter();
        for (seq, command) in open.filter(|(_, it)| it.is_open()) {
            self.timers.set(Timer::CommandEnd(seq), command.expires);
        }
    }

    fn step(
        &mut self,
        journal: &mut Journal<'_>,
        command: u64,
        step: CommandStep,
    ) -> Result<Seq, Full> {
        self.change(journal, Change::CommandMoved { command, step })
    }

    fn configure(
        &mut self,
        journal: &mut Journal<'_>,
        device: &str,
        step: ConfigurationStep,
    ) -> Result<Seq, Full> {
        let device = device.to_owned();
        self.change(journal, Change::DeviceConfigured { device, step })
    }
}

fn check_length(
    what: &'static str,
    is: usize,
    least: usize,
    most: usize,
) -> Result<(), DeviceError> {
    match (least..=most).contains(&is) {
        true => Ok(()),
        false => Err(DeviceError::Length {
            what,
            is,
            least,
            most,
        }),
    }
}

fn no_room(full: Full) -> DeviceError {
    DeviceError::Unavailable {
        what: full.to_string(),
    }
}
