//! Payloads that decoders read: what they know of nodes and devices, and what could not be decoded.

use std::collections::BTreeMap;

use filters::{
    decode::{Births, Decoders, Decoding, StoredBirths, View, sparkplug::Rebirth},
    stage::Moment,
};
use spool::Seq;

use super::subject::Subject;
use crate::node::status::{DecodersStatus, SparkplugStatus};

/// What decoders know, as the records that are in the log say, and what they count.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    births: Births,
    /// By format.
    undecoded: BTreeMap<&'static str, u64>,
}

impl Payloads {
    /// Reads what is being published and will stand at `position`.
    pub(super) fn decode(
        &mut self,
        decoders: &Decoders,
        subject: &Subject<'_>,
        position: Seq,
        now: Moment,
    ) -> Decoding {
        match subject.incoming(position.0) {
            Some(incoming) => decoders.decode(&mut self.births, &incoming, now),
            None => Decoding::default(),
        }
    }

    /// Reads a record again, at recovery.
    pub(super) fn recover(&mut self, decoders: &Decoders, subject: &Subject<'_>, position: Seq) {
        if decoders.is_empty() {
            return;
        }
        if let Some(incoming) = subject.incoming(position.0) {
            decoders.apply(&mut self.births, &incoming);
            self.births.sparkplug.forget_by_turns(position.0);
        }
    }

    /// The payload is not in the log.
    pub(super) fn take_back(&mut self, decoding: Decoding) {
        self.births.undo(decoding.undo);
    }

    /// The payload is taken in. The forms of the records before it are settled: nobody decodes them again.
    pub(super) fn count(&mut self, decoding: &Decoding, position: Option<Seq>) {
        if let View::Opaque(error) = &decoding.view {
            *self.undecoded.entry(error.class()).or_default() += 1;
        }
        if let (true, Some(position)) = (decoding.is_kept, position) {
            self.births.sparkplug.forget_by_turns(position.0);
        }
    }

    pub(super) fn poll_rebirth(&mut self) -> Option<Rebirth> {
        self.births.sparkplug.poll_rebirth()
    }

    /// For a checkpoint.
    pub(super) fn births(&self) -> StoredBirths {
        self.births.stored()
    }

    pub(super) fn restore(&mut self, births: StoredBirths) {
        self.births.recover(births);
    }

    pub(super) fn status(&self) -> DecodersStatus {
        let undecoded = self.undecoded.iter();
        let counts = self.births.sparkplug.counts();
        DecodersStatus {
            undecoded: undecoded
                .map(|(format, count)| ((*format).to_owned(), *count))
                .collect(),
            sparkplug: SparkplugStatus {
                stale_deaths: counts.stale_deaths,
                gaps: counts.gaps,
                unknown_aliases: counts.unknown_aliases,
                unborn: counts.unborn,
                forgotten: counts.evicted,
                rebirths: counts.rebirths,
            },
        }
    }
}
