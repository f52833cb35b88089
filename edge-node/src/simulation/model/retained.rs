//! What is retained: the order in which each topic was given its messages.

use std::collections::{BTreeMap, BTreeSet};

use spool::NodeTime;

use super::{Message, Model};
use crate::mqtt::packet::QoS;

/// Every sending of a retained message and every acknowledgement of one, by topic.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    steps: BTreeMap<String, Vec<Step>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Sent(usize),
    Acked(usize),
}

impl Retained {
    /// A client sends it, for the first time or again.
    pub(super) fn sent(&mut self, topic: &str, number: usize) {
        let steps = self.steps.entry(topic.to_owned()).or_default();
        steps.push(Step::Sent(number));
    }

    /// The client got its acknowledgement.
    pub(super) fn acked(&mut self, topic: &str, number: usize) {
        let steps = self.steps.entry(topic.to_owned()).or_default();
        steps.push(Step::Acked(number));
    }

    /// Checks what somebody who subscribes to everything got, when nothing moved any more.
    pub(crate) fn check(&self, messages: &[Message], got: &BTreeSet<usize>, now: NodeTime) {
        for (topic, steps) in &self.steps {
            let possible = possible(messages, steps);
            let got: Vec<_> = got
                .iter()
                .filter(|number| messages[**number].topic == *topic)
                .collect();
            match got.as_slice() {
                [number] => assert!(
                    possible.contains(number),
                    "message {number} is retained on {topic}, not one of {possible:?}"
                ),
                [] => {
                    let gone = |number: &usize| messages[*number].may_be_expired(now);
                    let nothing = !steps.iter().any(|step| matches!(step, Step::Acked(_)));
                    assert!(
                        nothing || possible.iter().any(gone),
                        "nothing is retained on {topic}, and one of {possible:?} must be"
                    );
                }
                many => panic!("{many:?} are retained on {topic}"),
            }
        }
    }
}

impl Model {
    /// Nothing moves any more: a client that holds a subscription was given what is retained there.
    pub(crate) fn check_given(
        &self,
        client: usize,
        holds: impl Fn(&str) -> bool,
        retained: &BTreeSet<usize>,
        now: NodeTime,
    ) {
        for number in retained {
            let message = &self.messages[*number];
            let is_owed = message.qos != QoS::AtMostOnce && holds(&message.topic);
            assert!(
                !is_owed || message.got.contains(&client) || message.may_be_expired(now),
                "message {number} is retained, and client {client} was never given it: {message:?}"
            );
        }
    }
}

/// A message can be the one that stays unless another one that was acknowledged was sent when it had its place in the log.
fn possible(messages: &[Message], steps: &[Step]) -> BTreeSet<usize> {
    let first = |number| steps.iter().position(|step| *step == Step::Sent(number));
    let placed = |number: usize| match messages[number].qos {
        QoS::AtMostOnce => first(number),
        _ if messages[number].acked => steps.iter().position(|step| *step == Step::Acked(number)),
        _ => None,
    };
    let acked = steps.iter().filter_map(|step| match step {
        Step::Acked(number) => first(*number),
        Step::Sent(_) => None,
    });
    let newest = acked.max();
    let sent = steps.iter().filter_map(|step| match step {
        Step::Sent(number) => Some(*number),
        Step::Acked(_) => None,
    });
    sent.filter(|number| placed(*number).is_none_or(|place| Some(place) >= newest))
        .collect()
}
