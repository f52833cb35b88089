//! Where the log has no room: nothing derived is lost, and nothing is taken in that could not be kept.

use spool::LossReason;

use super::{super::with_small_transactions, *};
use crate::{
    mqtt::packet::{Ack, ReasonCode},
    node::handle::Incoming,
};

/// A full node that counts what comes on `t` in pairs.
fn full_counting_node() -> (TestNode, Client) {
    let (mut node, device) = full_node();
    node.set_rules(
        "[[rule]]\nname = \"pairs\"\ntopic = \"t\"\n[[rule.step]]\nwindow = { consume = true, count = 2, values = { n = \"count()\" } }\n",
    );
    node.settle();
    (node, device)
}

/// What an offline session kept of the pairs.
fn pairs(node: &mut TestNode) -> Vec<String> {
    let mut keeper = node.connect(durable("pairs"));
    let taken = take_publishes(node, &mut keeper).into_iter();
    taken
        .map(|it| String::from_utf8_lossy(&it.payload).into_owned())
        .collect()
}

fn keep_pairs(node: &mut TestNode) {
    let mut keeper = node.connect(durable("pairs"));
    node.subscribe(&mut keeper, "t/pairs", QoS::AtLeastOnce);
    node.drop_connection(keeper);
}

#[test]
fn what_finds_no_room_waits_over_a_crash_and_a_checkpoint_and_goes_out_once_there_is_some() {
    for checkpoint in [false, true] {
        let (mut node, _device) = full_counting_node();
        keep_pairs(&mut node);
        let mut device = node.connect(v5("other"));
        // Kept as what the window is told of them, they take no room of the lane; what is derived does.
        let waits = |node: &TestNode| node.core.broker().rules().waiting() > 0;
        let last = (1..2_000).find(|id| {
            let ack = node.publish(&mut device, "t", "x", QoS::AtLeastOnce, *id);
            assert!(matches!(ack, Some(Packet::PubAck(_))), "{ack:?}");
            waits(&node)
        });
        if checkpoint {
            cover(&mut node);
        }
        let mut node = node.crash();
        assert!(waits(&node), "it was forgotten");
        make_room(&mut node);
        node.pass(1_000);
        assert!(!waits(&node));
        let mut node = node.crash();
        let pairs = pairs(&mut node);
        let derived = usize::from(last.unwrap()) / 2;
        assert_eq!(pairs.len(), derived, "checkpoint: {checkpoint}");
    }
}

#[test]
fn where_too_much_derived_waits_input_is_withheld_until_it_is_out() {
    let (mut node, _device) = full_counting_node();
    node.set_rules(
        "[[rule]]\nname = \"each\"\ntopic = \"t\"\n[[rule.step]]\nwindow = { consume = true, count = 1, values = { n = \"count()\" } }\n",
    );
    let mut keeper = node.connect(durable("each"));
    node.subscribe(&mut keeper, "t/each", QoS::AtLeastOnce);
    node.drop_connection(keeper);
    let mut device = node.connect(v5("other"));
    let mut taken = 0;
    let held = (1..=5_000_u16).find(|id| {
        node.send(&device, publish("t", "x", QoS::AtLeastOnce, *id));
        if id % 64 == 0 {
            node.settle();
        }
        taken += device.all(&mut node).len();
        usize::from(*id) > taken + 128
    });
    let waiting = node.core.broker().rules().waiting();
    assert!(held.is_some(), "{waiting} wait");
    assert_eq!(waiting, 4096);
    // Whoever feeds no stage goes on.
    let ack = node.publish(&mut device, "elsewhere", "x", QoS::AtMostOnce, 0);
    assert_eq!(ack, None);
    make_room(&mut node);
    for _ in 0..20 {
        node.pass(1_000);
        taken += device.all(&mut node).len();
    }
    assert_eq!(node.core.broker().rules().waiting(), 0);
    assert_eq!(taken, usize::from(held.unwrap()));
}

#[test]
fn what_is_derived_too_large_for_any_transaction_is_lost_in_the_ledger_once_and_holds_up_nothing() {
    let mut node = with_small_transactions();
    let last = ["a", "b", "c", "d"].map(|name| format!("{name} = \"last($.data.s)\""));
    node.set_rules(&format!(
        "[[rule]]\nname = \"much\"\ntopic = \"t\"\n[[rule.step]]\nwindow = {{ consume = true, count = 1, values = {{ {} }} }}\n",
        last.join(", ")
    ));
    node.settle();
    let mut device = node.connect(v5("device"));
    let mut say = |node: &mut TestNode, bytes: usize| {
        let reading = format!("{{\"s\":\"{}\"}}", "x".repeat(bytes));
        let ack = node.publish(&mut device, "t", &reading, QoS::AtLeastOnce, 1);
        assert!(matches!(ack, Some(Packet::PubAck(_))), "{ack:?}");
    };
    let refused = |node: &TestNode| {
        let losses = node.core.spool().status().ledger.into_iter();
        let refused = losses.filter(|it| it.reason == LossReason::Refused);
        let refused = refused.map(|it| (it.scope, it.count, it.bytes > 3 << 20));
        refused.collect::<Vec<_>>()
    };
    let once = [("much".to_owned(), 1, true)];
    say(&mut node, 900_000);
    assert_eq!(refused(&node), once);
    say(&mut node, 3);
    assert_eq!(node.core.broker().rules().waiting(), 0);
    assert_eq!(derived(&node).len(), 1, "what came after it goes out");
    let node = node.crash();
    assert_eq!(node.core.broker().rules().waiting(), 0);
    assert_eq!((refused(&node), derived(&node).len()), (once.to_vec(), 1));
}

#[test]
fn what_is_derived_has_its_form_though_that_fits_no_transaction_with_its_input() {
    let mut node = with_small_transactions();
    node.set_rules(
        r#"
        [[rule]]
        name = "much"
        topic = "t"
        [[rule.step]]
        window = { consume = true, count = 1, values = { a = "last($.data.s)", b = "last($.data.s)", n = "count()" } }
        [[rule]]
        name = "form"
        topic = "t/much"
        [[rule.step]]
        scale = { field = "$.data.values.n", factor = 2 }
        "#,
    );
    node.settle();
    let mut device = node.connect(v5("device"));
    let reading = format!("{{\"s\":\"{}\"}}", "x".repeat(640_000));
    node.publish(&mut device, "t", &reading, QoS::AtLeastOnce, 1);
    let given = given(&node);
    let [derived] = &given[..] else {
        panic!("{} events", given.len())
    };
    assert_eq!((derived.topic.as_str(), &derived.unfit), ("t/much", &None));
    assert_eq!(values(&node, "n"), [2]);
}

#[test]
fn a_checkpoint_is_due_a_minute_after_an_input_and_not_without_one() {
    let mut node = node(SUM);
    let broker_is_due = |node: &TestNode| node.core.broker().is_checkpoint_due(node.now());
    node.pass(120_000);
    assert!(!broker_is_due(&node));
    publish_readings(&mut node, "t", [1]);
    node.pass(59_000);
    assert!(!broker_is_due(&node));
    node.skip(1_000);
    assert!(broker_is_due(&node));
    node.pass(0);
    assert!(!broker_is_due(&node), "none was taken");
    node.core.spool().housekeep_once(node.now());
    let mut node = node.crash();
    publish_readings(&mut node, "t", [2, 4]);
    assert_eq!(values(&node, "sum"), [7]);
}

#[test]
fn what_stages_take_of_a_publish_is_left_out_before_the_publish_is_refused() {
    let window = |name| {
        format!(
            "[[rule]]\nname = \"{name}\"\ntopic = \"t\"\n[[rule.step]]\n\
             window = {{ count = 2, values = {{ n = \"count()\" }}, late-to = \"late\" }}\n"
        )
    };
    let rules: String = ["a", "b", "c"].into_iter().map(window).collect();
    let mut node = with_small_transactions();
    node.set_rules(&rules);
    node.settle();
    let mut device = node.connect(v5("device"));
    let mut say = |node: &mut TestNode, bytes: usize| {
        let ack = node.publish(&mut device, "t", &"x".repeat(bytes), QoS::AtLeastOnce, 1);
        let success = Ack::with_reason(id(1), ReasonCode::Success);
        assert_eq!(ack, Some(Packet::PubAck(success)));
    };
    say(&mut node, 1_000_000);
    say(&mut node, 3);
    let refused = |node: &TestNode| {
        let losses = node.core.spool().status().ledger.into_iter();
        let refused = losses.filter(|it| it.reason == LossReason::Refused);
        refused.map(|it| (it.scope, it.count)).collect::<Vec<_>>()
    };
    let each = ["a/window", "b/window", "c/window"].map(|it| (it.to_owned(), 1));
    for is_crashed in [false, true] {
        if is_crashed {
            node = node.crash();
        }
        let node = &node;
        assert_eq!(refused(node), each);
        let given: Vec<_> = given(node)
            .into_iter()
            .map(|it| it.event.data_bytes().len())
            .collect();
        assert_eq!(given, [1_000_000, 3]);
        assert_eq!(stage(node, 0).keys, 1, "the second is told");
    }
}

#[test]
fn an_event_of_a_batch_is_refused_with_it_rather_than_kept_from_its_stages() {
    let mut node = with_small_transactions();
    node.set_rules(
        "[[rule]]\nname = \"late\"\ntopic = \"t\"\n[[rule.step]]\n\
         window = { count = 2, values = { n = \"count()\" }, late-to = \"late\" }\n",
    );
    node.settle();
    let of = |bytes: usize| Incoming {
        topic: "t".to_owned(),
        event: filters::Event::builder("1", "/a", "reading")
            .data(filters::Data::Text("x".repeat(bytes)))
            .build()
            .unwrap(),
    };
    assert!(node.post(vec![of(900_000), of(900_000)]).is_err());
    assert!(node.post(vec![of(900_000)]).is_ok());
    assert_eq!(node.lost(LossReason::Refused), 0);
    assert_eq!(stage(&node, 0).keys, 1);
}
