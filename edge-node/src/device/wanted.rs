//! Kinds of which events came and no table: a device is asked for its birth, and where its births do not bring the table, since
//! it is lost, its events are taken without. Else the stream would stand still for ever, and all that the device holds behind.

use std::collections::BTreeMap;

use filters::decode::device::DeviceKinds;
use wire::kind::KindId;

/// Births that may come without a table before its events are taken without.
const MOST_BIRTHS: u8 = 3;
/// Tables asked for at one time: as many as are kept of one device.
const MOST_KINDS: usize = 255;

/// The kinds that a device was asked for. In memory only: after a start of the node it is asked anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// How many births have come without.
    kinds: BTreeMap<KindId, u8>,
}

impl Wanted {
    /// A birth is asked for because of this kind.
    pub(crate) fn ask(&mut self, kind: KindId) {
        if self.kinds.len() < MOST_KINDS {
            self.kinds.entry(kind).or_default();
        }
    }

    /// A birth came, with which these are known.
    pub(crate) fn be_born(&mut self, known: &DeviceKinds) {
        self.kinds
            .retain(|kind, _| known.event_type(*kind).is_none());
        for births in self.kinds.values_mut() {
            *births = births.saturating_add(1);
        }
    }

    /// Whether events of this kind are taken without its table.
    pub(crate) fn is_given_up(&self, kind: KindId) -> bool {
        self.kinds
            .get(&kind)
            .is_some_and(|births| *births >= MOST_BIRTHS)
    }
}
