//! Topics on which nothing can be derived: what was acknowledged goes on, or is in the ledger.

use spool::LossReason;

use super::*;

/// What the ledger has under that reason.
fn losses(node: &TestNode, reason: LossReason) -> Vec<(String, u64)> {
    let ledger = node.core.spool().status().ledger.into_iter();
    let losses = ledger.filter(|it| it.reason == reason);
    losses.map(|it| (it.scope, it.count)).collect()
}

#[test]
fn an_event_of_which_nothing_could_be_derived_goes_on_as_it_came_or_is_in_the_ledger() {
    let quiet = "[[rule]]\nname = \"quiet\"\n[[rule.step]]\ndebounce = { quiet = \"1s\" }\n";
    let longest = "t".repeat(65_535);
    // No uplink takes topics that begin with `$`.
    for (topic, is_taken) in [("$x/y", false), (&*longest, true)] {
        let mut node = node(quiet);
        publish_readings(&mut node, topic, [7]);
        let sent: Vec<_> = given(&node).into_iter().map(|it| it.topic).collect();
        assert_eq!(sent == [topic], is_taken, "{} are given", sent.len());
        let [status] = &node.core.broker().rules().status()[..] else {
            panic!("one rule")
        };
        assert_eq!(status.errors_by_class, [("topic".to_owned(), 1)].into());

        let drops = quiet.replace("[[rule.step]]", "on-error = \"drop\"\n[[rule.step]]");
        let mut node = self::node(&drops);
        publish_readings(&mut node, topic, [7]);
        assert_eq!(given(&node).len(), 0);
        let dropped = [("quiet/debounce".to_owned(), 1)];
        assert_eq!(losses(&node, LossReason::DroppedByRule), dropped);
    }
}

#[test]
fn what_is_derived_on_no_topic_or_on_one_of_a_device_is_in_the_ledger_and_goes_no_further() {
    let of_device = format!("{DEVICES}/a");
    for (key, topics) in [("a#", "health"), ("pump", &of_device)] {
        let mut node = node(&format!(
            "[[rule]]\nname = \"silence\"\ntopic = \"t\"\n[[rule.step]]\n\
             absence = {{ after = \"1m\", keys = [\"{key}\"], emit-topic = \"{topics}/{{topic}}\" }}\n"
        ));
        node.pass(60_000);
        let refused = [("silence".to_owned(), 1)];
        assert_eq!(losses(&node, LossReason::Refused), refused);
        let mut node = node.crash();
        node.pass(60_000);
        assert_eq!(losses(&node, LossReason::Refused), refused);
        assert_eq!(node.core.broker().rules().waiting(), 0);
    }
}
