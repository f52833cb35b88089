//! The event by which a node tells of a loss.

use std::fmt::Write;

use filters::{Data, Event};
use serde_json::json;
use spool::Loss;

use super::status::reason_name;
use crate::config::NodeId;

/// Its type.
pub const GAP_TYPE: &str = "edge-node.gap";

/// An entry of the ledger, of which `told` were told before. `millis`: when it was last added to, since 1970; `None` while the
/// clock is not plausible. The id follows from reason, scope and count, so that what is told again is the same event.
pub fn gap(node: &NodeId, loss: &Loss, told: u64, millis: Option<u64>) -> Event {
    let reason = reason_name(loss.reason);
    let id = format!("gap/{reason}/{}/{}", encoded(&loss.scope), loss.count);
    let data = json!({
        "reason": reason,
        "scope": loss.scope,
        "count": loss.count,
        "new": loss.count.saturating_sub(told),
        "bytes": loss.bytes,
        "first": loss.first.0,
        "last": loss.last.0,
    });
    let mut event = Event::builder(id, source(node.as_str()), GAP_TYPE)
        .datacontenttype("application/json")
        .data(Data::Json(data.to_string().into_bytes()));
    if let Some(millis) = millis {
        event = event.time(filters::timestamp_text(millis));
    }
    event
        .build()
        .expect("an id is percent-encoded, and the name of a node fits a URI")
}

/// Whether the node of this name tells of a loss with this event.
pub fn is_gap_of(node: &str, event: &Event) -> bool {
    event.r#type == GAP_TYPE && event.source == source(node)
}

fn source(node: &str) -> String {
    format!("urn:edge-node:{node}")
}

/// A scope may be any client identifier: what an id may not hold is percent-encoded.
fn encoded(scope: &str) -> String {
    let mut text = String::with_capacity(scope.len());
    for byte in scope.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}"); // a string takes everything
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use spool::{LossReason, NodeTime, Seq};

    use super::*;

    #[test]
    fn a_loss_is_an_event_whose_id_follows_from_reason_scope_and_count() {
        let loss = Loss {
            reason: LossReason::SessionBound,
            scope: "session/a b\n".to_owned(),
            count: 7,
            bytes: 700,
            first: Seq(3),
            last: Seq(90),
            at: NodeTime(5),
        };
        let node: NodeId = "gate".parse().unwrap();
        let said = gap(&node, &loss, 4, Some(1_800_000_000_000));
        assert_eq!(said.id, "gap/session-bound/session%2Fa%20b%0A/7");
        assert_eq!(
            (said.source.as_str(), said.r#type.as_str()),
            ("urn:edge-node:gate", "edge-node.gap")
        );
        assert_eq!(said.time.as_deref(), Some("2027-01-15T08:00:00.000Z"));
        let data: serde_json::Value = serde_json::from_slice(said.data_bytes()).unwrap();
        let wanted = json!({
            "reason": "session-bound", "scope": "session/a b\n",
            "count": 7, "new": 3, "bytes": 700, "first": 3, "last": 90
        });
        assert_eq!(data, wanted);
        assert_eq!(gap(&node, &loss, 4, None).time, None);
        assert!(is_gap_of("gate", &said) && !is_gap_of("other", &said));
    }

    #[test]
    fn the_longest_scope_there_is_makes_an_event() {
        let loss = Loss {
            reason: LossReason::TooLargeForSubscriber,
            scope: "\u{1}".repeat(256),
            count: u64::MAX,
            bytes: u64::MAX,
            first: Seq(u64::MAX),
            last: Seq(u64::MAX),
            at: NodeTime(0),
        };
        let node: NodeId = "n".repeat(64).parse().unwrap();
        assert_eq!(gap(&node, &loss, 0, None).id.matches("%01").count(), 256);
    }
}
