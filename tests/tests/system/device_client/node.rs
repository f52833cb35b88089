//! The same events to a node, by each way that firmware has.

use std::{
    ops::RangeInclusive,
    time::{SystemTime, UNIX_EPOCH},
};

use firmware::{
    client::{Client, Clock, NoCommands},
    cloudevent::Encoding,
    link::Manners,
    publisher::{Destination, Publisher},
};
use serde_json::{Value, json};
use tests::{Received, TestCloud, TestNode, wait_until};
use wire::topic::{DeviceId, Prefix};

use super::{Tcp, Uptime, identity, new_events, publish};

/// CloudEvents that are not acknowledged in time come twice.
const MANNERS: Manners = Manners {
    patience_ms: 120_000,
    ..super::MANNERS
};

#[derive(Clone, Copy, Debug)]
enum Way {
    Compact,
    CloudEvents(Encoding),
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_millis() as i64
}

/// What arrives of a device that never ran before, and when it can have happened.
async fn arrived(
    node: &TestNode,
    cloud: &TestCloud,
    way: Way,
) -> (Vec<Received>, RangeInclusive<i64>) {
    let device = DeviceId::new("pump 7").expect("an id");
    let (events, clock) = (new_events().await, Uptime::new());
    let (before, began_ms) = (cloud.received().len(), now_ms());
    let run = async {
        match way {
            Way::Compact => {
                let outside = (Tcp(node.mqtt()), clock, NoCommands);
                Client::new(&events, identity("pump 7"), outside, MANNERS, 3)
                    .run()
                    .await
            }
            Way::CloudEvents(encoding) => {
                let to = Destination {
                    device,
                    under: Prefix::new("events").expect("a prefix"),
                    encoding,
                    login: None,
                };
                events.set_time(now_ms().cast_unsigned(), clock.uptime_ms());
                let outside = (Tcp(node.mqtt()), clock);
                Publisher::new(&events, to, outside, MANNERS, 3).run().await
            }
        }
    };
    let work = async {
        for n in 0..5 {
            publish(&events, clock, n).await;
        }
        wait_until("all arrived", async || cloud.received().len() >= before + 5).await;
    };
    tokio::select! {
        ended = run => panic!("the client ended: {ended:?}"),
        () = work => {}
    }
    let received = cloud.received().split_off(before);
    assert_eq!(received.len(), 5, "{way:?}");
    (received, began_ms..=now_ms())
}

/// Everything by which an event is known, and its data.
fn known_by(event: &Received) -> (Vec<(String, String)>, Value) {
    let mut attributes = event.attributes.clone();
    // When it happened differs from run to run, and where it came in from way to way; the node adds the hops.
    for other in ["time", "mqtttopic", "hops"] {
        attributes.remove(other).expect("it has one");
    }
    let data = serde_json::from_slice(&event.data).expect("JSON");
    (attributes.into_iter().collect(), data)
}

#[tokio::test]
async fn an_event_is_the_same_whichever_way_its_device_publishes_it() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder()
        .config("[devices]\n")
        .uplink(&cloud)
        .start()
        .await;
    let ways = [
        Way::Compact,
        Way::CloudEvents(Encoding::Binary),
        Way::CloudEvents(Encoding::Structured),
    ];
    let mut known = Vec::new();
    for way in ways {
        let (received, when) = arrived(&node, &cloud, way).await;
        // Clocks are set by small steps meanwhile.
        let when = when.start() - 1000..=when.end() + 1000;
        for event in &received {
            let time = filters::timestamp_millis(event.attribute("time"));
            assert!(
                time.is_some_and(|it| when.contains(&it)),
                "{way:?}: {event:?}"
            );
        }
        known.push(received.iter().map(known_by).collect::<Vec<_>>());
    }
    let [compact, binary, structured] = &known[..] else {
        panic!("three ways")
    };
    assert_eq!(compact, binary);
    assert_eq!(compact, structured);
    let (attributes, data) = &compact[4];
    assert_eq!(
        *data,
        json!({"n": 4, "celsius": 0.1, "peaks": [-1, 300], "note": "ö\""})
    );
    let expected = [
        ("datacontenttype", "application/json"),
        ("id", "00c0ffee00000001-0-5"),
        ("source", "urn:edge-device:pump%207"),
        ("specversion", "1.0"),
        ("subject", "pump 7"),
        ("type", "pump.reading"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(attributes[..], expected);
}
