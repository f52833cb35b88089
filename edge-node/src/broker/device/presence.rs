//! What devices say of themselves: births, and the kinds and reports beside them.

use filters::decode::device::DeviceKinds;
use spool::{NodeTime, Seq};
use wire::{
    List, Versions,
    answer::{
        BirthReason, BirthRefusal, Welcome, encode_birth_wanted, encode_no_version, encode_welcome,
    },
    birth::{Birth, Loss, Presence},
};

use super::{
    super::{Broker, journal::Journal, message::Message, session::SessionId},
    Heard, Peer,
};
use crate::{
    device::{BootClock, LossReport},
    mqtt::packet::{QoS, ReasonCode},
    record::Change,
};

impl Broker {
    pub(super) fn take_presence(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
    ) -> Result<Seq, ReasonCode> {
        let payload = &peer.publish.payload;
        if let Some(versions) = Versions::of_birth(payload)
            && Versions::OURS.agree(versions).is_none()
        {
            self.devices.links.entry(peer.connection).or_default();
            self.tell(peer.connection, Seq::ZERO, |into| {
                encode_no_version(Versions::OURS, into)
            });
            return Err(ReasonCode::ImplementationSpecificError);
        }
        let presence = Presence::decode(payload).map_err(|error| {
            tracing::debug!(client = peer.client, %error, "no message of a device");
            ReasonCode::PayloadFormatInvalid
        })?;
        let taken = self.follow(journal, peer, presence)?;
        self.show(journal.now, peer.topic, &peer.publish.payload, peer.session);
        Ok(taken)
    }

    /// Shows what a device says of itself to local subscribers that are there; it is not kept for others.
    pub(in crate::broker) fn show(
        &mut self,
        now: NodeTime,
        topic: &str,
        payload: &[u8],
        publisher: SessionId,
    ) {
        let audience = self.subscriptions.audience(topic);
        let message = Message {
            topic,
            properties: &[],
            received: now,
            qos: QoS::AtMostOnce,
            retain: false,
            payload,
        };
        self.fan_out(now, &message, &audience, Some(publisher), None);
    }

    fn follow(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
        presence: Presence<'_>,
    ) -> Result<Seq, ReasonCode> {
        match presence {
            Presence::Birth(birth) => self.take_birth(journal, peer, &birth),
            Presence::Kinds(kinds) => {
                let link = self.devices.links.entry(peer.connection).or_default();
                for table in kinds.iter() {
                    if let Err(error) = link.beside.announce(&table) {
                        tracing::debug!(client = peer.client, %error, "a kind is refused");
                        return Err(ReasonCode::ImplementationSpecificError);
                    }
                }
                Ok(Seq::ZERO)
            }
            Presence::Report { uptime_ms, losses } => {
                self.take_report(journal, peer, uptime_ms, &losses)
            }
            Presence::Result { id, outcome, data } => {
                self.take_result(journal, peer, id, outcome, data)
            }
            Presence::Configured {
                version,
                configured,
            } => self.take_configured(journal, peer, version, configured),
            Presence::Offline { .. } => Ok(Seq::ZERO),
        }
    }

    pub(super) fn take_birth(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
        birth: &Birth<'_>,
    ) -> Result<Seq, ReasonCode> {
        let most = self.devices.served.as_ref().map_or(0, |it| it.most);
        let link = self.devices.links.entry(peer.connection).or_default();
        let announced = link.beside.len() + birth.kinds.len();
        if announced < usize::from(birth.device.kinds) {
            let reason = BirthReason::Missing;
            self.tell(peer.connection, Seq::ZERO, |into| {
                encode_birth_wanted(reason, into)
            });
            return Err(ReasonCode::ImplementationSpecificError);
        }
        let beside: &DeviceKinds = &link.beside;
        let registry = &self.devices.registry;
        let device = &birth.device;
        let before = self.devices.heard.get(peer.client).map(|heard| heard.clock);
        let mut clock = before
            .filter(|clock| clock.is_of(device.incarnation, device.boot))
            .unwrap_or_else(|| BootClock::of(device));
        clock.note(journal.now, device.uptime_ms);
        let clocks: Vec<BootClock> = before.into_iter().chain([clock]).collect();
        let received = registry.receive_birth(peer.client, birth, beside, &clocks, most);
        let reception = received.map_err(|reason| self.refuse_birth(peer, reason))?;
        if let Some(born) = reception.born {
            let device = peer.client.to_owned();
            self.change(journal, Change::DeviceBorn { device, born })
                .map_err(|_| self.refuse_birth(peer, BirthRefusal::NoRoom))?;
        }
        if reception.forgotten > 0 {
            tracing::warn!(
                client = peer.client,
                streams = reception.forgotten,
                "a device has more streams than are kept; those of its oldest outboxes are forgotten"
            );
        }
        for gap in &reception.gaps {
            self.note_lost(peer.client, gap.stream, gap.count, journal.now);
        }
        self.devices.counts.births += 1;
        self.hear_birth(peer.client, clock, journal.now);
        if let Some(link) = self.devices.links.get_mut(&peer.connection) {
            link.be_born(device.incarnation);
        }
        // What it says is stored may be about to be.
        let gate = journal.appended();
        let known = self.devices.registry.get(peer.client);
        let configuration = known.and_then(|it| it.configuration());
        let welcome = Welcome {
            version: Versions::OURS.agree(device.versions).unwrap_or_default(),
            time_ms: journal.plausible_time(),
            configuration: configuration.map_or(0, |it| it.version),
        };
        self.tell(peer.connection, gate, |into| {
            encode_welcome(&welcome, &reception.stored, into)
        });
        self.send_configuration(journal, peer.client);
        self.send_next_command(journal, peer.client);
        Ok(gate)
    }

    fn hear_birth(&mut self, client: &str, clock: BootClock, at: NodeTime) {
        let before = self.devices.heard.remove(client);
        let mut wanted = before.map(|it| it.wanted).unwrap_or_default();
        if let Some(known) = self.devices.registry.get(client) {
            wanted.be_born(known.kinds());
        }
        let heard = Heard { clock, at, wanted };
        self.devices.heard.insert(client.to_owned(), heard);
    }

    /// What a device lost shows in its sequences, and is counted there; here it says why.
    fn take_report(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
        uptime_ms: u64,
        losses: &List<'_, Loss>,
    ) -> Result<Seq, ReasonCode> {
        let is_born =
            (self.devices.links.get(&peer.connection)).is_some_and(|it| it.born.is_some());
        let device = self.devices.registry.get(peer.client);
        let Some(device) = device.filter(|_| is_born) else {
            return Err(ReasonCode::ImplementationSpecificError);
        };
        if let Some(heard) = self.devices.heard.get_mut(peer.client) {
            heard.clock.note(journal.now, uptime_ms);
        }
        let report = LossReport::of(&device.about, losses);
        let added = device.added(&report);
        if added.is_empty() {
            return Ok(journal.appended());
        }
        let device = peer.client.to_owned();
        let lost = Change::DeviceLost { device, report };
        let seq = self.change(journal, lost);
        let seq = seq.map_err(|_| ReasonCode::QuotaExceeded)?;
        for ((_, cause), count) in added {
            let reported = &mut self.devices.counts.reported;
            *reported.entry(cause.name().to_owned()).or_default() += count;
        }
        Ok(seq)
    }
}
