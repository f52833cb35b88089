//! What a device gives up because its flash is full.

use std::collections::BTreeSet;

use firmware::{
    WhenFull,
    client::{Client, NoCommands},
};
use flash_model::Geometry;
use tests::{TestCloud, TestNode, wait_until};

use super::{Chip, MANNERS, PAGE, PAGES, Tcp, Uptime, events_in, identity, publish};

/// How many events each boot publishes: more than twice what the flash holds.
const EACH: u8 = 120;

#[tokio::test]
async fn what_a_device_gave_up_over_a_reset_is_in_the_ledger_to_the_last_event() {
    let cloud = TestCloud::start().await;
    let node = TestNode::builder()
        .config("[devices]\n")
        .uplink(&cloud)
        .start()
        .await;
    let chip = Chip::format(vec![0; Geometry::<PAGE, 4>::memory_len(PAGES)]);
    let before = events_in(chip, WhenFull::DropOldest).await;
    for n in 0..EACH {
        publish(&before, Uptime::new(), n).await;
    }
    let chip = Chip::power_on(before.into_outbox().into_flash().into_memory(), 1);
    let (events, clock) = (events_in(chip, WhenFull::DropOldest).await, Uptime::new());
    for n in 0..EACH {
        publish(&events, clock, n).await;
    }
    let outside = (Tcp(node.mqtt()), clock, NoCommands);
    let mut client = Client::new(&events, identity("pump-7"), outside, MANNERS, 3);
    let last = format!("00c0ffee00000002-0-{EACH}");
    let all_came = async || {
        let received = cloud.received();
        received.iter().any(|it| it.attribute("id") == last)
    };
    tokio::select! {
        ended = client.run() => panic!("the client ended: {ended:?}"),
        () = wait_until("the newest event arrives", all_came) => {}
    }
    let ids: BTreeSet<_> = cloud
        .received()
        .iter()
        .map(|it| it.attribute("id").to_owned())
        .collect();
    let lost = 2 * u64::from(EACH) - ids.len() as u64;
    assert!(
        (1..=u64::from(EACH)).contains(&(ids.len() as u64)),
        "{ids:?}"
    );
    let status = node.status().await;
    let entries = status["ledger"].as_array().unwrap().iter();
    let of_device =
        entries.filter(|it| it["reason"] == "lost-at-device" && it["scope"] == "device pump-7/0");
    let counted: u64 = of_device.map(|it| it["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, lost, "{}", status["ledger"]);
}
