//! Decoders: rules see what they show, and what they know of births survives with the records that said it.

use bytes::{Bytes, BytesMut};
use serde_json::{Value as Json, json};

use super::{counts, given, node_with_sink, with_small_transactions};
use crate::{
    broker::tests::{
        harness::*,
        withheld::{full_node, make_room},
    },
    mqtt::{
        encode::encode,
        packet::{Packet, QoS, Version},
    },
    node::handle::Incoming,
    node::status::SparkplugStatus,
};

/// As the specification of Sparkplug B has it, without what these tests do not say.
#[derive(Clone, PartialEq, prost::Message)]
struct Payload {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    seq: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    alias: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    datatype: Option<u32>,
    #[prost(uint32, optional, tag = "10")]
    int: Option<u32>,
    #[prost(bool, optional, tag = "14")]
    boolean: Option<bool>,
}

const BIRTH: &str = "spBv1.0/plant/NBIRTH/press";
const DATA: &str = "spBv1.0/plant/NDATA/press";
const COMMAND: &str = "spBv1.0/plant/NCMD/press";

const SPARKPLUG: &str = r#"
[[decoder]]
topic = "spBv1.0/#"
format = "sparkplug"
emit = "json"
rebirth = true
"#;

/// A node that keeps nothing whoever is owed it, but births.
const NOTHING_OWED: &str = "[[rule]]\nname = \"births\"\ntopic = \"+/+/NBIRTH/#\"\ndrop = true\n";

/// {"x": 7}
const CBOR: &[u8] = &[0xA1, 0x61, b'x', 0x07];

fn birth(name: &str) -> Vec<u8> {
    let metric = Metric {
        name: Some(name.to_owned()),
        alias: Some(1),
        datatype: Some(3),
        int: Some(0),
        boolean: None,
    };
    payload(0, metric)
}

fn data(seq: u64, alias: u64, int: u32) -> Vec<u8> {
    let metric = Metric {
        alias: Some(alias),
        int: Some(int),
        ..Metric::default()
    };
    payload(seq, metric)
}

fn payload(seq: u64, metric: Metric) -> Vec<u8> {
    let payload = Payload {
        metrics: vec![metric],
        seq: Some(seq),
    };
    prost::Message::encode_to_vec(&payload)
}

fn packet(topic: &str, payload: &[u8], qos: QoS, id: u16) -> Packet {
    let payload = Bytes::copy_from_slice(payload);
    change_publish(publish(topic, "", qos, id), |it| it.payload = payload)
}

/// Publishes, committed and acknowledged.
fn say(node: &mut TestNode, topic: &str, payload: &[u8]) {
    let mut device = node.connect(v5("device"));
    node.send(&device, packet(topic, payload, QoS::AtLeastOnce, 1));
    node.settle();
    let ack = device.next(node);
    assert!(matches!(ack, Some(Packet::PubAck(_))), "{ack:?}");
}

/// The data of all that the sink is given, as JSON.
fn given_json(node: &TestNode) -> Vec<Json> {
    let events = given(node);
    let json = events.iter().map(|it| it.event.data_bytes());
    json.map(|it| serde_json::from_slice(it).unwrap()).collect()
}

fn sparkplug(node: &TestNode) -> SparkplugStatus {
    node.core.broker().rules().decoders_status().sparkplug
}

#[test]
fn rules_judge_by_what_a_decoder_shows_and_the_sink_gets_the_payload_as_it_came_or_as_json() {
    let mut node = node_with_sink();
    node.set_rules(
        r#"
        [[decoder]]
        topic = "shown"
        format = "cbor"
        [[decoder]]
        topic = "emitted"
        format = "cbor"
        emit = "json"
        [[rule]]
        name = "seven"
        pattern = '{"data": {"x": [7]}}'
        "#,
    );
    for topic in ["shown", "emitted", "neither"] {
        say(&mut node, topic, CBOR);
    }
    say(&mut node, "shown", &[0xA1]);
    assert_eq!(counts(&node), [("seven".to_owned(), 2, 0)]);
    let form = |it: &cloud_uplink::Outgoing| {
        let content_type = it.event.datacontenttype.clone();
        (content_type.unwrap(), it.event.data_bytes().to_vec())
    };
    let octets = "application/octet-stream".to_owned();
    assert_eq!(
        given(&node).iter().map(form).collect::<Vec<_>>(),
        [
            (octets.clone(), CBOR.to_vec()),
            ("application/json".to_owned(), b"{\"x\":7}".to_vec()),
            (octets.clone(), CBOR.to_vec()),
            (octets, vec![0xA1]),
        ]
    );
    let undecoded = node.core.broker().rules().decoders_status().undecoded;
    assert_eq!(undecoded, [("cbor".to_owned(), 1)].into());
}

#[test]
fn a_decoder_needs_no_rule_to_emit_json() {
    let mut node = node_with_sink();
    node.set_rules(EMIT);
    say(&mut node, "t", CBOR);
    assert_eq!(given_json(&node), [json!({"x": 7})]);
}

#[test]
fn a_publish_whose_form_fits_no_record_is_kept_as_it_came_and_a_dead_letter_says_why() {
    let mut node = emitting_in_small_transactions();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "t", QoS::AtMostOnce);
    let large = growing(0x0C_0000);
    say(&mut node, "t", &large);
    let heard = reader.publishes(&mut node);
    assert_eq!(heard[0].payload, large);
    let given = given(&node);
    let [outgoing] = &given[..] else {
        panic!("{given:?}")
    };
    let reason = outgoing.unfit.as_deref().unwrap_or_default();
    assert!(
        reason.starts_with("what rules and decoders made of it takes 4718594 bytes, more than"),
        "{reason}"
    );
    assert_eq!(outgoing.event.data_bytes(), large);
}

/// A text of so many control characters in CBOR, each of which JSON writes with six.
fn growing(characters: u32) -> Vec<u8> {
    let mut payload = vec![0x7A];
    payload.extend(characters.to_be_bytes());
    payload.resize(payload.len() + characters as usize, 1);
    payload
}

const EMIT: &str = "[[decoder]]\ntopic = \"t\"\nformat = \"cbor\"\nemit = \"json\"\n";

fn emitting_in_small_transactions() -> TestNode {
    let mut node = with_small_transactions();
    node.set_rules(EMIT);
    node
}

#[test]
fn a_form_that_fits_only_a_transaction_of_its_own_waits_for_one() {
    let mut node = emitting_in_small_transactions();
    let mut device = node.connect(v5("device"));
    let payload = growing(300_000);
    let mut bytes = BytesMut::new();
    for id in [1, 2, 3] {
        let packet = packet("t", &payload, QoS::AtLeastOnce, id);
        encode(Version::V5, &packet, &mut bytes).unwrap();
    }
    node.send_bytes(&device, &bytes);
    node.settle();
    assert_eq!(device.all(&mut node).len(), 3, "all are acknowledged");
    let emitted = given(&node);
    let sizes: Vec<_> = emitted
        .iter()
        .map(|it| (it.event.data_bytes().len(), it.unfit.clone()))
        .collect();
    assert_eq!(sizes, vec![(1_800_002, None); 3]);
}

#[test]
fn a_batch_whose_forms_fit_no_transaction_together_is_refused_and_each_has_its_form_alone() {
    let mut node = emitting_in_small_transactions();
    let event = |id: &str| Incoming {
        topic: "t".to_owned(),
        event: filters::Event::builder(id, "/a", "reading")
            .data(filters::Data::Binary(growing(300_000)))
            .build()
            .unwrap(),
    };
    let batch = ["1", "2"].map(event);
    assert!(node.post(batch.to_vec()).is_err());
    for one in batch {
        assert!(node.post(vec![one]).is_ok());
        node.settle();
    }
    let emitted = given(&node);
    let forms = emitted
        .iter()
        .map(|it| (it.event.data_bytes().len(), it.unfit.clone()));
    assert_eq!(forms.collect::<Vec<_>>(), vec![(1_800_002, None); 2]);
}

#[test]
fn wills_that_are_due_together_have_their_forms_though_these_fit_no_transaction_together() {
    let mut node = TestNode::with_sink(1, limits(), |it| it.segment_bytes = Some(256 << 10));
    node.set_rules(EMIT);
    node.settle();
    let clients = ["first", "second"].map(|name| {
        let mut connect = with_will(durable(name), "t", 1);
        connect.will.as_mut().unwrap().payload = growing(15_000).into();
        node.connect(connect)
    });
    for client in clients {
        node.drop_connection(client);
    }
    node.pass(1_000);
    node.pass(1_000);
    let published = given(&node);
    let forms = published
        .iter()
        .map(|it| (it.event.data_bytes().len(), it.unfit.clone()));
    assert_eq!(forms.collect::<Vec<_>>(), vec![(90_002, None); 2]);
}

#[test]
fn a_birth_is_known_over_a_crash_and_in_a_checkpoint_whoever_is_owed_it() {
    for checkpoint in [false, true] {
        let mut node = node_with_sink();
        node.set_rules(&[SPARKPLUG, NOTHING_OWED].concat());
        say(&mut node, BIRTH, &birth("level"));
        if checkpoint {
            node.checkpoint();
            node.core.spool().housekeep_once(node.now());
            node.settle();
        }
        let mut node = node.crash();
        say(&mut node, DATA, &data(1, 1, 42));
        let [shown] = &given_json(&node)[..] else {
            panic!("checkpoint: {checkpoint}")
        };
        assert_eq!(
            shown["values"],
            json!({"level": 42}),
            "checkpoint: {checkpoint}"
        );
        assert_eq!(sparkplug(&node), SparkplugStatus::default());
    }
}

#[test]
fn what_waits_for_a_sink_keeps_the_names_of_the_birth_that_stood_when_it_was_published() {
    let mut node = node_with_sink();
    node.set_rules(&[SPARKPLUG, NOTHING_OWED].concat());
    for (name, value) in [("level", 1), ("height", 2)] {
        say(&mut node, BIRTH, &birth(name));
        say(&mut node, DATA, &data(1, 1, value));
    }
    let mut node = node.crash();
    node.set_rules("");
    let shown: Vec<Json> = given_json(&node)
        .iter()
        .map(|it| it["values"].clone())
        .collect();
    assert_eq!(shown, [json!({"level": 1}), json!({"height": 2})]);
}

#[test]
fn a_birth_that_a_crash_took_is_not_known() {
    let mut node = node_with_sink();
    node.set_rules(SPARKPLUG);
    let device = node.connect(v5("device"));
    node.send(&device, packet(BIRTH, &birth("level"), QoS::AtLeastOnce, 1));
    let mut node = node.crash();
    say(&mut node, DATA, &data(1, 1, 42));
    assert_eq!(given_json(&node)[0]["values"], json!({}));
    let status = sparkplug(&node);
    assert_eq!((status.unborn, status.unknown_aliases), (1, 1));
}

#[test]
fn a_birth_without_room_is_not_known_nor_counted_and_its_retry_is() {
    let (mut node, mut device) = full_node();
    let mut other = node.connect(durable("other"));
    node.subscribe(&mut other, "spBv1.0/#", QoS::AtLeastOnce);
    node.drop_connection(other);
    node.set_rules(SPARKPLUG);
    let births = |node: &TestNode| {
        let births = node.core.broker().rules().births();
        postcard::to_stdvec(&births).unwrap()
    };
    let before = births(&node);
    node.send(
        &device,
        packet(BIRTH, &birth("level"), QoS::AtLeastOnce, 901),
    );
    node.send(&device, packet(DATA, &data(5, 9, 1), QoS::AtLeastOnce, 902));
    node.settle();
    assert_eq!(device.all(&mut node).len(), 0, "there is room");
    assert_eq!(births(&node), before);
    assert_eq!(sparkplug(&node), SparkplugStatus::default());
    make_room(&mut node);
    assert_eq!(device.all(&mut node).len(), 3);
    assert_ne!(births(&node), before);
    let status = sparkplug(&node);
    assert_eq!(
        (status.gaps, status.unknown_aliases, status.unborn),
        (1, 1, 0)
    );
}

#[test]
fn a_node_that_does_not_fit_its_birth_is_asked_for_it_at_most_once_a_minute() {
    let mut node = node_with_sink();
    node.set_rules(SPARKPLUG);
    let mut press = node.connect(v5("press"));
    node.subscribe(&mut press, COMMAND, QoS::AtLeastOnce);
    say(&mut node, DATA, &data(1, 1, 42));
    let asked = press.publishes(&mut node);
    let [command] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(
        (command.topic.as_str(), command.qos, command.retain),
        (COMMAND, QoS::AtMostOnce, false)
    );
    let Payload { metrics, .. } = prost::Message::decode(command.payload.clone()).unwrap();
    let [metric] = &metrics[..] else {
        panic!("{metrics:?}")
    };
    assert_eq!(metric.name.as_deref(), Some("Node Control/Rebirth"));
    assert_eq!((metric.datatype, metric.boolean), (Some(11), Some(true)));

    node.pass(59_999);
    say(&mut node, DATA, &data(2, 1, 42));
    assert_eq!(press.publishes(&mut node), []);
    node.pass(1);
    say(&mut node, DATA, &data(3, 1, 42));
    assert_eq!(press.publishes(&mut node).len(), 1);
    assert_eq!(sparkplug(&node).rebirths, 2);
    assert_eq!(given(&node).len(), 3, "a command is no event");
}

#[test]
fn births_and_counts_stay_when_the_rules_are_read_again() {
    let mut node = node_with_sink();
    node.set_rules(SPARKPLUG);
    say(&mut node, BIRTH, &birth("level"));
    say(&mut node, DATA, &data(7, 1, 1));
    node.set_rules("[[rule]]\nname = \"all\"\n");
    say(&mut node, DATA, &data(8, 1, 2));
    node.set_rules(SPARKPLUG);
    say(&mut node, DATA, &data(9, 1, 3));
    let given = given(&node);
    let last: Json = serde_json::from_slice(given[3].event.data_bytes()).unwrap();
    assert_eq!(last["values"], json!({"level": 3}));
    assert_eq!(given[2].event.data_bytes(), data(8, 1, 2));
    assert_eq!(sparkplug(&node).gaps, 2);
}
