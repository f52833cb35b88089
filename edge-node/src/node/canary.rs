//! The event by which an idle uplink finds out whether its receiver is there.

use cloud_uplink::Outgoing;
use filters::{Data, Event};
use spool::clock::WallTime;

/// Its MQTT topic: no `$` in front, since a node that is the receiver keeps those topics for itself.
pub const CANARY_TOPIC: &str = "edge-node/canary";
/// Its type.
pub const CANARY_TYPE: &str = "edge-node.canary";

/// A canary of this node, with an id that no other has; `None` if the system has no chance to give. It is in no log.
pub fn canary(node: &str, wall: WallTime) -> Option<Outgoing> {
    let mut chance = [0; 16];
    getrandom::fill(&mut chance).ok()?;
    let id = format!("{:032x}", u128::from_le_bytes(chance));
    let mut event = Event::builder(id, format!("urn:edge-node:{node}"), CANARY_TYPE)
        .datacontenttype("application/json")
        .data(Data::Json(b"{}".to_vec()));
    if wall.is_plausible() {
        event = event.time(filters::timestamp_text(wall.0));
    }
    Some(Outgoing {
        topic: CANARY_TOPIC.to_owned(),
        sink_topic: None,
        unfit: None,
        event: event.build().ok()?,
        origin: None,
        expires: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_canary_is_an_event_of_its_own_and_has_a_time_where_the_clock_is_plausible() {
        let seen = |wall| canary("gate", WallTime(wall)).unwrap().event;
        let (first, second) = (seen(0), seen(1_800_000_000_000));
        assert_ne!(first.id, second.id);
        for event in [&first, &second] {
            assert_eq!(
                (event.source.as_str(), event.r#type.as_str()),
                ("urn:edge-node:gate", "edge-node.canary")
            );
        }
        assert_eq!(first.time, None);
        assert_eq!(second.time.as_deref(), Some("2027-01-15T08:00:00.000Z"));
    }
}
