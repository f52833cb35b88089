//! What devices say of themselves: births, and the kinds and reports beside them.

use filters::decode::device::DeviceKinds;
use spool::Seq;
use wire::{
    Versions,
    answer::{
        BirthReason, BirthRefusal, Welcome, encode_birth_refused, encode_birth_wanted,
        encode_no_version, encode_welcome,
    },
    birth::{Birth, Presence},
};

use super::{
    super::{Broker, journal::Journal},
    NO_PLACE_AGAIN_MS, Peer,
};
use crate::{device::BootClock, mqtt::packet::ReasonCode, record::Change};

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
        let link = self.devices.links.entry(peer.connection).or_default();
        match presence {
            Presence::Birth(birth) => return self.take_birth(journal, peer, &birth),
            Presence::Kinds(kinds) => {
                for table in kinds.iter() {
                    if let Err(error) = link.beside.announce(&table) {
                        tracing::debug!(client = peer.client, %error, "a kind is refused");
                        return Err(ReasonCode::ImplementationSpecificError);
                    }
                }
            }
            Presence::Report { uptime_ms, .. } => {
                if let Some(clock) = self.devices.clocks.get_mut(peer.client) {
                    clock.note(journal.now, uptime_ms);
                }
            }
            Presence::Offline { .. } | Presence::Result { .. } | Presence::Configured { .. } => {}
        }
        Ok(Seq::ZERO)
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
        let before = self.devices.clocks.get(peer.client).copied();
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
                .map_err(|_| self.refuse_birth(peer, BirthRefusal::Devices))?;
        }
        for gap in &reception.gaps {
            self.note_missing(peer.client, gap.stream, gap.count, journal.now);
        }
        self.devices.counts.births += 1;
        self.devices.clocks.insert(peer.client.to_owned(), clock);
        if let Some(link) = self.devices.links.get_mut(&peer.connection) {
            link.be_born(device.incarnation);
        }
        // What it says is stored may be about to be.
        let gate = journal.appended();
        let welcome = Welcome {
            version: Versions::OURS.agree(device.versions).unwrap_or_default(),
            time_ms: journal.plausible_time(),
            configuration: 0,
        };
        self.tell(peer.connection, gate, |into| {
            encode_welcome(&welcome, &reception.stored, into)
        });
        Ok(gate)
    }

    pub(super) fn refuse_birth(&mut self, peer: &Peer<'_>, reason: BirthRefusal) -> ReasonCode {
        tracing::warn!(
            client = peer.client,
            ?reason,
            "the birth of a device is refused"
        );
        self.tell(peer.connection, Seq::ZERO, |into| {
            encode_birth_refused(reason, NO_PLACE_AGAIN_MS, into)
        });
        ReasonCode::QuotaExceeded
    }
}
