//! Events of devices on their way in: judged by their marks, expanded, and appended, all of a message or none; of one that is
//! more than a transaction holds by itself, those that fit.

use spool::{Full, Lane, NodeTime, Seq};
use wire::{answer::BirthReason, envelope::Envelope};

use super::{
    super::{
        Broker, flight,
        journal::{Journal, Mint},
        message::Message,
        publish::{Appended, Arrival},
        subscriptions::Audience,
    },
    Heard, Peer,
    refused::NO_PLACE_AGAIN_MS,
};
use crate::{
    config::DeviceDataForm,
    device::{Place, Stopped, StreamId, Verdict, happened},
    ingest::{DeviceData, DeviceEvent},
    mqtt::{packet::ReasonCode, stored},
    record::PublishRecord,
    rules::{Crowded, Judged, Subject},
};

/// The type of events whose table no birth has brought.
const OPAQUE_TYPE: &str = "edge.device.opaque.v1";

impl Broker {
    pub(super) fn take_events(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
    ) -> Result<Seq, ReasonCode> {
        let envelope = Envelope::decode(&peer.publish.payload).map_err(|error| {
            tracing::debug!(client = peer.client, %error, "no message of a device");
            ReasonCode::PayloadFormatInvalid
        })?;
        let link = self.devices.links.entry(peer.connection).or_default();
        let device = self.devices.registry.get(peer.client);
        let wanted = self.devices.heard.get(peer.client).map(|it| &it.wanted);
        let verdict = device.map_or(Verdict::Ask(BirthReason::Missing), |device| {
            link.judge(device, wanted, &envelope)
        });
        let stream = StreamId {
            incarnation: envelope
                .head()
                .incarnation
                .or(link.born)
                .unwrap_or_default(),
            number: envelope.head().stream.number(),
        };
        let count = envelope.count() as u64;
        match verdict {
            Verdict::Take { have, missing } => {
                self.devices.counts.repeats += have as u64;
                let (taken, appended) = self.append_events(journal, peer, &envelope, have);
                if taken > 0 {
                    self.note_missing(peer.client, stream, missing, journal.now);
                }
                appended.map_err(|full| {
                    match full {
                        Full::TooLarge if taken == 0 => {
                            self.refuse_for_good(journal, peer, &envelope, (stream, have, missing));
                        }
                        _ => self.refuse_from(peer, &envelope, stream, have + taken),
                    }
                    ReasonCode::QuotaExceeded
                })
            }
            Verdict::Repeat => {
                let seq = journal.appended();
                let mark = device.map_or(wire::Mark::default(), |device| device.mark(stream));
                link.owe(seq, stream, mark);
                self.devices.counts.repeats += count;
                Ok(seq)
            }
            Verdict::Behind(Stopped { at, after_ms }) => {
                if let Some(after_ms) = after_ms {
                    self.refuse_event(peer, stream, at, after_ms);
                }
                Err(ReasonCode::QuotaExceeded)
            }
            Verdict::Ask(reason) => {
                self.ask_for_birth(peer, &envelope, stream, reason);
                Err(ReasonCode::ImplementationSpecificError)
            }
            Verdict::TooManyStreams => {
                let at = envelope.head().mark;
                self.refuse_event(peer, stream, at, NO_PLACE_AGAIN_MS);
                Err(ReasonCode::QuotaExceeded)
            }
        }
    }

    pub(super) fn note_missing(
        &mut self,
        client: &str,
        stream: StreamId,
        missing: u64,
        now: NodeTime,
    ) {
        self.devices.counts.missing += missing;
        self.note_lost(client, stream, missing, now);
    }

    /// Appends the events behind the first `have`, all or none; where they are more than a transaction holds by themselves, those
    /// that fit. Gives how many are in the log, and why the next is not.
    fn append_events(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
        envelope: &Envelope<'_>,
        have: usize,
    ) -> (usize, Result<Seq, Full>) {
        let stream = envelope.head().stream.number();
        let served = self.devices.served.as_ref();
        let lane = served.and_then(|it| it.lanes.get(&stream).copied());
        let lane = lane.unwrap_or_else(|| journal.lane(peer.topic));
        let audience = self.subscriptions.audience(peer.topic);
        // One PUBLISH came: those who hear it here get it once, with the first of its events.
        let others = audience.of_uplinks();
        let is_alone = journal.is_empty();
        let savepoint = journal.savepoint();
        let mut failed = None;
        let mut taken: Vec<TakenEvent> = Vec::with_capacity(envelope.count() - have);
        for event in self.expand(journal, peer, envelope, have) {
            let is_first = taken.is_empty();
            let heard = if is_first { &audience } else { &others };
            match self.append_device_event(journal, peer, event, heard, is_first, lane) {
                Ok(one) => taken.push(one),
                Err(full) => {
                    failed = Some(full);
                    break;
                }
            }
        }
        let is_too_large = is_alone && !journal.is_waiting_full();
        match failed {
            // A route is left, so that the next time finds it.
            Some(full) if taken.is_empty() => return (0, Err(full)),
            Some(Full::TooLarge | Full::Waiting) if is_too_large => {}
            Some(full) => {
                for one in taken.into_iter().rev() {
                    self.judge.take_back(one.judged);
                }
                journal.back_to(savepoint);
                // The routes interned behind it went with it.
                self.subscriptions.forget();
                return (0, Err(full));
            }
            None => {}
        }
        let last = self.follow_events(journal, peer, &taken, &audience);
        (taken.len(), failed.map_or(Ok(last), Err))
    }

    /// What follows from events that are in the log. Gives the last position.
    fn follow_events(
        &mut self,
        journal: &Journal<'_>,
        peer: &Peer<'_>,
        taken: &[TakenEvent],
        audience: &Audience,
    ) -> Seq {
        self.devices.counts.events += taken.len() as u64;
        let mut last = Seq::ZERO;
        for (index, one) in taken.iter().enumerate() {
            let record = one.record(peer, index == 0);
            let appended = Appended::Publish(one.seq);
            self.follow_judged(&one.judged, appended, &record, journal.now);
            self.apply_publish(one.seq, journal.now, &record);
            if index == 0 {
                let message = Message::of(&record, journal.now);
                let place = flight::Place::Stored(one.seq);
                let publisher = Some(peer.session);
                self.fan_out(journal.now, &message, audience, publisher, Some(&place));
            }
            last = one.seq;
        }
        if let (Some(one), Some(link)) =
            (taken.last(), self.devices.links.get_mut(&peer.connection))
        {
            link.owe(last, one.place.stream, one.place.mark());
        }
        last
    }

    fn append_device_event(
        &mut self,
        journal: &mut Journal<'_>,
        peer: &Peer<'_>,
        event: Expanded,
        audience: &Audience,
        is_first: bool,
        lane: Lane,
    ) -> Result<TakenEvent, Full> {
        let minted = journal.mint_device_event(event.event, lane);
        let mut one = TakenEvent {
            minted,
            properties: stored::encode(&peer.publish.properties).unwrap_or_default(), // decoded ones can be encoded
            data: event.data,
            place: event.place,
            judged: Judged::untouched(lane),
            seq: Seq::ZERO,
        };
        let record = one.record(peer, is_first);
        let mut judged = self.judge.judge(
            &Subject::new(&record),
            lane,
            journal.next(),
            journal.clock(),
            &[],
        );
        let arrival = Arrival {
            publisher: Some(peer.session),
            crowded: Crowded::Waits,
            ..Arrival::of(record, lane)
        };
        match self.append_publish(journal, &arrival, audience, &mut judged) {
            Ok(appended) => {
                one.seq = appended.last();
                one.judged = judged;
                Ok(one)
            }
            Err(full) => {
                self.judge.take_back(judged);
                Err(full)
            }
        }
    }

    /// The events behind the first `have`, each with its id, time and data.
    fn expand(
        &mut self,
        journal: &Journal<'_>,
        peer: &Peer<'_>,
        envelope: &Envelope<'_>,
        have: usize,
    ) -> Vec<Expanded> {
        let (Some(link), Some(device), Some(Heard { clock, .. })) = (
            self.devices.links.get(&peer.connection),
            self.devices.registry.get(peer.client),
            self.devices.heard.get_mut(peer.client),
        ) else {
            return Vec::new();
        };
        let born = link.born.unwrap_or_default();
        let kind = envelope.head().kind;
        let form = self
            .devices
            .served
            .as_ref()
            .map_or_else(DeviceDataForm::default, |it| it.data);
        let is_present = envelope.head().incarnation.is_none_or(|it| it == born)
            && envelope.head().mark.boot == device.about.boot;
        let latest = envelope.events(born).map(|event| event.uptime_ms).max();
        if let Some(uptime_ms) = latest.filter(|_| is_present) {
            clock.note(journal.now, uptime_ms);
        }
        let mut floor = 0;
        let mut expanded = Vec::new();
        for event in envelope.events(born).skip(have) {
            let at = match is_present {
                true => clock.happened(event.uptime_ms),
                false => device
                    .epoch_ms(event.id.incarnation, event.id.boot)
                    .map_or(clock.happened(0), |it| happened(it, event.uptime_ms)),
            };
            let time_ms = journal.time_of(at);
            let mut place = Place::of(event.id, time_ms);
            floor = device.time_of_latest(place.stream).max(floor);
            place.time_ms = time_ms.max(floor);
            floor = place.time_ms;
            let data = match (device.kinds().event(kind, event.data), form) {
                (Ok(json), DeviceDataForm::Json) => DeviceData::Json(json.to_string().into_bytes()),
                (Ok(_), DeviceDataForm::Postcard) => DeviceData::Postcard {
                    bytes: event.data.to_vec(),
                    version: device.kinds().version(kind).unwrap_or_default(),
                },
                (Err(error), _) => {
                    self.devices.counts.invalid += 1;
                    DeviceData::Invalid(event.data.to_vec(), error.to_string())
                }
            };
            expanded.push(Expanded {
                event: DeviceEvent {
                    id: event.id.to_string(),
                    device: peer.client.to_owned(),
                    r#type: device
                        .kinds()
                        .event_type(kind)
                        .unwrap_or(OPAQUE_TYPE)
                        .to_owned(),
                    time_ms: place.time_ms,
                    is_synced: is_present
                        && journal.is_plausible()
                        && clock.is_sure(journal.now, at),
                    data,
                },
                place,
                data: event.data.to_vec(),
            });
        }
        expanded
    }
}

/// An event of a device, expanded by its table.
struct Expanded {
    event: DeviceEvent,
    place: Place,
    /// As it came.
    data: Vec<u8>,
}

/// One that is appended.
struct TakenEvent {
    minted: Mint,
    properties: Vec<u8>,
    data: Vec<u8>,
    place: Place,
    judged: Judged,
    seq: Seq,
}

impl TakenEvent {
    /// The first of a message carries the PUBLISH as it came, the others their own data.
    fn record<'a>(&'a self, peer: &Peer<'a>, is_first: bool) -> PublishRecord<'a> {
        PublishRecord {
            qos: peer.publish.qos,
            retain: false,
            will: false,
            packet_id: None,
            waited_ms: 0,
            place: Some(self.place),
            sender: peer.client,
            origin: "",
            topic: peer.topic,
            properties: &self.properties,
            minted: &self.minted.bytes,
            settled: &[],
            payload: match is_first {
                true => &peer.publish.payload,
                false => &self.data,
            },
        }
    }
}
