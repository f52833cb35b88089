//! What happens when. Pure: no IO, no clock.

use std::time::Duration;

/// How long nothing may arrive, once the sensors are silent, before what is missing counts as lost. In a demo of the
/// default length the node's backoff comes to a few seconds, most of which pass before; slow disks come on top.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What the demo does to node, link and sensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Cut,
    Kill,
    StartAgain,
    Restore,
    Silence,
}

/// The acts with their share of the length, in percent.
const ACTS: [(u32, Act); 5] = [
    (24, Act::Cut),
    (44, Act::Kill),
    (50, Act::StartAgain),
    (60, Act::Restore),
    (80, Act::Silence),
];

/// The acts of a demo of this length in their order, each with its time after the start.
pub(super) fn script(length: Duration) -> impl Iterator<Item = (Duration, Act)> {
    ACTS.into_iter()
        .map(move |(percent, act)| (length * percent / 100, act))
}

/// What the live line calls the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) link_cut: bool,
    pub(super) node_down: bool,
    pub(super) silent: bool,
}

impl Scene {
    pub(super) fn name(self) -> &'static str {
        match self {
            Scene {
                node_down: true, ..
            } => "node down",
            Scene { link_cut: true, .. } => "link cut",
            Scene { silent: true, .. } => "sensors off",
            Scene { .. } => "link up",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_killed_and_back_before_the_link_is() {
        let acts: Vec<_> = script(Duration::from_secs(25)).collect();
        let at = |millis, act| (Duration::from_millis(millis), act);
        assert_eq!(
            acts,
            [
                at(6_000, Act::Cut),
                at(11_000, Act::Kill),
                at(12_500, Act::StartAgain),
                at(15_000, Act::Restore),
                at(20_000, Act::Silence),
            ]
        );
    }
}
