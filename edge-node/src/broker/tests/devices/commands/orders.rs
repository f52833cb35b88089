//! Commands that events order, and those that are asked for twice.

use super::*;
use crate::{device::Asker, node::handle::Incoming};

const OPEN: &str = r#"{"name":"open","data":{"percent":40}}"#;

/// What an event in reply says: its id, the event it answers, and its data.
type Reply = (String, String, serde_json::Value);

fn publish_order(node: &mut TestNode, device: &str, id: &str, data: &str) {
    publish_order_of(node, "/cloud", device, id, data);
}

fn publish_order_of(node: &mut TestNode, source: &str, device: &str, id: &str, data: &str) {
    let event = Event::builder(id, source, "order")
        .datacontenttype("application/json")
        .payload(data.as_bytes().to_vec());
    let incoming = Incoming {
        topic: format!("{DEVICES}/command/{device}"),
        event: event.build().unwrap(),
    };
    let promised = node.post(vec![incoming]).unwrap();
    let committed = node.core.spool().status().committed;
    assert!(promised > committed, "it waits for a commit");
    node.settle();
}

/// Somebody who hears all replies.
fn listener(node: &mut TestNode) -> Client {
    let mut listener = node.connect(v5("listener"));
    let replies = format!("{DEVICES}/reply/#");
    node.subscribe(&mut listener, &replies, QoS::AtMostOnce);
    listener
}

fn replies(node: &mut TestNode, listener: &mut Client) -> Vec<Reply> {
    let replies = listener.publishes(node).into_iter().map(|publish| {
        assert_eq!(publish.topic.as_str(), format!("{DEVICES}/reply/pump-7"));
        let properties = publish.properties.set().unwrap();
        let named = |name: &str| {
            let mut all = properties.user_properties.iter();
            let found = all.find(|(other, _)| &**other == name);
            found.map(|(_, value)| value.to_string()).unwrap()
        };
        let data = serde_json::from_slice(&publish.payload).unwrap();
        (named("id"), named("correlationid"), data)
    });
    replies.collect()
}

#[test]
fn an_event_orders_one_command_however_often_it_comes_and_hears_how_it_ended() {
    let mut node = node();
    let mut listener = listener(&mut node);
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    publish_order(&mut node, "pump-7", "order-1", OPEN);
    publish_order(&mut node, "pump-7", "order-1", OPEN);
    let came = pump.came(&mut node);
    let [Came::Run(id, name, data)] = &came[..] else {
        panic!("{came:?}");
    };
    assert_eq!(
        (name.as_str(), &data[..]),
        ("open", &br#"{"percent":40}"#[..])
    );
    assert_eq!(replies(&mut node, &mut listener), []);

    pump.say_result(&mut node, *id, Outcome::Done);
    publish_order(&mut node, "pump-7", "order-1", OPEN);
    assert_eq!(pump.came(&mut node), []);
    let called = format!("{:08x}-{}", id.origin, id.seq);
    let said = serde_json::json!({
        "command": called,
        "name": "open",
        "state": "ended",
        "outcome": "done",
        "data_base64": "b2s=",
    });
    let reply = (called, "order-1".to_owned(), said);
    assert_eq!(replies(&mut node, &mut listener), [reply]);
}

#[test]
fn an_order_and_who_gave_it_survive_a_crash_and_are_in_a_checkpoint() {
    for is_covered in [false, true] {
        let mut node = node();
        drop(Pump::ready(&mut node, "pump-7", &birth(7)));
        publish_order(&mut node, "pump-7", "order-1", OPEN);
        if is_covered {
            node.checkpoint();
        }
        let mut node = node.crash();
        let mut listener = listener(&mut node);
        let mut pump = Pump::ready(&mut node, "pump-7", &birth(8));
        publish_order(&mut node, "pump-7", "order-1", OPEN);
        let came = pump.came(&mut node);
        let [Came::Run(id, ..)] = &came[..] else {
            panic!("{came:?}");
        };
        pump.say_result(&mut node, *id, Outcome::Failed);
        let answered = replies(&mut node, &mut listener);
        assert_eq!(answered.len(), 1, "{answered:?}");
        assert_eq!(answered[0].2["outcome"], "failed");
    }
}

#[test]
fn the_reply_is_in_the_log_with_the_end_of_the_command_and_not_twice() {
    let mut node = node();
    let mut keeper = node.connect(durable("keeper"));
    let replies_topic = format!("{DEVICES}/reply/#");
    node.subscribe(&mut keeper, &replies_topic, QoS::AtLeastOnce);
    node.drop_connection(keeper);
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    publish_order(&mut node, "pump-7", "order-1", OPEN);
    let came = pump.came(&mut node);
    let [Came::Run(id, ..)] = &came[..] else {
        panic!("{came:?}");
    };
    pump.say_result(&mut node, *id, Outcome::Done);
    let mut node = node.crash();
    node.settle();
    let mut keeper = node.connect(durable("keeper"));
    assert_eq!(take_all(&mut node, &mut keeper).len(), 1);
}

#[test]
fn an_event_whose_command_expires_hears_so() {
    let mut node = node();
    let mut listener = listener(&mut node);
    let pump = Pump::ready(&mut node, "pump-7", &birth(7));
    node.drop_connection(pump.client);
    let order = r#"{"name":"open","expires":"1m"}"#;
    publish_order(&mut node, "pump-7", "order-1", order);
    node.pass(60_001);
    node.settle();
    let answered = replies(&mut node, &mut listener);
    let states: Vec<_> = answered.iter().map(|it| it.2["state"].clone()).collect();
    assert_eq!(states, ["expired"]);
}

#[test]
fn a_command_that_ends_after_its_event_heard_unknown_is_told_of_by_another_event() {
    for is_covered in [false, true] {
        let mut node = node();
        let mut listener = listener(&mut node);
        let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
        let order = r#"{"name":"open","expires":"1m"}"#;
        publish_order(&mut node, "pump-7", "order-1", order);
        let came = pump.came(&mut node);
        let [Came::Run(id, ..)] = &came[..] else {
            panic!("{came:?}");
        };
        node.pass(60_001);
        let called = format!("{:08x}-{}", id.origin, id.seq);
        let heard = replies(&mut node, &mut listener);
        let [(first, _, said)] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!((first, &said["state"]), (&called, &"unknown".into()));

        pump.say_result(&mut node, *id, Outcome::Done);
        let heard = replies(&mut node, &mut listener);
        let [(second, event, said)] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(*second, format!("{called}-late"));
        assert_eq!(
            (event.as_str(), &said["state"]),
            ("order-1", &"ended".into())
        );
        assert_eq!(said["command"], called);
        if is_covered {
            node.checkpoint();
        }
        let mut node = node.crash();
        let done = (CommandStage::Ended, Some(CommandOutcome::Done));
        assert_eq!(stages(&mut node), [done]);
    }
}

#[test]
fn two_that_order_by_the_same_id_are_refused_by_two_events_and_each_of_them_by_one() {
    let mut node = node();
    let mut listener = listener(&mut node);
    for source in ["/cloud", "/shore", "/cloud"] {
        publish_order_of(&mut node, source, "pump-7", "early", OPEN);
    }
    let ids: Vec<_> = replies(&mut node, &mut listener)
        .into_iter()
        .map(|it| it.0)
        .collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (3, 2), "{ids:?}");
    assert_eq!(ids[0], ids[2]);
}

#[test]
fn an_event_that_orders_nothing_hears_why() {
    let mut node = node();
    let mut listener = listener(&mut node);
    publish_order(&mut node, "pump-7", "early", OPEN);
    drop(Pump::ready(&mut node, "pump-7", &birth(7)));
    for (id, data) in [
        ("empty", ""),
        ("nameless", "{}"),
        ("odd", r#"{"name":"x","at":1}"#),
    ] {
        publish_order(&mut node, "pump-7", id, data);
    }
    let answered = replies(&mut node, &mut listener);
    let ids: Vec<_> = answered.iter().map(|it| it.0.as_str()).collect();
    let of = |id: &str| format!("refused-f7a4209a3fe3119b-{id}");
    assert_eq!(ids, ["early", "empty", "nameless", "odd"].map(of));
    for (_, _, said) in &answered {
        assert_eq!(said["state"], "refused");
    }
    let why = answered[0].2["reason"].as_str().unwrap();
    assert!(why.contains("no device `pump-7` is known"), "{why}");
    assert_eq!(commands(&mut node), []);
}

#[test]
fn a_client_orders_by_a_publish_too() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    let mut client = node.connect(v5("operator"));
    let topic = format!("{DEVICES}/command/pump-7");
    let acknowledged = node.publish(&mut client, &topic, OPEN, QoS::AtLeastOnce, 1);
    assert!(
        matches!(acknowledged, Some(Packet::PubAck(_))),
        "{acknowledged:?}"
    );
    assert_eq!(numbers(&pump.came(&mut node)), [1]);
}

#[test]
fn a_caller_that_asks_twice_gets_one_command() {
    let mut node = node();
    drop(Pump::ready(&mut node, "pump-7", &birth(7)));
    let ask_as = |node: &mut TestNode, key: Option<&str>| {
        let ordered = ask(node, |reply| DeviceRequest::Command {
            device: "pump-7".to_owned(),
            order: CommandOrder {
                name: "open".to_owned(),
                data: Vec::new(),
                expires_ms: HOUR_MS,
                asker: key.map(|key| Asker::Caller {
                    key: key.to_owned(),
                }),
            },
            reply,
        });
        node.settle();
        ordered.unwrap().0
    };
    let first = ask_as(&mut node, Some("a"));
    assert_eq!(ask_as(&mut node, Some("a")), first);
    let mut node = node.crash();
    assert_eq!(ask_as(&mut node, Some("a")), first);
    let others = [Some("b"), None, None].map(|key| ask_as(&mut node, key));
    assert_eq!(commands(&mut node).len(), 4, "{first} {others:?}");
}
