use serde::{Deserialize, Serialize};

use super::{
    device::{DeviceKinds, Devices},
    sparkplug::{Sparkplug, SparkplugUndo, StoredBirth},
};

/// What decoders know of nodes and devices: a fold over the log.
#[derive(Clone, Debug, Default)]
pub struct Births {
    /// Of Sparkplug B.
    pub sparkplug: Sparkplug,
    /// Of the device envelope. A table that was announced is right for ever, so that nothing is taken back.
    pub devices: Devices,
}

/// What a checkpoint keeps of births.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct StoredBirths {
    sparkplug: Vec<StoredBirth>,
    devices: Vec<(String, DeviceKinds)>,
}

/// Takes back what a payload that is not committed changed.
#[derive(Clone, Debug, Default)]
pub struct BirthsUndo(pub(super) Option<SparkplugUndo>);

impl Births {
    /// Takes back the latest decoding that was not taken back.
    pub fn undo(&mut self, undo: BirthsUndo) {
        if let BirthsUndo(Some(undo)) = undo {
            self.sparkplug.undo(undo);
        }
    }

    /// For a checkpoint.
    pub fn stored(&self) -> StoredBirths {
        let devices = self.devices.iter();
        StoredBirths {
            sparkplug: self.sparkplug.births().collect(),
            devices: devices
                .map(|(device, kinds)| (device.to_owned(), kinds.clone()))
                .collect(),
        }
    }

    /// Puts back what a checkpoint kept.
    pub fn recover(&mut self, stored: StoredBirths) {
        for birth in stored.sparkplug {
            self.sparkplug.recover(birth);
        }
        for (device, kinds) in stored.devices {
            self.devices.recover(&device, kinds);
        }
    }
}
