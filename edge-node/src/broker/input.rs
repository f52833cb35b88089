//! Bytes of a client, cut into packets and handed to whoever they concern; when a client is not read.

use bytes::BytesMut;
use spool::NodeTime;

use super::{
    Broker,
    action::Action,
    connection::{Connection, ConnectionId, Intake, OUT_STOP_BYTES, Phase},
    fault::PeerError,
    journal::Journal,
    session::SessionId,
};
use crate::mqtt::{
    decode::DecodeError,
    packet::{Packet, ReasonCode},
};

/// Bytes taken from a socket at once.
const INPUT_BYTES: usize = 64 << 10;
/// As many while the log takes no publish: enough to see what comes.
const INPUT_BYTES_WHILE_FULL: usize = 2 << 10;

impl Broker {
    /// A client sent bytes: takes all whole packets out of them, up to a bound, and as many as surely fit this transaction. What
    /// is left stays for later.
    pub fn handle_input(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        bytes: &mut BytesMut,
    ) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.last_seen = journal.now;
        connection.intake = Intake::Open;
        let mut input = std::mem::take(&mut connection.input);
        if input.is_empty() {
            self.take_packets(journal, id, bytes);
            input.extend_from_slice(bytes);
        } else {
            input.extend_from_slice(bytes);
            let before = input.len();
            self.take_packets(journal, id, &mut input);
            if input.len() < before {
                // What was taken out shares the buffer, and would keep all of it.
                input = BytesMut::from(input.as_ref());
            }
        }
        bytes.clear();
        if let Some(connection) = self.connections.get_mut(id)
            && connection.phase != Phase::Closing
        {
            let waits = connection.intake != Intake::Open && !input.is_empty();
            connection.put_by = waits.then(|| connection.put_by.unwrap_or(journal.now));
            connection.input = input;
        }
        if std::mem::take(&mut self.room_made) {
            self.feed_hungry();
        }
        if let Some(session) = self.connections.get(id).and_then(Connection::session) {
            self.note_given(journal, session);
        }
    }

    /// A stopped client is read again: takes the packets that were already here.
    pub fn handle_resumed(&mut self, journal: &mut Journal<'_>, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let mut input = std::mem::take(&mut connection.input);
        self.handle_input(journal, id, &mut input);
    }

    fn take_packets(&mut self, journal: &mut Journal<'_>, id: ConnectionId, input: &mut BytesMut) {
        loop {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            if connection.phase == Phase::Closing {
                return;
            }
            let is_over = self.withheld.get() >= self.limits.withheld_bytes;
            if connection.is_held_up(input, self.limits.receive_maximum, is_over) {
                connection.intake = Intake::Stopped;
                return;
            }
            if asks_for_record(input) && journal.is_waiting_full() && self.puts_off(id) {
                return;
            }
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            let size = connection.decoder.size_of_next(input);
            if !journal.has_place_for(size.unwrap_or_default()) {
                connection.intake = Intake::Reopened;
                self.actions.push_back(Action::Resume(id));
                return;
            }
            let result = match connection.decoder.decode(input) {
                Ok(Some(packet)) => {
                    self.counters.packets += 1;
                    connection.turn = None;
                    self.handle_packet(journal, id, packet)
                }
                Ok(None) => return,
                // Whoever sent it may not speak MQTT at all, and gets no answer in it.
                Err(DecodeError::UnknownProtocol) => Err(PeerError::Malformed(
                    ReasonCode::MalformedPacket,
                    DecodeError::UnknownProtocol.to_string(),
                )),
                Err(error) => Err(PeerError::Malformed(error.reason(), error.to_string())),
            };
            if let Err(error) = result {
                self.fail(journal, id, &error);
                return;
            }
        }
    }

    /// Does not read a client on before the next commit.
    fn puts_off(&mut self, id: ConnectionId) -> bool {
        let open = self.connections.get_mut(id);
        let Some(connection) = open.filter(|it| it.session().is_some()) else {
            return false;
        };
        connection.intake = Intake::Stopped;
        let turn = *connection.turn.get_or_insert_with(|| {
            self.turns += 1;
            self.turns
        });
        self.put_off.insert((turn, id));
        true
    }

    /// When the node read the packet that it takes: before now where its connection was not read on in between.
    pub(super) fn received_at(&self, id: ConnectionId, now: NodeTime) -> NodeTime {
        let connection = self.connections.get(id);
        connection.and_then(|it| it.put_by).unwrap_or(now)
    }

    /// Something was committed: there may be room for what was put off.
    pub(super) fn take_up(&mut self) {
        for (_, id) in std::mem::take(&mut self.put_off) {
            self.resume_reading(id);
        }
    }

    /// A connection ended: it waits for no commit.
    pub(super) fn forget_put_off(&mut self, id: ConnectionId) {
        if let Some(turn) = self.connections.get(id).and_then(|c| c.turn) {
            self.put_off.remove(&(turn, id));
        }
    }

    fn handle_packet(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        packet: Packet,
    ) -> Result<(), PeerError> {
        let Some(connection) = self.connections.get(id) else {
            return Ok(());
        };
        match (connection.phase, packet) {
            (Phase::Greeting, Packet::Connect(connect)) => {
                self.handle_connect(journal, id, &connect)
            }
            (Phase::Greeting, _) => Err(PeerError::Malformed(
                ReasonCode::ProtocolError,
                "the first packet is not CONNECT".into(),
            )),
            (Phase::Closing, _) => Ok(()),
            (Phase::Open(session), packet) => self.handle_open(journal, id, session, packet),
        }
    }

    fn handle_open(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session: SessionId,
        packet: Packet,
    ) -> Result<(), PeerError> {
        match packet {
            Packet::Publish(publish) => {
                self.handle_publish(journal, id, session, publish)?;
            }
            Packet::PubAck(ack) => self.handle_acknowledgement(session, ack.packet_id.0)?,
            Packet::PubRec(ack) => {
                self.handle_receipt(journal, id, session, ack.packet_id.0, ack.reason)?
            }
            Packet::PubRel(ack) => self.handle_release(journal, id, session, ack.packet_id.0)?,
            Packet::PubComp(ack) => self.handle_completion(journal, session, ack.packet_id.0)?,
            Packet::Subscribe(subscribe) => {
                self.handle_subscribe(journal, id, session, &subscribe)?
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.handle_unsubscribe(journal, id, session, unsubscribe)?
            }
            Packet::PingReq => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.send(&Packet::PingResp);
                }
                self.flush(id);
            }
            Packet::Disconnect(disconnect) => {
                self.handle_disconnect(journal, id, session, &disconnect)?
            }
            Packet::Auth(_) => {
                return Err(PeerError::Protocol(
                    ReasonCode::ProtocolError,
                    "AUTH without an authentication method",
                ));
            }
            Packet::Connect(_) => {
                return Err(PeerError::Protocol(
                    ReasonCode::ProtocolError,
                    "a second CONNECT",
                ));
            }
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                return Err(PeerError::Protocol(
                    ReasonCode::ProtocolError,
                    "a packet that only a server sends",
                ));
            }
        }
        Ok(())
    }

    /// Whether bytes of this client are to be read at all.
    pub fn wants_input(&self, id: ConnectionId) -> bool {
        let reads = |connection: &Connection| {
            connection.intake == Intake::Open && connection.phase != Phase::Closing
        };
        !self.stopping && self.connections.get(id).is_some_and(reads)
    }

    /// Bytes to take at once from a client that is to be read: few while publishers are put off, for what the next of them has
    /// sent would wait here, over all connections beyond any bound.
    pub fn input_bytes(&self) -> usize {
        match self.put_off.is_empty() {
            true => INPUT_BYTES,
            false => INPUT_BYTES_WHILE_FULL,
        }
    }

    /// Reads a stopped connection again once it is below its bounds.
    pub(super) fn resume_reading(&mut self, id: ConnectionId) {
        let is_over = self.withheld.get() >= self.limits.withheld_bytes;
        let maximum = self.limits.receive_maximum;
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let waits_its_turn = |turn| self.put_off.contains(&(turn, id));
        let stays = connection.turn.is_some_and(waits_its_turn)
            || connection.is_held_up(&connection.input, maximum, is_over);
        if connection.intake == Intake::Stopped && !stays {
            connection.intake = Intake::Reopened;
            self.actions.push_back(Action::Resume(id));
        }
    }
}

impl Connection {
    /// Whether its next packet must wait, since it would add to what is at its bound. The others are read: what holds them up
    /// may be the very debt that they acknowledge. `is_over`: what is withheld of all clients is at its bound.
    fn is_held_up(&self, input: &[u8], receive_maximum: usize, is_over: bool) -> bool {
        self.out.len() >= OUT_STOP_BYTES
            || (self.answers.acks() >= receive_maximum && is_answered(input))
            || (is_over && !self.withheld.is_empty() && is_publish(input))
    }
}

/// The kind of the next packet of an open connection.
fn kind(input: &[u8]) -> Option<u8> {
    input.first().map(|first| first >> 4)
}

const PUBLISH: u8 = 3;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;

/// Whether it is a publish that is acknowledged, or changes its session, which may have to be recorded.
fn asks_for_record(input: &[u8]) -> bool {
    is_answered(input) || matches!(kind(input), Some(PUBREC | PUBCOMP))
}

/// Whether it is answered once its cause is on stable storage.
fn is_answered(input: &[u8]) -> bool {
    is_publish(input) || matches!(kind(input), Some(PUBREL | SUBSCRIBE | UNSUBSCRIBE))
}

/// Whether it is a publish above QoS 0, which alone goes on without the log.
fn is_publish(input: &[u8]) -> bool {
    const QOS: u8 = 0b0110;
    let first = input.first().copied().unwrap_or_default();
    kind(input) == Some(PUBLISH) && first & QOS != 0
}
