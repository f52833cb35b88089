use super::{
    device::Devices,
    sparkplug::{Sparkplug, SparkplugUndo},
};

/// What decoders know of nodes and devices: a fold over the log.
#[derive(Clone, Debug, Default)]
pub struct Births {
    /// Of Sparkplug B.
    pub sparkplug: Sparkplug,
    /// Of the device envelope. A table that was announced is right for ever, so that nothing is taken back.
    pub devices: Devices,
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
}
