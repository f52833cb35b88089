use super::*;
use harness::{Mesh, SILENT};

mod harness;
mod simulation;

#[test]
fn a_subscription_is_answered_when_its_groups_are_durable_and_not_before() {
    let mut mesh = Mesh::new();
    mesh.holds_openings = true;
    let one = mesh.subscribe(
        "10.0.0.1",
        "7",
        &[("a", Mode::Clustering), ("b", Mode::Clustering)],
    );
    assert_eq!(mesh.answers(one), []);
    mesh.open_one();
    assert_eq!(mesh.answers(one), []);
    mesh.open_one();
    assert_eq!(mesh.answers(one), [Ok(())]);
}

#[test]
fn no_event_goes_before_the_answer() {
    let mut mesh = Mesh::new();
    mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.holds_openings = true;
    let two = mesh.subscribe(
        "10.0.0.2",
        "7",
        &[("a", Mode::Clustering), ("b", Mode::Clustering)],
    );
    mesh.publish("a", 1);
    mesh.publish("a", 2);
    assert_eq!(mesh.delivered(two), [0; 0]);
    mesh.open_one();
    mesh.publish("a", 3);
    assert_eq!(mesh.delivered(two), [3]);
}

#[test]
fn a_group_that_cannot_be_opened_is_a_refusal_and_can_be_asked_for_again() {
    let mut mesh = Mesh::new();
    mesh.refuses_openings = true;
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.answers(one), [Err(Refusal("full".to_owned()))]);
    mesh.refuses_openings = false;
    mesh.subscribe_on(one, "10.0.0.1", "7", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.answers(one), [Ok(())]);
    mesh.publish("a", 1);
    assert_eq!(mesh.delivered(one), [1]);
}

#[test]
fn members_of_a_clustering_group_take_turns_and_each_event_goes_to_one() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    let two = mesh.subscribe("10.0.0.2", "7", &[("a", Mode::Clustering)]);
    for event in 1..=4 {
        mesh.publish("a", event);
    }
    let (one, two) = (mesh.delivered(one), mesh.delivered(two));
    assert_eq!((one.len(), two.len()), (2, 2));
    let mut all = [one, two].concat();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4]);
}

#[test]
fn each_member_of_a_broadcasting_group_gets_every_event() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Broadcasting)]);
    let two = mesh.subscribe("10.0.0.2", "7", &[("a", Mode::Broadcasting)]);
    mesh.publish("a", 1);
    mesh.publish("a", 2);
    assert_eq!(mesh.delivered(one), [1, 2]);
    assert_eq!(mesh.delivered(two), [1, 2]);
}

#[test]
fn a_second_stream_of_one_identity_is_a_member_of_its_own() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Broadcasting)]);
    let same = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Broadcasting)]);
    mesh.publish("a", 1);
    assert_eq!(mesh.delivered(one), [1]);
    assert_eq!(mesh.delivered(same), [1]);
}

#[test]
fn what_a_broken_stream_was_handed_goes_to_another_member() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.publish("a", 1);
    mesh.publish("a", 2);
    let two = mesh.subscribe("10.0.0.2", "7", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.delivered(two), [0; 0]);
    mesh.end(one);
    assert_eq!(mesh.delivered(two), [1, 2]);
    assert_eq!(mesh.acked("a"), [0; 0]);
}

#[test]
fn what_a_broken_stream_was_handed_waits_for_a_member() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.publish("a", 1);
    mesh.end(one);
    mesh.publish("a", 2);
    let later = mesh.subscribe("10.0.0.9", "9", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.delivered(later), [1, 2]);
}

#[test]
fn a_broadcasting_member_that_returns_gets_what_it_missed_and_a_stranger_does_not() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Broadcasting)]);
    mesh.publish("a", 1);
    mesh.end(one);
    mesh.publish("a", 2);
    let stranger = mesh.subscribe("10.0.0.1", "8", &[("a", Mode::Broadcasting)]);
    let back = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Broadcasting)]);
    assert_eq!(mesh.delivered(stranger), [0; 0]);
    assert_eq!(mesh.delivered(back), [1, 2]);
}

#[test]
fn an_event_is_acknowledged_when_its_stream_has_lived_for_a_minute_and_is_not_given_again() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.publish("a", 1);
    mesh.pass(Duration::from_secs(30));
    mesh.heartbeat("10.0.0.1", "7");
    mesh.publish("a", 2);
    mesh.pass(Duration::from_secs(29));
    mesh.heartbeat("10.0.0.1", "7");
    assert_eq!(mesh.acked("a"), [0; 0]);
    mesh.pass(Duration::from_secs(1));
    assert_eq!(mesh.acked("a"), [1]);
    mesh.end(one);
    let two = mesh.subscribe("10.0.0.2", "7", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.delivered(two), [2]);
}

#[test]
fn an_event_that_no_stream_took_is_not_acknowledged_however_long_it_waits() {
    let mut mesh = Mesh::new();
    let slow = mesh.subscribe("10.0.0.1", "1", &[("a", Mode::Clustering)]);
    mesh.takes_nothing.insert(slow);
    for event in 1..=5 {
        mesh.publish("a", event);
    }
    for _ in 0..4 {
        mesh.pass_alive(Duration::from_secs(25), &["1"]);
        mesh.take(slow);
        mesh.poll();
    }
    assert_eq!(mesh.closed(slow), None);
    assert_eq!(mesh.taken(slow), [1, 2, 3, 4]);
    assert_eq!(mesh.acked("a"), [1], "taken 75 s ago");
    mesh.end(slow);
    let next = mesh.subscribe("10.0.0.1", "2", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.delivered(next), [2, 3, 4, 5]);
}

#[test]
fn a_slow_subscriber_gets_on_though_its_stream_is_ended() {
    let mut mesh = Mesh::new();
    let first = mesh.subscribe("10.0.0.1", "1", &[("a", Mode::Clustering)]);
    for event in 0..200 {
        mesh.publish("a", event);
    }
    mesh.takes_nothing.insert(first);
    for event in 200..300 {
        mesh.publish("a", event);
    }
    mesh.pass_alive(STALL_MAX, &["1"]);
    assert_eq!(mesh.closed(first), Some(Closed::Stalled));
    let again = mesh.subscribe("10.0.0.1", "1", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.acked("a"), (0..200).collect::<Vec<_>>());
    assert_eq!(mesh.delivered(again), (200..300).collect::<Vec<_>>());
}

#[test]
fn what_a_stream_took_long_ago_is_not_given_again_though_another_has_not_taken_what_came_before() {
    let mut mesh = Mesh::new();
    let stalled = mesh.subscribe("10.0.0.1", "1", &[("a", Mode::Clustering)]);
    mesh.takes_nothing.insert(stalled);
    mesh.publish("a", 1);
    let quick = mesh.subscribe("10.0.0.1", "2", &[("a", Mode::Clustering)]);
    mesh.publish("a", 2);
    assert_eq!(mesh.taken(quick), [2]);
    mesh.pass_alive(KEPT, &["1", "2"]);
    mesh.end(quick);
    mesh.end(stalled);
    let next = mesh.subscribe("10.0.0.1", "3", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.delivered(next), [1]);
}

#[test]
fn a_stream_that_holds_up_its_group_at_its_bound_is_ended_sooner() {
    let mut mesh = Mesh::new();
    let stalled = mesh.subscribe("10.0.0.1", "1", &[("a", Mode::Clustering)]);
    mesh.takes_nothing.insert(stalled);
    mesh.publish("a", 0);
    let quick = mesh.subscribe("10.0.0.1", "2", &[("a", Mode::Clustering)]);
    for event in 1..HANDED_MAX as u64 - 1 {
        mesh.publish("a", event);
    }
    mesh.publish_at_once("a", HANDED_MAX as u64 - 1..HANDED_MAX as u64 + 3);
    let handed = mesh.delivered(stalled).len() + mesh.delivered(quick).len();
    assert_eq!(handed, HANDED_MAX);
    mesh.pass_alive(HOLD_UP_MAX - TICK, &["1", "2"]);
    assert_eq!((mesh.closed(stalled), mesh.acked("a")), (None, vec![]));
    mesh.pass_alive(TICK, &["1", "2"]);
    assert_eq!(mesh.closed(stalled), Some(Closed::Stalled));
    assert_eq!(mesh.delivered(quick).len(), HANDED_MAX + 3);
}

#[test]
fn what_may_be_given_again_is_bounded_by_number() {
    let mut mesh = Mesh::new();
    mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    for event in 0..HANDED_MAX as u64 + 3 {
        mesh.publish("a", event);
    }
    assert_eq!(mesh.acked("a"), [0, 1, 2]);
}

#[test]
fn a_silent_member_is_ended_and_one_that_takes_events_is_not() {
    let mut mesh = Mesh::new();
    let silent = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    let busy = mesh.subscribe("10.0.0.2", "7", &[("b", Mode::Clustering)]);
    for event in 0..3 {
        mesh.pass(Duration::from_secs(25));
        mesh.publish("b", event);
    }
    assert_eq!(mesh.closed(silent), Some(SILENT));
    assert_eq!(mesh.closed(busy), None);
    assert!(!mesh.heartbeat("10.0.0.1", "7"));
    assert!(mesh.heartbeat("10.0.0.2", "7"));
}

#[test]
fn a_member_that_takes_nothing_gets_no_more_than_its_bound_and_loses_its_stream_alone() {
    let mut mesh = Mesh::new();
    let slow = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.takes_nothing.insert(slow);
    for event in 0..QUEUED_EVENTS as u64 + 1 {
        mesh.publish("a", event);
    }
    assert_eq!(mesh.delivered(slow).len(), QUEUED_EVENTS);
    let quick = mesh.subscribe("10.0.0.1", "8", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.delivered(quick), [QUEUED_EVENTS as u64]);
    mesh.pass_alive(STALL_MAX, &["7", "8"]);
    assert_eq!(mesh.closed(slow), Some(Closed::Stalled));
    assert_eq!(mesh.closed(quick), None);
    assert_eq!(mesh.delivered(quick).len(), QUEUED_EVENTS + 1);
}

#[test]
fn bytes_that_wait_for_a_stream_are_bounded_too() {
    let mut mesh = Mesh::new();
    let slow = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.takes_nothing.insert(slow);
    mesh.event_bytes = QUEUED_BYTES / 2;
    for event in 0..5 {
        mesh.publish("a", event);
    }
    assert_eq!(mesh.delivered(slow), [0, 1]);
}

#[test]
fn unsubscribing_ends_one_topic_of_one_member_and_nobodys_stream() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe(
        "10.0.0.1",
        "7",
        &[("a", Mode::Clustering), ("b", Mode::Clustering)],
    );
    let two = mesh.subscribe("10.0.0.2", "7", &[("a", Mode::Clustering)]);
    mesh.unsubscribe("10.0.0.1", "7", &["a"]);
    mesh.publish("a", 1);
    mesh.publish("a", 2);
    mesh.publish("b", 3);
    assert_eq!(mesh.delivered(two), [1, 2]);
    assert_eq!(mesh.delivered(one), [3]);
    assert_eq!((mesh.closed(one), mesh.closed(two)), (None, None));
}

#[test]
fn two_clients_of_one_identity_are_told_apart_by_their_connection() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    let same = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.unsubscribe_from(one, "10.0.0.1", "7", &["a"]);
    mesh.publish("a", 1);
    assert_eq!(mesh.delivered(one), [0; 0]);
    assert_eq!(mesh.delivered(same), [1]);
}

#[test]
fn a_group_without_members_is_kept_for_a_day_and_a_broadcasting_part_for_ten_minutes() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe(
        "10.0.0.1",
        "7",
        &[("a", Mode::Clustering), ("b", Mode::Broadcasting)],
    );
    mesh.end(one);
    mesh.pass(PART_KEPT - TICK);
    assert_eq!(mesh.removed(), [""; 0]);
    mesh.pass(TICK);
    assert_eq!(mesh.removed(), ["broadcasting/g/10.0.0.1/7/0/b"]);
    mesh.pass(GROUP_KEPT - PART_KEPT - TICK);
    assert_eq!(mesh.removed().len(), 1);
    mesh.pass(TICK);
    assert_eq!(
        mesh.removed(),
        ["broadcasting/g/10.0.0.1/7/0/b", "clustering/g/a"]
    );
}

#[test]
fn groups_of_an_earlier_life_go_on_where_they_were_and_expire_too() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe(
        "10.0.0.1",
        "7",
        &[("a", Mode::Clustering), ("b", Mode::Clustering)],
    );
    mesh.publish("a", 1);
    mesh.end(one);
    mesh.restart();
    mesh.publish("a", 2);
    let two = mesh.subscribe("10.0.0.2", "8", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.delivered(two), [1, 2]);
    for _ in 0..GROUP_KEPT.as_secs() / 30 {
        mesh.pass(Duration::from_secs(30));
        mesh.heartbeat("10.0.0.2", "8");
    }
    assert_eq!(mesh.removed(), ["clustering/g/b"]);
}

#[test]
fn a_group_that_nobody_comes_back_to_ends_though_the_node_starts_again_each_day() {
    let mut mesh = Mesh::new();
    let items = [("a", Mode::Clustering), ("b", Mode::Broadcasting)];
    let one = mesh.subscribe("10.0.0.1", "7", &items);
    mesh.end(one);
    mesh.pass(TICK);
    mesh.restart();
    mesh.pass(PART_KEPT - TICK);
    assert_eq!(mesh.removed(), [""; 0]);
    mesh.pass(TICK);
    assert_eq!(mesh.removed(), ["broadcasting/g/10.0.0.1/7/0/b"]);
    mesh.restart();
    mesh.pass(Duration::from_secs(20 * 60 * 60));
    mesh.restart();
    mesh.pass(GROUP_KEPT - PART_KEPT - Duration::from_secs(20 * 60 * 60) - TICK);
    assert_eq!(mesh.removed().len(), 1);
    mesh.pass(TICK);
    assert_eq!(mesh.removed()[1..], ["clustering/g/a"]);
}

#[test]
fn the_day_of_a_group_begins_when_its_last_member_left() {
    let mut mesh = Mesh::new();
    for _ in 0..3 {
        let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
        assert_eq!(mesh.answers(one), [Ok(())]);
        mesh.end(one);
        mesh.pass(Duration::from_secs(20 * 60 * 60));
        mesh.restart();
    }
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.pass_alive(GROUP_KEPT, &["7"]);
    mesh.restart();
    mesh.pass(GROUP_KEPT - TICK);
    assert_eq!((mesh.closed(one), mesh.removed()), (None, vec![]));
    mesh.pass(TICK);
    assert_eq!(mesh.removed(), ["clustering/g/a"]);
}

#[test]
fn a_member_has_a_minute_to_come_back_to_a_node_that_was_down_for_days() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.end(one);
    mesh.pass(TICK);
    mesh.now += 2 * GROUP_KEPT;
    mesh.publish("a", 1);
    mesh.restart();
    mesh.pass(SILENCE_MAX - TICK);
    let back = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.delivered(back), [1]);
}

#[test]
fn who_comes_while_a_group_is_noted_as_empty_is_answered_when_it_is_noted_as_not() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.holds_rests = true;
    mesh.end(one);
    mesh.pass(TICK);
    let back = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.answers(back), []);
    mesh.publish("a", 1);
    mesh.rest_one();
    assert_eq!(mesh.answers(back), [Ok(())]);
    assert_eq!(mesh.delivered(back), [1]);
    mesh.holds_rests = false;
    mesh.pass_alive(KEPT + TICK, &["7"]);
    mesh.restart();
    mesh.pass(GROUP_KEPT - TICK);
    assert_eq!(mesh.removed(), [""; 0]);
}

#[test]
fn everything_has_a_bound() {
    let mut mesh = Mesh::new();
    let topics: Vec<String> = (0..TOPICS_MAX).map(|it| it.to_string()).collect();
    let items: Vec<_> = topics
        .iter()
        .map(|it| (it.as_str(), Mode::Clustering))
        .collect();
    let one = mesh.subscribe("10.0.0.1", "7", &items);
    assert_eq!(mesh.answers(one), [Ok(())]);
    mesh.subscribe_on(one, "10.0.0.1", "7", &[("more", Mode::Clustering)]);
    assert!(matches!(mesh.answers(one).as_slice(), [Err(_)]));
    assert_eq!(mesh.closed(one), None);

    for pid in 1..=GROUPS_MAX / TOPICS_MAX {
        let items: Vec<_> = topics
            .iter()
            .map(|it| (it.as_str(), Mode::Broadcasting))
            .collect();
        let next = mesh.subscribe("10.0.0.3", &pid.to_string(), &items);
        let full = pid == GROUPS_MAX / TOPICS_MAX;
        assert_eq!(mesh.closed(next).is_some(), full);
    }
    for pid in 0..MEMBERS_MAX - GROUPS_MAX / TOPICS_MAX {
        let next = mesh.subscribe("10.0.0.2", &pid.to_string(), &[]);
        assert_eq!(mesh.closed(next), None, "{pid}");
    }
    let last = mesh.subscribe("10.0.0.2", "x", &[]);
    assert_eq!(mesh.closed(last), Some(Closed::Refused));
}

#[test]
fn at_its_bounds_it_takes_back_who_is_known() {
    let mut mesh = Mesh::new();
    let topics: Vec<String> = (0..TOPICS_MAX).map(|it| it.to_string()).collect();
    for pid in 0..GROUPS_MAX / TOPICS_MAX {
        let items: Vec<_> = topics
            .iter()
            .map(|it| (it.as_str(), Mode::Broadcasting))
            .collect();
        let one = mesh.subscribe("10.0.0.1", &pid.to_string(), &items);
        assert_eq!(mesh.answers(one), [Ok(())]);
        mesh.subscribe_on(one, "10.0.0.1", &pid.to_string(), &items);
        assert_eq!(mesh.answers(one), [Ok(())], "none of these is new");
        mesh.end(one);
        let again = mesh.subscribe("10.0.0.1", &pid.to_string(), &items[..30]);
        assert_eq!(mesh.answers(again), [Ok(())], "{pid}");
        mesh.end(again);
    }
    let other = mesh.subscribe("10.0.0.2", "7", &[("a", Mode::Clustering)]);
    assert_eq!(mesh.closed(other), Some(Closed::Refused));
}

#[test]
fn a_record_that_no_stream_can_carry_is_passed() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.publish_nothing("a", 1);
    mesh.publish("a", 2);
    assert_eq!(mesh.delivered(one), [2]);
    assert_eq!(mesh.acked("a"), [1]);
}

#[test]
fn a_log_that_cannot_be_read_is_asked_again() {
    let mut mesh = Mesh::new();
    let one = mesh.subscribe("10.0.0.1", "7", &[("a", Mode::Clustering)]);
    mesh.fails_reads = true;
    mesh.publish("a", 1);
    mesh.fails_reads = false;
    assert_eq!(mesh.delivered(one), [0; 0]);
    mesh.pass(RETRY);
    assert_eq!(mesh.delivered(one), [1]);
}
