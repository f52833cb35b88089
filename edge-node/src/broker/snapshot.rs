//! The checkpoint of the broker's state: the fold so far, as one value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use spool::{CursorId, NodeTime, Seq, clock::ClockMark};

use super::{
    Broker,
    retained::{Asked, Retained},
    session::{Kept, Session},
    start::Identity,
};
use crate::device::Registry;

/// Everything `apply` changes but what rules remember, which follows it. New fields come with a new format version of the log.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    identity: Identity,
    sessions: BTreeMap<String, Kept>,
    groups: Vec<(String, CursorId, Vec<String>)>,
    retained: Retained,
    sinks: BTreeMap<String, NodeTime>,
    clock: Option<ClockMark>,
}

impl Broker {
    /// The state as of the last appended record.
    pub fn snapshot(&self, clock: ClockMark) -> Vec<u8> {
        let durable = self
            .sessions
            .iter()
            .filter(|(_, session)| session.is_durable());
        let snapshot = Snapshot {
            identity: self.identity,
            sessions: durable
                .map(|(_, session)| (session.client.to_string(), kept_of(session)))
                .collect(),
            groups: self
                .groups
                .iter()
                .map(|(_, g)| (g.name.clone(), g.cursor, g.filters.clone()))
                .collect(),
            retained: self.retained.clone(),
            sinks: self
                .sinks
                .iter()
                .map(|(name, at)| (name.clone(), *at))
                .collect(),
            clock: Some(clock),
        };
        let parts = (
            &snapshot,
            self.judge.memories(),
            &self.devices.registry,
            self.judge.derivations(),
            self.judge.births(),
            &self.gaps.told,
            self.devices.registry.commands.askers(),
            self.asked(),
            &self.resting,
            self.devices.registry.named(),
        );
        postcard::to_stdvec(&parts).expect("a snapshot has no unserialisable part")
    }

    /// Begins recovery from a checkpoint. Fails where the bytes are none; the broker is then as it was.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), postcard::Error> {
        let (snapshot, rest) = postcard::take_from_bytes::<Snapshot>(bytes)?;
        // An older checkpoint ends before what there was not when it was written.
        let (memories, rest) = next_part(rest)?;
        let (registry, rest) = next_part::<Registry>(rest)?;
        let (derivations, rest) = next_part(rest)?;
        let (births, rest) = next_part(rest)?;
        let (told, rest) = next_part(rest)?;
        let (askers, rest) = next_part(rest)?;
        let (mut asked, rest) = next_part::<BTreeMap<String, BTreeMap<Seq, Asked>>>(rest)?;
        let (resting, rest) = next_part(rest)?;
        let (named, _) = next_part(rest)?;
        self.judge.restore(memories);
        self.judge.restore_derivations(derivations);
        self.judge.restore_births(births);
        self.devices.registry = registry;
        self.gaps.told = told;
        self.devices.registry.commands.restore_askers(askers);
        self.devices.registry.restore_named(named);
        self.identity = snapshot.identity;
        self.name_rules();
        self.retained = snapshot.retained.restored();
        self.sinks = snapshot.sinks.into_iter().collect();
        self.clock = snapshot.clock;
        for (name, cursor, filters) in snapshot.groups {
            self.open_group(name, cursor, filters, Seq::ZERO);
        }
        self.resting = resting;
        for (client, mut kept) in snapshot.sessions {
            let subscriptions = std::mem::take(&mut kept.subscriptions);
            kept.asked = asked.remove(&client).unwrap_or_default();
            let session = Session::new(client.as_str().into(), kept.cursor, Seq::ZERO);
            self.add_session(Session { kept, ..session });
            for (filter, options) in subscriptions {
                self.subscribed(&client, filter, options);
            }
        }
        Ok(())
    }
}

/// The next part of a checkpoint, or the part of a node that knows nothing of it.
fn next_part<T: Default + DeserializeOwned>(rest: &[u8]) -> Result<(T, &[u8]), postcard::Error> {
    match rest {
        [] => Ok((T::default(), rest)),
        rest => postcard::take_from_bytes(rest),
    }
}

/// Publishes that are withheld are in no log: their identifiers are not taken.
fn kept_of(session: &Session) -> Kept {
    let mut kept = session.kept.clone();
    kept.inbound.retain(|_, seq| *seq != Seq(u64::MAX));
    kept
}
