//! The in-flight window: messages sent to one client and not yet acknowledged, by packet identifier.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
    rc::Rc,
};

use spool::Seq;

use super::{errands::RetainedGrant, group::GroupId, withheld::Withheld};
use crate::mqtt::packet::QoS;

/// Messages sent and not acknowledged, per session, whatever receive maximum the client grants.
pub(crate) const IN_FLIGHT_MAX: usize = 4096;

/// A message sent and not yet acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) place: Place,
    /// The group whose debt it is, if not the session's own.
    pub(crate) group: Option<GroupId>,
    pub(crate) qos: QoS,
    pub(crate) phase: Phase,
    /// Order of sending.
    order: u64,
}

/// Where the message can be read again.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Stored(Seq),
    /// A retained message at this position: nobody's debt, and kept from being freed while it is in flight.
    Retained(RetainedGrant, Seq),
    /// Its publisher's acknowledgement is withheld: it is in memory only.
    Withheld(Rc<Withheld>),
}

impl Place {
    /// Its position; zero while it has none.
    pub(super) fn seq(&self) -> Seq {
        match self {
            Place::Stored(seq) | Place::Retained(_, seq) => *seq,
            Place::Withheld(withheld) => withheld.seq.get().unwrap_or(Seq::ZERO),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// PUBLISH went out.
    Published,
    /// PUBREC came; PUBREL goes or went out.
    Released,
}

/// The messages in flight to one client, by packet identifier.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    by_id: BTreeMap<NonZeroU16, Flight>,
    /// Positions sent before the feed came to them.
    ahead: BTreeSet<Seq>,
    last_id: u16,
    sent: u64,
}

impl Flights {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A packet identifier that is free.
    pub(crate) fn next_id(&mut self) -> NonZeroU16 {
        debug_assert!(self.by_id.len() <= IN_FLIGHT_MAX);
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = NonZeroU16::new(self.last_id)
                && !self.by_id.contains_key(&id)
            {
                return id;
            }
        }
    }

    pub(crate) fn insert(
        &mut self,
        id: NonZeroU16,
        place: Place,
        group: Option<GroupId>,
        qos: QoS,
        phase: Phase,
    ) {
        self.sent += 1;
        self.by_id.insert(
            id,
            Flight {
                place,
                group,
                qos,
                phase,
                order: self.sent,
            },
        );
    }

    pub(crate) fn get_mut(&mut self, id: NonZeroU16) -> Option<&mut Flight> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: NonZeroU16) -> Option<Flight> {
        self.by_id.remove(&id)
    }

    /// Notes that this record is on its way though the feed has not come to it.
    pub(crate) fn is_ahead(&mut self, seq: Seq) {
        self.ahead.insert(seq);
    }

    /// Whether this record of the session's own debt is on its way already, or was and is done.
    pub(crate) fn take_ahead(&mut self, seq: Seq) -> bool {
        self.ahead.remove(&seq)
    }

    /// Whether a retained message of QoS 1 is among them.
    pub(super) fn has_retained(&self) -> bool {
        let is_retained = |flight: &Flight| {
            flight.qos == QoS::AtLeastOnce && matches!(flight.place, Place::Retained(..))
        };
        self.by_id.values().any(is_retained)
    }

    /// In the order of sending.
    pub(crate) fn in_order(&self) -> Vec<(NonZeroU16, Flight)> {
        let mut all: Vec<_> = self
            .by_id
            .iter()
            .map(|(id, flight)| (*id, flight.clone()))
            .collect();
        all.sort_by_key(|(_, flight)| flight.order);
        all
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&NonZeroU16, &mut Flight) -> bool) {
        self.by_id.retain(keep);
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Flight> {
        self.by_id.values_mut()
    }
}
