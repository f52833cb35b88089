//! What the node knows of devices: the fold of their births and events over the log.

use std::{collections::BTreeMap, ops::Bound};

use filters::decode::device::{DeviceKinds, KindConflict};
use serde::{Deserialize, Serialize};
use wire::{
    List, Mark,
    answer::{BirthRefusal, Stored},
    birth::{self, Birth, Dropped, StreamState},
    kind::{KindId, Table},
};

use super::{
    BootClock, Commands, Configuration, ConfigurationState, ConfigurationStep, LossCause,
    LossReport,
    losses::Losses,
    place::{Place, StreamId},
};

/// Streams kept of one device, over all its outboxes.
const MAX_STREAMS: usize = 64;
/// Boots whose epoch is kept.
const MAX_BOOTS: usize = 4;

/// All devices that were ever born, up to a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    devices: BTreeMap<String, Device>,
    pub(crate) commands: Commands,
    /// The highest version of a configuration that each device has named; in a checkpoint behind what there was before it.
    #[serde(skip)]
    named: BTreeMap<String, u32>,
}

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What it said of itself at its latest birth.
    pub about: About,
    kinds: DeviceKinds,
    streams: BTreeMap<StreamId, StreamMark>,
    boots: Vec<Boot>,
    /// Events that never come, as far as they were announced or missed.
    pub lost: u64,
    reported: Losses,
    configuration: Option<Configuration>,
}

/// What a device says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of its firmware.
    pub firmware: String,
    /// Of its outbox.
    pub incarnation: u32,
    /// Its boot counter.
    pub boot: u32,
    /// The configuration it works with; 0 for its own.
    pub configuration: u32,
}

/// How far the node is in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StreamMark {
    boot: u32,
    seq: u64,
    /// All before this place are stored or known to be lost: (boot, seq).
    floor: (u32, u64),
    /// Time of the latest event.
    time_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Boot {
    incarnation: u32,
    boot: u32,
    /// When it began, milliseconds on the node clock.
    epoch_ms: i64,
}

/// What a birth tells the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Born {
    about: About,
    kinds: DeviceKinds,
    /// The latest boots, the present one last.
    boots: Vec<Boot>,
    /// The streams it names, with the first place that may still come.
    streams: Vec<(StreamId, (u32, u64))>,
    lost: u64,
}

/// What a birth means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reception {
    /// What is to be logged; `None` if the log knows all of it.
    pub born: Option<Box<Born>>,
    /// What the birth says is gone and was not known to be.
    pub(crate) gaps: Vec<Gap>,
    /// What the node has, for the welcome.
    pub(crate) stored: Vec<Stored>,
    /// Streams of older outboxes whose places are needed: their events would be taken for new ones.
    pub(crate) forgotten: usize,
}

/// Events of one stream that never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) stream: StreamId,
    pub(crate) count: u64,
}

impl Registry {
    /// The device of this name.
    pub fn get(&self, device: &str) -> Option<&Device> {
        self.devices.get(device)
    }

    /// The highest version of a configuration that a device has named or was given, whoever gave it: a device knows by its
    /// version what it went back from.
    pub(crate) fn highest_configuration(&self, device: &str) -> u32 {
        let named = self.named.get(device).copied();
        let known = self.get(device);
        let given = known.and_then(Device::configuration).map(|it| it.version);
        let works_with = known.map(|it| it.about.configuration);
        let all = [named, given, works_with].into_iter().flatten();
        all.max().unwrap_or(0)
    }

    /// What each device has named, for a checkpoint.
    pub(crate) fn named(&self) -> &BTreeMap<String, u32> {
        &self.named
    }

    /// Takes it back from a checkpoint.
    pub(crate) fn restore_named(&mut self, named: BTreeMap<String, u32>) {
        self.named = named;
    }

    fn note_named(&mut self, device: &str, version: u32) {
        if version > self.highest_configuration(device) {
            self.named.insert(device.to_owned(), version);
        }
    }

    /// Those whose names are behind this one, by name.
    pub fn behind(&self, name: &str) -> impl Iterator<Item = (&str, &Device)> {
        let behind = (Bound::Excluded(name), Bound::Unbounded);
        let devices = self.devices.range::<str, _>(behind);
        devices.map(|(name, it)| (name.as_str(), it))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// What a birth means to the node, which knows at most `bound` devices; `beside` are tables that came before it on the
    /// same connection, `clocks` what is known of the device's latest boots.
    pub(crate) fn receive_birth(
        &self,
        name: &str,
        birth: &Birth<'_>,
        beside: &DeviceKinds,
        clocks: &[BootClock],
        bound: usize,
    ) -> Result<Reception, BirthRefusal> {
        let known = self.get(name);
        if known.is_none() && self.len() >= bound {
            return Err(BirthRefusal::Devices);
        }
        let nobody = Device::default();
        let known = known.unwrap_or(&nobody);
        let kinds = known.with_kinds(beside, &birth.kinds)?;
        let mut streams = Vec::new();
        let mut gaps = Vec::new();
        for state in birth.streams.iter() {
            let id = StreamId::of(state.incarnation, state.stream);
            let mut mark = known.streams.get(&id).copied();
            let mut count = mark.map_or(0, |mark| mark.lost_before(&state));
            let of_stream = |it: &Dropped| StreamId::of(it.incarnation, it.stream) == id;
            let mut floor = (state.oldest.boot, state.oldest.seq);
            // What is behind all events and cannot be read is what was being written when the power went: it was never
            // committed, so nobody was promised it.
            let was_committed =
                |it: &Dropped| it.from <= state.last || it.reason != birth::LossReason::Unreadable;
            let dropped = birth.dropped.iter().filter(of_stream);
            for dropped in dropped.filter(was_committed) {
                count = lost_by(mark, &state, &dropped).saturating_add(count);
                if dropped.from > state.last {
                    floor = floor.max((dropped.to.boot, dropped.to.seq.saturating_add(1)));
                }
            }
            let floor = mark.get_or_insert_default().floor.max(floor);
            if count > 0 {
                gaps.push(Gap { stream: id, count });
            }
            streams.push((id, floor));
        }
        if streams.len() > MAX_STREAMS {
            return Err(BirthRefusal::Bound);
        }
        let stored = streams
            .iter()
            .filter_map(|(id, _)| id.stored(known.mark(*id)))
            .collect();
        let born = Born {
            about: About::of(&birth.device),
            kinds,
            boots: known.boots_with(clocks),
            streams,
            lost: gaps
                .iter()
                .fold(0, |lost, gap| gap.count.saturating_add(lost)),
        };
        let is_known = known.knows(&born);
        Ok(Reception {
            forgotten: known.without_place(&born).len(),
            born: (!is_known).then(|| Box::new(born)),
            gaps,
            stored,
        })
    }

    /// Folds a birth.
    pub(crate) fn apply_birth(&mut self, name: &str, born: Born) {
        // It may have worked with a higher one before.
        let highest = self.highest_configuration(name);
        if highest > born.about.configuration {
            self.named.insert(name.to_owned(), highest);
        }
        let device = self.devices.entry(name.to_owned()).or_default();
        for id in device.without_place(&born) {
            device.streams.remove(&id);
        }
        for (id, floor) in &born.streams {
            let mark = device.streams.entry(*id).or_default();
            mark.floor = mark.floor.max(*floor);
        }
        device.boots = born.boots;
        device.about = born.about;
        device.kinds = born.kinds;
        device.lost = device.lost.saturating_add(born.lost);
    }

    /// Folds what a device said it lost.
    pub(crate) fn apply_report(&mut self, name: &str, report: &LossReport) {
        if let Some(device) = self.devices.get_mut(name) {
            device.reported.apply(report);
        }
    }

    /// Folds the removal of a device.
    pub(crate) fn remove(&mut self, name: &str) {
        self.devices.remove(name);
        self.named.remove(name);
        self.commands.forget(name);
    }

    /// Folds a step of a device's configuration.
    pub(crate) fn apply_configuration(&mut self, name: &str, step: ConfigurationStep) {
        if let ConfigurationStep::Said { version, .. } = step {
            self.note_named(name, version);
        }
        let Some(device) = self.devices.get_mut(name) else {
            return;
        };
        match step {
            ConfigurationStep::Changed { version, data } => {
                device.configuration = Some(Configuration {
                    version,
                    data,
                    state: ConfigurationState::Waiting,
                });
            }
            ConfigurationStep::Said { version, state } => {
                let known = device.configuration.as_mut();
                let Some(known) = known.filter(|it| it.version == version) else {
                    return;
                };
                known.state = state;
                if state == ConfigurationState::Applied {
                    device.about.configuration = version;
                }
            }
        }
    }

    /// Memory that configurations take.
    pub(crate) fn configuration_bytes(&self) -> usize {
        let known = self.devices.values().filter_map(Device::configuration);
        known.map(|it| it.data.len()).sum()
    }

    /// Folds an event.
    pub(crate) fn apply_event(&mut self, name: &str, place: &Place) {
        let Some(device) = self.devices.get_mut(name) else {
            return; // its birth was before, or it was removed since
        };
        let mark = device.streams.entry(place.stream).or_default();
        let missing = mark.advance(place.mark(), place.mark());
        device.lost = device.lost.saturating_add(missing);
        mark.time_ms = mark.time_ms.max(place.time_ms);
    }

    /// Folds that events up to the last of so many were refused for good.
    pub(crate) fn apply_refused(&mut self, name: &str, stream: StreamId, last: Mark, count: u64) {
        let Some(device) = self.devices.get_mut(name) else {
            return;
        };
        let mark = device.streams.entry(stream).or_default();
        let first = Mark {
            seq: last.seq.saturating_sub(count.saturating_sub(1)),
            ..last
        };
        let missing = mark.advance(first, last);
        device.lost = device.lost.saturating_add(missing).saturating_add(count);
    }
}

impl Device {
    /// The tables it announced.
    pub fn kinds(&self) -> &DeviceKinds {
        &self.kinds
    }

    /// How far the node is in a stream.
    pub fn mark(&self, stream: StreamId) -> Mark {
        self.streams
            .get(&stream)
            .map_or(Mark::default(), StreamMark::mark)
    }

    /// Its streams and how far the node is in them.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, Mark)> {
        self.streams.iter().map(|(id, mark)| (*id, mark.mark()))
    }

    /// What it says it lost in all its boots: stream, cause, and how many.
    pub fn reported(&self) -> impl Iterator<Item = (u8, LossCause, u64)> {
        self.reported.totals()
    }

    /// What a report adds to that.
    pub(crate) fn added(&self, report: &LossReport) -> BTreeMap<(u8, LossCause), u64> {
        self.reported.added(report)
    }

    /// What the node has for it to work with.
    pub fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()
    }

    /// Whether one stream more may be kept.
    pub(super) fn has_place_for(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream) || self.streams.len() < MAX_STREAMS
    }

    /// Events between the last that is stored or known to be lost and this one.
    pub(super) fn missing_before(&self, stream: StreamId, mark: Mark) -> u64 {
        let known = self.streams.get(&stream).copied().unwrap_or_default();
        known.missing_before(mark)
    }

    /// No event of the stream is earlier, milliseconds since 1970.
    pub(crate) fn time_of_latest(&self, stream: StreamId) -> u64 {
        self.streams.get(&stream).map_or(0, |mark| mark.time_ms)
    }

    /// When a boot began, milliseconds on the node clock, as it was known when the next one came.
    pub(crate) fn epoch_ms(&self, incarnation: u32, boot: u32) -> Option<i64> {
        let mut boots = self.boots.iter();
        let boot = boots.find(|it| it.incarnation == incarnation && it.boot == boot);
        boot.map(|boot| boot.epoch_ms)
    }

    /// Its latest boots, those of `clocks` as these have them.
    fn boots_with(&self, clocks: &[BootClock]) -> Vec<Boot> {
        let known = clocks.iter().filter_map(Boot::of);
        let mut boots = self.boots.clone();
        for boot in known {
            boots.retain(|it| (it.incarnation, it.boot) != (boot.incarnation, boot.boot));
            boots.push(boot);
        }
        boots.drain(..boots.len().saturating_sub(MAX_BOOTS));
        boots
    }

    /// What it announced with what was known before. Where that is too much, what is known goes: a birth announces every kind
    /// of which events wait.
    fn with_kinds(
        &self,
        beside: &DeviceKinds,
        announced: &List<'_, Table<'_>>,
    ) -> Result<DeviceKinds, BirthRefusal> {
        let with = |mut kinds: DeviceKinds| {
            kinds.merge(beside)?;
            for table in announced.iter() {
                kinds.announce(&table)?;
            }
            Ok(kinds)
        };
        let kinds = match with(self.kinds.clone()) {
            Err(KindConflict::TooMany) => with(DeviceKinds::default()),
            kinds => kinds,
        };
        kinds.map_err(|conflict| match conflict {
            KindConflict::Changed(id) => BirthRefusal::Changed(KindId(id)),
            KindConflict::Twin(id) => BirthRefusal::Twin(KindId(id)),
            KindConflict::TooMany => BirthRefusal::Bound,
        })
    }

    fn knows(&self, born: &Born) -> bool {
        let floor = |(id, floor): &(StreamId, (u32, u64))| {
            self.streams.get(id).is_some_and(|it| it.floor >= *floor)
        };
        let present = &born.about;
        let has_boot = self.epoch_ms(present.incarnation, present.boot).is_some();
        has_boot
            && self.about == born.about
            && self.kinds == born.kinds
            && born.streams.iter().all(floor)
    }

    /// The streams that give their places to those of a birth: of outboxes it does not name, the longest silent first. A
    /// device names the latest of its earlier outboxes only, so what it does not name may come again: nothing goes that need
    /// not.
    fn without_place(&self, born: &Born) -> Vec<StreamId> {
        let named = |id: &StreamId| {
            id.incarnation == born.about.incarnation || born.streams.iter().any(|(it, _)| it == id)
        };
        let new = born.streams.iter();
        let new = new.filter(|(id, _)| !self.streams.contains_key(id)).count();
        let excess = (self.streams.len() + new).saturating_sub(MAX_STREAMS);
        let mut others: Vec<_> = self.streams.iter().filter(|(id, _)| !named(id)).collect();
        others.sort_by_key(|(_, mark)| mark.time_ms);
        others.iter().take(excess).map(|(id, _)| **id).collect()
    }
}

impl Boot {
    fn of(clock: &BootClock) -> Option<Boot> {
        Some(Boot {
            incarnation: clock.incarnation,
            boot: clock.boot,
            epoch_ms: clock.epoch_ms()?,
        })
    }
}

impl About {
    fn of(device: &birth::Device<'_>) -> About {
        About {
            firmware: device.firmware.to_owned(),
            incarnation: device.incarnation,
            boot: device.boot,
            configuration: device.configuration,
        }
    }
}

/// Events that a range in a birth says are gone and that no jump shows: neither the one to the oldest event there is, nor
/// one between events that are to come.
fn lost_by(known: Option<StreamMark>, state: &StreamState, dropped: &Dropped) -> u64 {
    let next = known.map_or(Mark::default(), |mark| mark.next());
    let (from, to) = (dropped.from.max(next), dropped.to);
    let shows = match from > state.last {
        // Of the boot that the device is in, or behind all of an earlier one.
        true => known.is_some() && to < state.oldest && to.boot == state.oldest.boot,
        false if to >= state.oldest => true,
        false => known.is_some() && [state.oldest.boot, state.last.boot].contains(&to.boot),
    };
    match shows || to < from {
        true => 0,
        false if from.boot == to.boot => (to.seq - from.seq).saturating_add(1),
        false => to.seq,
    }
}

impl StreamMark {
    fn mark(&self) -> Mark {
        Mark {
            boot: self.boot,
            seq: self.seq,
        }
    }

    /// The stream is at `last`, with what came at once from `first` on. Gives how many are missing before that.
    fn advance(&mut self, first: Mark, last: Mark) -> u64 {
        if last <= self.mark() {
            return 0;
        }
        let missing = self.missing_before(first);
        (self.boot, self.seq) = (last.boot, last.seq);
        missing
    }

    /// The first place that is neither stored nor known to be lost.
    fn next(&self) -> Mark {
        let behind = (self.boot, self.seq.saturating_add(1));
        let (boot, seq) = behind.max(self.floor);
        Mark { boot, seq }
    }

    /// Events from the first that is not accounted for to the one before `mark`.
    fn missing_before(&self, mark: Mark) -> u64 {
        let next = self.next();
        if mark.boot == next.boot {
            mark.seq.saturating_sub(next.seq)
        } else {
            // A boot that nobody announced: of the one before it what is missing cannot be known.
            mark.seq.saturating_sub(1)
        }
    }

    /// Events that a birth says are gone and that were not accounted for.
    fn lost_before(&self, state: &StreamState) -> u64 {
        let (next, oldest, last) = (self.next(), state.oldest, state.last);
        if oldest <= next {
            return 0;
        }
        if oldest.boot == next.boot {
            return oldest.seq.saturating_sub(next.seq);
        }
        let of_earlier = match last.boot == next.boot && last.seq >= next.seq {
            true => (last.seq - next.seq).saturating_add(1),
            false if last.boot > next.boot && oldest.boot > last.boot => last.seq,
            false => 0,
        };
        of_earlier.saturating_add(oldest.seq.saturating_sub(1))
    }
}
