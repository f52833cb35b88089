//! The node as the outbox meets it, without connections and a log.

use std::collections::BTreeMap;

use filters::decode::device::DeviceKinds;
use wire::{
    Mark, Stream, Versions,
    birth::{Device, Dropped, Presence, StreamState, encode_birth},
    envelope::Envelope,
    kind::Announced,
};

use super::{
    super::{Link, Place, Registry, StreamId, Verdict},
    device::{ALARM, READING, Said},
};

/// Incarnation, boot, stream, sequence.
pub(crate) type Id = (u32, u32, u8, u64);

/// Lives that are tried, and at which of their operations they are cut: this node takes its time.
pub(crate) const SEEDS: u64 = 2;
pub(crate) const EVERY: usize = 11;

const NAME: &str = "pump-7";

#[derive(Default)]
pub(crate) struct Node {
    registry: Registry,
    link: Link,
    /// What came, in its order.
    pub(crate) events: Vec<(Id, Vec<u8>)>,
    /// What the ledger counts as lost.
    lost: BTreeMap<StreamId, u64>,
}

impl Node {
    pub(crate) fn mark(&self, incarnation: u32, stream: Stream) -> Mark {
        let stream = StreamId::of(incarnation, stream);
        let device = self.registry.get(NAME);
        device.map_or(Mark::default(), |device| device.mark(stream))
    }

    pub(crate) fn born(
        &mut self,
        (incarnation, boot): (u32, u32),
        streams: &[StreamState],
        dropped: &[Dropped],
    ) {
        let device = Device {
            versions: Versions::OURS,
            incarnation,
            boot,
            uptime_ms: 0,
            firmware: "1",
            configuration: 0,
            kinds: 2,
        };
        let kinds = [READING, ALARM].map(Announced::new);
        let mut message = [0; 1024];
        let message = encode_birth(&device, streams, dropped, &kinds, &mut message);
        let Ok(Presence::Birth(birth)) = Presence::decode(message.expect("there is room")) else {
            panic!("no birth")
        };
        let received = self
            .registry
            .receive_birth(NAME, &birth, &DeviceKinds::default(), &[], 1);
        let received = received.expect("the device is welcome");
        for gap in received.gaps {
            *self.lost.entry(gap.stream).or_default() += gap.count;
        }
        if let Some(born) = received.born {
            self.registry.apply_birth(NAME, *born);
        }
        self.link.be_born(incarnation);
    }

    /// Takes a message: of which stream it is.
    pub(crate) fn receive(&mut self, born: u32, message: &[u8]) -> (u32, Stream) {
        let envelope = Envelope::decode(message).expect("a message of events");
        let head = envelope.head();
        let incarnation = head.incarnation.unwrap_or(born);
        let device = self.registry.get(NAME).expect("it was born");
        let have = match self.link.judge(device, None, &envelope) {
            Verdict::Take { have, missing } => {
                let stream = StreamId::of(incarnation, head.stream);
                *self.lost.entry(stream).or_default() += missing;
                have
            }
            Verdict::Repeat => envelope.count(),
            verdict => panic!("{verdict:?}"),
        };
        for event in envelope.events(born).skip(have) {
            let place = Place::of(event.id, 0);
            self.registry.apply_event(NAME, &place);
            let id = (incarnation, place.boot, place.stream.number, place.seq);
            self.events.push((id, event.data.to_vec()));
        }
        (incarnation, head.stream)
    }

    /// Where the ledger counts fewer events than were committed and did not come, or more than there were.
    pub(crate) fn unreported(&self, gone: &[&Said]) -> Vec<String> {
        let mut most: BTreeMap<StreamId, (u64, u64)> = BTreeMap::new();
        for said in gone {
            let (incarnation, _, number, _) = said.id;
            let (committed, all) = most
                .entry(StreamId {
                    incarnation,
                    number,
                })
                .or_default();
            *committed += u64::from(said.is_committed);
            *all += 1;
        }
        let streams = most.keys().chain(self.lost.keys());
        let wrong = streams.filter_map(|stream| {
            let (committed, all) = most.get(stream).copied().unwrap_or_default();
            let counted = self.lost.get(stream).copied().unwrap_or_default();
            let is_right = (committed..=all).contains(&counted);
            (!is_right)
                .then(|| format!("{stream:?}: {counted} of {committed} to {all} are counted"))
        });
        wrong.collect()
    }
}
