//! Steps that are jq programs: what becomes of an event between its publish and the answer.

use filters::rules::Answer;

use super::{
    deriving::{node, publish_readings, stage},
    *,
};
use crate::{
    jq::{Limit, Outcome},
    rules::JqJob,
};

/// Twice the reading, in place of it.
const TWICE: &str = r#"
[[rule]]
name = "twice"
topic = "t"
[[rule.step]]
jq = { program = ".data.n * 2", consume = true, emit-topic = "made" }
"#;

fn made(json: &str) -> Outcome {
    Outcome::Made(vec![json.as_bytes().to_vec()])
}

/// The one event that is to be worked on.
fn job(node: &mut TestNode) -> JqJob {
    let jobs = node.take_jobs();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    job.clone()
}

fn answer(node: &mut TestNode, job: JqJob, outcome: Outcome) {
    node.core.handle_outcome(job, outcome);
    node.settle();
}

/// Id, topic and data of what the sink is given.
fn sent(node: &TestNode) -> Vec<(String, String, String)> {
    let data = |it: &Outgoing| String::from_utf8_lossy(it.event.data_bytes()).into_owned();
    let given = given(node).into_iter();
    given
        .map(|it| (it.event.id.clone(), it.topic.clone(), data(&it)))
        .collect()
}

#[test]
fn an_event_waits_for_its_program_over_a_crash_and_a_checkpoint_and_what_it_makes_is_sent_once() {
    for checkpoint in [false, true] {
        let mut node = node(TWICE);
        publish_readings(&mut node, "t", [21]);
        let first = job(&mut node);
        assert_eq!(first.program, ".data.n * 2");
        assert_eq!(sent(&node), []);
        if checkpoint {
            node.checkpoint();
            node.core.spool().housekeep_once(node.now());
            node.settle();
        }
        let mut node = node.crash();
        let again = job(&mut node);
        assert_eq!(again, first, "checkpoint: {checkpoint}");
        answer(&mut node, again, made("42"));
        let once = sent(&node);
        let id = format!("twice/0/{}/0", first.position);
        assert_eq!(once, [(id, "made".to_owned(), "42".to_owned())]);
        let mut node = node.crash();
        assert_eq!(node.take_jobs(), []);
        assert_eq!(sent(&node), once);
    }
}

#[test]
fn an_answer_that_the_power_took_was_no_answer() {
    let mut node = node(TWICE);
    publish_readings(&mut node, "t", [21]);
    let first = job(&mut node);
    node.core.handle_outcome(first.clone(), made("42"));
    let mut node = node.crash();
    assert_eq!(sent(&node), []);
    let again = job(&mut node);
    assert_eq!(again, first);
    answer(&mut node, again, Outcome::Killed(Limit::Cpu));
    assert_eq!(sent(&node).len(), 1);
}

#[test]
fn there_is_one_job_at_a_time_and_the_next_follows_its_answer() {
    let mut node = node(TWICE);
    publish_readings(&mut node, "t", [1, 2]);
    let first = job(&mut node);
    assert_eq!(node.take_jobs(), []);
    assert_eq!(
        (stage(&node, 0).keys, stage(&node, 0).stage),
        (2, "jq".to_owned())
    );
    answer(&mut node, first.clone(), made("2"));
    let second = job(&mut node);
    assert!(second.position > first.position);
    assert_eq!(stage(&node, 0).keys, 1);
}

#[test]
fn where_a_program_fails_the_event_goes_on_or_is_in_the_ledger_as_the_rule_says() {
    let dropping = TWICE.replace("[[rule.step]]", "on-error = \"drop\"\n[[rule.step]]");
    for (rules, goes_on) in [(TWICE, true), (&dropping, false)] {
        let mut node = node(rules);
        publish_readings(&mut node, "t", [21]);
        let job = job(&mut node);
        answer(&mut node, job, Outcome::Killed(Limit::Memory));
        let data: Vec<_> = sent(&node).into_iter().map(|it| (it.1, it.2)).collect();
        let as_it_was = ("made".to_owned(), "{\"n\":21}".to_owned());
        assert_eq!(data, Vec::from_iter(goes_on.then_some(as_it_was)));
        assert_eq!(node.core.broker().rules().status()[0].errors, 1);
        let ledger = node.core.spool().status().ledger;
        let lost: Vec<_> = ledger
            .iter()
            .filter(|it| it.scope == "twice/jq/limit")
            .collect();
        assert_eq!(lost.len(), usize::from(!goes_on), "{ledger:?}");
    }
}

#[test]
fn at_the_bound_of_what_waits_an_event_is_acknowledged_after_another_was_answered() {
    let mut node = node(&TWICE.replace("jq =", "max-keys = 1\njq ="));
    let mut device = node.connect(v5("device"));
    let ack = node.publish(&mut device, "t", "{\"n\":1}", QoS::AtLeastOnce, 1);
    assert!(matches!(ack, Some(Packet::PubAck(_))), "{ack:?}");
    let ack = node.publish(&mut device, "t", "{\"n\":2}", QoS::AtLeastOnce, 2);
    assert_eq!(ack, None);
    let first = job(&mut node);
    answer(&mut node, first, made("2"));
    let acks = device.all(&mut node);
    assert!(matches!(acks[..], [Packet::PubAck(_)]), "{acks:?}");
    let second = job(&mut node);
    answer(&mut node, second, made("4"));
    let data: Vec<_> = sent(&node).into_iter().map(|it| it.2).collect();
    assert_eq!(data, ["2", "4"]);
}

#[test]
fn a_stage_that_left_the_rules_ends_with_its_last_answer() {
    let mut node = node(TWICE);
    publish_readings(&mut node, "t", [21]);
    let first = job(&mut node);
    node.set_rules("");
    node.settle();
    let mut node = node.crash();
    assert_eq!(sent(&node), []);
    let again = job(&mut node);
    assert_eq!(again, first);
    answer(&mut node, again, made("42"));
    assert_eq!(sent(&node).len(), 1);
    node.set_rules(TWICE);
    node.settle();
    publish_readings(&mut node, "t", [1]);
    // It had ended: else it would go on under its number.
    assert!(job(&mut node).stage > first.stage);
}

#[test]
fn an_answer_is_kept_by_its_record_alone() {
    let answers = [
        Answer::Made(vec![b"1".to_vec()]),
        Answer::GoesOn,
        Answer::Ended,
    ];
    for answer in answers {
        let change = crate::record::Change::JobAnswered {
            stage: 1,
            position: 2,
            answer,
        };
        let mut bytes = Vec::new();
        change.encode(&mut bytes);
        let read = crate::record::Record::decode(&bytes);
        assert!(matches!(read, Some(crate::record::Record::Change(it)) if it == change));
    }
}
