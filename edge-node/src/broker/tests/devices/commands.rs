//! Commands and configurations on their way to devices.

mod configurations;
mod orders;

use tokio::sync::oneshot;
use wire::{
    birth::{encode_configured, encode_result},
    command::{Command, CommandId, Configured, Outcome},
};

use super::*;
use crate::{
    device::{CommandOutcome, ConfigurationState},
    node::{
        devices::{
            CommandOrder, CommandStage, CommandStatus, ConfigurationStatus, DeviceError,
            DeviceRequest,
        },
        handle::{Incoming, PublishError, Request},
    },
};

const HOUR_MS: u64 = 3_600_000;

/// What came down.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Run(CommandId, String, Vec<u8>),
    Configure(u32, Vec<u8>),
}

impl Pump {
    /// On a new connection on which it hears commands.
    fn ready(node: &mut TestNode, name: &str, birth: &Birth) -> Pump {
        let mut pump = Pump::connect(node, name);
        node.subscribe(
            &mut pump.client,
            &format!("{DEVICES}/c/{name}"),
            QoS::AtLeastOnce,
        );
        pump.send(node, &format!("b/{name}"), birth.bytes());
        node.settle();
        pump
    }

    /// What came down since the last time.
    fn came(&mut self, node: &mut TestNode) -> Vec<Came> {
        let mut came = Vec::new();
        for packet in self.client.all(node) {
            let Packet::Publish(publish) = packet else {
                continue;
            };
            if publish.topic.as_str().starts_with(&format!("{DEVICES}/c/")) {
                came.push(match Command::decode(&publish.payload).unwrap() {
                    Command::Run { id, name, data } => Came::Run(id, name.into(), data.into()),
                    Command::Configure { version, data } => Came::Configure(version, data.into()),
                });
            }
        }
        came
    }

    fn say_result(&mut self, node: &mut TestNode, id: CommandId, outcome: Outcome) {
        let mut bytes = [0; 64];
        let result = encode_result(id, outcome, b"ok", &mut bytes).unwrap();
        self.send(node, "b/pump-7", result.to_vec());
        node.settle();
    }
}

fn numbers(came: &[Came]) -> Vec<u64> {
    let number = |came: &Came| match came {
        Came::Run(id, ..) => id.seq,
        Came::Configure(..) => panic!("{came:?}"),
    };
    came.iter().map(number).collect()
}

fn ask<T>(node: &mut TestNode, request: impl FnOnce(oneshot::Sender<T>) -> DeviceRequest) -> T {
    let (reply, mut answer) = oneshot::channel();
    node.core.handle_request(Request::Devices(request(reply)));
    answer.try_recv().unwrap()
}

fn order(node: &mut TestNode, name: &str, data: &[u8]) -> Result<String, DeviceError> {
    let ordered = ask(node, |reply| DeviceRequest::Command {
        device: "pump-7".to_owned(),
        order: CommandOrder {
            name: name.to_owned(),
            data: data.to_vec(),
            expires_ms: HOUR_MS,
            asker: None,
        },
        reply,
    });
    ordered.map(|(id, seq)| {
        assert!(
            seq > node.core.spool().status().committed,
            "it waits for a commit"
        );
        id
    })
}

fn commands(node: &mut TestNode) -> Vec<CommandStatus> {
    let device = "pump-7".to_owned();
    ask(node, |reply| DeviceRequest::Commands { device, reply }).unwrap()
}

fn stages(node: &mut TestNode) -> Vec<(CommandStage, Option<CommandOutcome>)> {
    let commands = commands(node).into_iter();
    commands.map(|it| (it.state, it.outcome)).collect()
}

fn configure(node: &mut TestNode, data: &[u8]) -> Result<u32, DeviceError> {
    let (device, data) = ("pump-7".to_owned(), data.to_vec());
    let given = ask(node, |reply| DeviceRequest::Configure {
        device,
        data,
        reply,
    });
    given.map(|(version, _)| version)
}

fn wanted(node: &TestNode) -> ConfigurationStatus {
    let status = node.core.broker().device_status("pump-7", node.now());
    status.unwrap().wanted.unwrap()
}

#[test]
fn a_command_goes_out_once_it_is_durable_and_its_end_is_told() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    pump.came(&mut node);
    let id = order(&mut node, "open", b"wide").unwrap();
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(pump.came(&mut node), [], "not before the commit");
    node.commit();
    let came = pump.came(&mut node);
    let [Came::Run(run, name, data)] = &came[..] else {
        panic!("{came:?}");
    };
    assert_eq!((name.as_str(), &data[..]), ("open", &b"wide"[..]));
    assert_eq!(id, format!("{:08x}-{}", run.origin, run.seq));
    assert_eq!(stages(&mut node), [(CommandStage::Sent, None)]);
    pump.say_result(&mut node, *run, Outcome::Done);
    let mut node = node.crash();
    let ended = commands(&mut node).remove(0);
    assert_eq!(ended.id, id);
    assert_eq!(ended.outcome, Some(CommandOutcome::Done));
    assert_eq!(ended.data_base64.as_deref(), Some("b2s="));
    assert_eq!(ended.expires_in_ms, None);
}

#[test]
fn a_command_waits_for_its_device_over_a_crash() {
    let mut node = node();
    drop(Pump::ready(&mut node, "pump-7", &birth(7)));
    let pump = Pump::connect(&mut node, "pump-7");
    node.drop_connection(pump.client);
    let id = order(&mut node, "open", b"").unwrap();
    node.commit();
    assert_eq!(stages(&mut node), [(CommandStage::Waiting, None)]);
    let mut node = node.crash();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(8));
    let came = pump.came(&mut node);
    let [Came::Run(run, ..)] = &came[..] else {
        panic!("{came:?}");
    };
    assert_eq!(id, format!("{:08x}-{}", run.origin, run.seq));
}

#[test]
fn one_command_is_under_way_at_a_time_and_in_their_order() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    for name in ["one", "two", "three"] {
        order(&mut node, name, b"").unwrap();
    }
    node.settle();
    for seq in 1..=3 {
        let came = pump.came(&mut node);
        assert_eq!(numbers(&came), [seq]);
        let Some(Came::Run(id, ..)) = came.first() else {
            panic!("{came:?}");
        };
        pump.say_result(&mut node, *id, Outcome::Failed);
    }
    assert_eq!(pump.came(&mut node), []);
    let failed = (CommandStage::Ended, Some(CommandOutcome::Failed));
    assert_eq!(stages(&mut node), [failed; 3]);
}

#[test]
fn a_command_without_a_result_goes_out_again_at_the_next_birth_and_no_earlier_one_after_it() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    order(&mut node, "one", b"").unwrap();
    node.settle();
    assert_eq!(numbers(&pump.came(&mut node)), [1]);
    node.wait(HOUR_MS / 2);
    order(&mut node, "two", b"").unwrap();
    node.settle();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(8));
    assert_eq!(numbers(&pump.came(&mut node)), [1], "it has not ended");
    node.pass(HOUR_MS / 2);
    assert_eq!(
        numbers(&pump.came(&mut node)),
        [2],
        "the time of the first is over"
    );
    let mut node = node.crash();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(9));
    assert_eq!(numbers(&pump.came(&mut node)), [2]);
    assert_eq!(
        stages(&mut node),
        [(CommandStage::Unknown, None), (CommandStage::Sent, None)]
    );
}

#[test]
fn a_command_that_was_not_sent_in_its_time_never_is_and_is_in_the_ledger() {
    let mut node = node();
    let pump = Pump::ready(&mut node, "pump-7", &birth(7));
    node.drop_connection(pump.client);
    order(&mut node, "open", b"").unwrap();
    node.settle();
    let mut node = node.crash();
    node.pass(HOUR_MS);
    assert_eq!(stages(&mut node), [(CommandStage::Expired, None)]);
    assert_eq!(node.lost(LossReason::Expired), 1);
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(8));
    assert_eq!(pump.came(&mut node), []);
}

#[test]
fn a_result_counts_once_and_only_from_the_device_that_was_told() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    let mut other = Pump::ready(&mut node, "pump-8", &birth(7));
    order(&mut node, "open", b"").unwrap();
    node.settle();
    let came = pump.came(&mut node);
    let Some(Came::Run(id, ..)) = came.first() else {
        panic!("{came:?}");
    };
    let mut bytes = [0; 64];
    let result = encode_result(*id, Outcome::Done, b"", &mut bytes).unwrap();
    other.send(&mut node, "b/pump-8", result.to_vec());
    let strange = CommandId {
        origin: id.origin ^ 1,
        ..*id
    };
    pump.say_result(&mut node, strange, Outcome::Done);
    assert_eq!(stages(&mut node), [(CommandStage::Sent, None)]);
    pump.say_result(&mut node, *id, Outcome::Done);
    pump.say_result(&mut node, *id, Outcome::Forgotten);
    let done = (CommandStage::Ended, Some(CommandOutcome::Done));
    assert_eq!(stages(&mut node), [done]);
}

#[test]
fn a_device_that_hears_no_commands_is_sent_none() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    order(&mut node, "open", b"").unwrap();
    node.settle();
    assert_eq!(pump.came(&mut node), []);
    assert_eq!(stages(&mut node), [(CommandStage::Waiting, None)]);
}

#[test]
fn what_waits_for_devices_is_bounded() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    let length = |what, is, least, most| DeviceError::Length {
        what,
        is,
        least,
        most,
    };
    assert_eq!(order(&mut node, "", b""), Err(length("name", 0, 1, 64)));
    let data = vec![0; 4097];
    assert_eq!(
        order(&mut node, "x", &data),
        Err(length("data", 4097, 0, 4096))
    );
    // 64 KiB take fifteen with all their data.
    for _ in 0..15 {
        order(&mut node, "x", &data[1..]).unwrap();
    }
    let full = DeviceError::Full { bound: 64 << 10 };
    assert_eq!(order(&mut node, "x", &data[1..]), Err(full.clone()));
    assert_eq!(configure(&mut node, &data[1..]), Err(full));
    node.settle();
    let came = pump.came(&mut node);
    let Some(Came::Run(id, ..)) = came.first() else {
        panic!("{came:?}");
    };
    pump.say_result(&mut node, *id, Outcome::Done);
    order(&mut node, "x", &data[1..]).unwrap();
    let mut node = node.crash();
    assert_eq!(
        commands(&mut node).len(),
        15,
        "the one that was over made room"
    );
}

#[test]
fn so_many_commands_wait_for_one_device_and_are_given_up_with_it() {
    let mut node = node();
    drop(Pump::born(&mut node, "pump-7", &birth(7)));
    for _ in 0..64 {
        order(&mut node, "x", b"").unwrap();
    }
    let device = "pump-7".to_owned();
    let many = DeviceError::TooMany { device };
    assert_eq!(order(&mut node, "x", b""), Err(many));
    node.settle();
    let mut node = node.crash();
    let device = "pump-7".to_owned();
    let removed = ask(&mut node, |reply| DeviceRequest::Remove { device, reply });
    assert!(removed.is_ok(), "{removed:?}");
    assert_eq!(node.lost(LossReason::CursorRemoved), 64);
    drop(Pump::born(&mut node, "pump-7", &birth(7)));
    assert_eq!(commands(&mut node), []);
}

#[test]
fn what_a_device_cannot_take_is_not_sent() {
    let mut node = node();
    let small = with_maximum_packet(v5("pump-7"), 256);
    let mut client = node.connect(small);
    for channel in ["a", "c"] {
        let filter = format!("{DEVICES}/{channel}/pump-7");
        node.subscribe(&mut client, &filter, QoS::AtLeastOnce);
    }
    let mut pump = Pump {
        client,
        next_packet: 1,
    };
    pump.send(&mut node, "b/pump-7", birth(7).bytes());
    order(&mut node, "large", &[0; 300]).unwrap();
    order(&mut node, "small", &[0; 100]).unwrap();
    node.settle();
    assert_eq!(numbers(&pump.came(&mut node)), [2]);
    let too_large = (CommandStage::Ended, Some(CommandOutcome::TooLarge));
    assert_eq!(stages(&mut node), [too_large, (CommandStage::Sent, None)]);
    configure(&mut node, &[0; 300]).unwrap();
    node.settle();
    assert_eq!(wanted(&node).state, ConfigurationState::TooLarge);
}

#[test]
fn nobody_speaks_for_a_device_or_the_node_through_another_door() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    pump.came(&mut node);
    let event = Event::builder("1", "/cloud", "ack").build().unwrap();
    for topic in ["a/pump-7", "b/pump-7", "c/pump-7", "d/pump-7"] {
        let topic = format!("{DEVICES}/{topic}");
        let direct = Incoming {
            topic: topic.clone(),
            event: event.clone(),
        };
        let mut carried = Incoming::on(topic, event.clone());
        carried.event.extensions.insert(
            cloud_uplink::eventmesh::attribute::MESH_TOPIC.to_owned(),
            filters::Value::String(carried.topic.clone()),
        );
        carried.topic = "plant/elsewhere".to_owned();
        for incoming in [direct, carried] {
            let refused = node.post(vec![incoming]);
            let is_refused = matches!(refused, Err(PublishError::Refused { index: 0, .. }));
            assert!(is_refused, "{refused:?}");
        }
    }
    node.settle();
    assert_eq!(pump.client.all(&mut node), []);
}
