use serde_json::json;

use super::*;

const NODE_BIRTH: &str = "spBv1.0/plant/NBIRTH/gateway";
const NODE_DATA: &str = "spBv1.0/plant/NDATA/gateway";
const NODE_DEATH: &str = "spBv1.0/plant/NDEATH/gateway";
const DEVICE_BIRTH: &str = "spBv1.0/plant/DBIRTH/gateway/press";
const DEVICE_DATA: &str = "spBv1.0/plant/DDATA/gateway/press";
const DEVICE_DEATH: &str = "spBv1.0/plant/DDEATH/gateway/press";

/// A node on its way through the log.
struct Plant {
    sparkplug: Sparkplug,
    position: u64,
    now: Moment,
}

impl Plant {
    fn new() -> Plant {
        Plant {
            sparkplug: Sparkplug::default(),
            position: 0,
            now: Moment(0),
        }
    }

    /// The values of a message, committed.
    fn say(&mut self, on: &str, payload: &[u8]) -> serde_json::Value {
        self.position += 1;
        let (position, now) = (self.position, self.now);
        let seen = self
            .sparkplug
            .handle_message(&topic(on), payload, position, now, true)
            .unwrap();
        json(&seen.decoded)["values"].clone()
    }

    fn counts(&self) -> (u64, u64, u64, u64) {
        let it = self.sparkplug.counts();
        (it.stale_deaths, it.gaps, it.unknown_aliases, it.unborn)
    }

    fn rebirths(&mut self) -> usize {
        std::iter::from_fn(|| self.sparkplug.poll_rebirth()).count()
    }
}

fn birth(bd_seq: u64, name: &str, alias: u64) -> Vec<u8> {
    let value = MetricValue::Int(1);
    payload(Some(0), &[bd_seq_is(bd_seq), metric(name, alias, 1, value)])
}

fn device_birth(seq: u64, name: &str, alias: u64) -> Vec<u8> {
    payload(Some(seq), &[metric(name, alias, 1, MetricValue::Int(1))])
}

/// -1, once the birth has said that it has 8 bits.
fn data(seq: u64, alias: u64) -> Vec<u8> {
    payload(Some(seq), &[by_alias(alias, MetricValue::Int(0xFF))])
}

#[test]
fn data_gets_names_and_types_from_the_birth_that_stands() {
    let mut plant = Plant::new();
    plant.say(NODE_BIRTH, &birth(0, "level", 1));
    plant.say(DEVICE_BIRTH, &device_birth(1, "force", 1));
    assert_eq!(plant.say(NODE_DATA, &data(2, 1)), json!({"level": -1}));
    assert_eq!(plant.say(DEVICE_DATA, &data(3, 1)), json!({"force": -1}));
    plant.say(DEVICE_BIRTH, &device_birth(4, "torque", 1));
    assert_eq!(plant.say(DEVICE_DATA, &data(5, 1)), json!({"torque": -1}));
    assert_eq!(plant.counts(), (0, 0, 0, 0));
    assert_eq!(plant.rebirths(), 0);
}

#[test]
fn a_record_is_decoded_by_the_births_that_stood_at_its_position() {
    let mut plant = Plant::new();
    plant.say(NODE_BIRTH, &birth(0, "level", 1));
    plant.say(NODE_DATA, &data(1, 1));
    plant.say(NODE_BIRTH, &birth(1, "height", 1));
    plant.say(NODE_DEATH, &payload(None, &[bd_seq_is(1)]));
    let at = |plant: &Plant, position| {
        let decoded = plant
            .sparkplug
            .decode_at(&topic(NODE_DATA), &data(1, 1), position);
        json(&decoded.unwrap())["values"].clone()
    };
    let nothing = json!({});
    assert_eq!(at(&plant, 2), json!({"level": -1}));
    assert_eq!(at(&plant, 3), json!({"height": -1}));
    assert_eq!(
        (at(&plant, 4), at(&plant, 0)),
        (nothing.clone(), nothing.clone())
    );
    plant.sparkplug.forget_before(3);
    assert_eq!(at(&plant, 2), nothing);
    assert_eq!(at(&plant, 3), json!({"height": -1}));
    plant.sparkplug.forget_before(4);
    assert_eq!(plant.sparkplug.births().count(), 0);
}

#[test]
fn devices_are_born_after_their_node_and_die_with_it() {
    let mut plant = Plant::new();
    plant.say(NODE_BIRTH, &birth(0, "level", 1));
    plant.say(DEVICE_BIRTH, &device_birth(1, "force", 2));
    plant.say(NODE_BIRTH, &birth(1, "level", 1));
    assert_eq!(plant.say(DEVICE_DATA, &data(1, 2)), json!({}));
    assert_eq!(plant.counts(), (0, 0, 1, 1));
    plant.say(DEVICE_BIRTH, &device_birth(2, "force", 2));
    assert_eq!(plant.say(DEVICE_DATA, &data(3, 2)), json!({"force": -1}));
    plant.say(DEVICE_DEATH, &payload(Some(4), &[]));
    assert_eq!(plant.say(DEVICE_DATA, &data(5, 2)), json!({}));
    assert_eq!(plant.counts(), (0, 0, 2, 2));
}

#[test]
fn a_death_of_an_earlier_birth_is_stale() {
    let mut plant = Plant::new();
    plant.say(NODE_BIRTH, &birth(7, "level", 1));
    plant.say(NODE_DEATH, &payload(None, &[bd_seq_is(6)]));
    assert_eq!(plant.counts(), (1, 0, 0, 0));
    assert_eq!(plant.rebirths(), 1);
    assert_eq!(plant.say(NODE_DATA, &data(1, 1)), json!({"level": -1}));
    plant.say(NODE_DEATH, &payload(None, &[bd_seq_is(7)]));
    assert_eq!(plant.say(NODE_DATA, &data(2, 1)), json!({}));
    assert_eq!(plant.counts(), (1, 0, 1, 1));
}

#[test]
fn a_gap_is_counted_once_and_the_sequence_goes_round() {
    let mut plant = Plant::new();
    plant.say(NODE_BIRTH, &birth(0, "level", 1));
    for seq in (1..=255).chain(0..3) {
        plant.say(NODE_DATA, &data(seq, 1));
    }
    assert_eq!(plant.counts(), (0, 0, 0, 0));
    // A publish that is sent again is no gap.
    plant.say(NODE_DATA, &data(2, 1));
    assert_eq!(plant.counts(), (0, 0, 0, 0));
    plant.say(NODE_DATA, &data(4, 1));
    plant.say(NODE_DATA, &data(5, 1));
    assert_eq!(plant.counts(), (0, 1, 0, 0));
}

#[test]
fn a_node_is_asked_for_its_births_at_most_once_a_minute() {
    let mut plant = Plant::new();
    plant.say(NODE_BIRTH, &birth(0, "level", 1));
    plant.say(NODE_DATA, &data(1, 9));
    let first = plant.sparkplug.poll_rebirth();
    assert_eq!(
        first.map(|it| it.topic).as_deref(),
        Some("spBv1.0/plant/NCMD/gateway")
    );
    plant.now = Moment(59_999);
    plant.say(NODE_DATA, &data(2, 9));
    assert_eq!(plant.rebirths(), 0);
    plant.say("spBv1.0/plant/NDATA/other", &data(2, 9));
    assert_eq!(plant.rebirths(), 1);
    plant.now = Moment(60_000);
    plant.say(NODE_DATA, &data(3, 9));
    assert_eq!(plant.rebirths(), 1);
    assert_eq!(plant.counts(), (0, 0, 4, 1));
    let quiet =
        plant
            .sparkplug
            .handle_message(&topic(NODE_DATA), &data(9, 9), 9, Moment(600_000), false);
    assert!(quiet.is_ok() && plant.sparkplug.poll_rebirth().is_none());
}

#[test]
fn a_node_beyond_the_bound_takes_the_place_of_those_not_heard_for_longest() {
    let mut plant = Plant::new();
    let on = |node: &str| format!("spBv1.0/plant/NDATA/{node}");
    plant.say(&on("a"), &data(0, 1));
    for number in 1..live::MAX_NODES {
        plant.say(&on(&format!("n{number}")), &data(0, 1));
    }
    plant.say(&on("a"), &data(1, 1));
    plant.say(&on("z"), &data(0, 1));
    plant.say(&on("n1"), &data(9, 1));
    assert_eq!(plant.sparkplug.counts().gaps, 0, "`n1` is forgotten");
    plant.say(&on("a"), &data(3, 1));
    assert_eq!(plant.sparkplug.counts().gaps, 1, "`a` is not");
}

#[test]
fn births_beyond_the_bound_take_the_place_of_the_oldest() {
    let mut plant = Plant::new();
    plant.sparkplug.max_bytes = 2000;
    for node in 0..100 {
        let on = format!("spBv1.0/plant/NBIRTH/{node}");
        plant.say(&on, &birth(0, "level", 1));
        assert!(plant.sparkplug.bytes <= 2000);
    }
    let kept = plant.sparkplug.births().count();
    assert!((3..10).contains(&kept), "{kept}");
    assert_eq!(plant.sparkplug.counts().evicted, 100 - kept as u64);
    assert_eq!(
        plant.say("spBv1.0/plant/NDATA/99", &data(1, 1)),
        json!({"level": -1})
    );
    assert_eq!(plant.say("spBv1.0/plant/NDATA/0", &data(1, 1)), json!({}));
}

#[test]
fn what_is_forgotten_at_the_bound_makes_room_for_many_that_come() {
    let mut plant = Plant::new();
    plant.sparkplug.max_bytes = 50_000;
    let mut turns = 0;
    for node in 0..1_000 {
        let before = plant.sparkplug.counts().evicted;
        let on = format!("spBv1.0/plant/NBIRTH/{node}");
        plant.say(&on, &birth(0, "level", 1));
        if plant.sparkplug.counts().evicted > before {
            assert!(plant.sparkplug.bytes <= 50_000 / 8 * 7);
            turns += 1;
        }
    }
    assert!((1..100).contains(&turns), "{turns}");
}

#[test]
fn a_node_whose_birth_is_forgotten_is_not_asked_again_within_a_minute() {
    let mut sparkplug = Sparkplug {
        max_bytes: 2000,
        ..Sparkplug::default()
    };
    let mut say = |position: u64, on: &str, payload: &[u8]| {
        let now = Moment(position);
        let seen = sparkplug.handle_message(&topic(on), payload, position, now, true);
        seen.unwrap();
        std::iter::from_fn(|| sparkplug.poll_rebirth()).count()
    };
    assert_eq!(say(1, NODE_BIRTH, &birth(0, "level", 1)), 0);
    assert_eq!(say(2, NODE_DATA, &data(9, 1)), 1);
    for position in 3..100 {
        let other = format!("spBv1.0/plant/NBIRTH/{position}");
        say(position, &other, &birth(0, "level", 1));
    }
    assert_eq!(say(100, NODE_DATA, &data(9, 1)), 0);
    assert_eq!(say(60_002, NODE_DATA, &data(9, 1)), 1);
}

#[test]
fn a_message_that_is_taken_back_is_not_counted_and_nobody_is_asked_for_it() {
    let mut plant = Plant::new();
    plant.say(NODE_BIRTH, &birth(0, "level", 1));
    let mut refuse = |on: &str, payload: &[u8]| {
        let seen = plant
            .sparkplug
            .handle_message(&topic(on), payload, 2, Moment(0), true);
        plant.sparkplug.undo(seen.unwrap().undo);
    };
    refuse(NODE_DATA, &data(9, 9));
    refuse(NODE_DEATH, &payload(None, &[bd_seq_is(5)]));
    refuse("spBv1.0/plant/NDATA/other", &data(1, 1));
    assert_eq!(plant.sparkplug.counts(), SparkplugCounts::default());
    assert_eq!(plant.rebirths(), 0);
    let other = topic("spBv1.0/plant/NDATA/other").node_key();
    assert_eq!(plant.sparkplug.live.find(&other), None);
    plant.say(NODE_DATA, &data(9, 9));
    assert_eq!(plant.counts(), (0, 1, 1, 0));
    assert_eq!(
        (plant.rebirths(), plant.sparkplug.counts().rebirths),
        (1, 1)
    );
}

#[test]
fn a_node_that_is_born_again_and_again_takes_the_place_of_few_births() {
    let mut plant = Plant::new();
    for bd_seq in 0..10_000 {
        plant.say(NODE_BIRTH, &birth(bd_seq, "level", 1));
        plant.sparkplug.forget_by_turns(plant.position);
        assert!(plant.sparkplug.births().count() <= MIN_FRESH + 1);
    }
    assert_eq!(plant.say(NODE_DATA, &data(1, 1)), json!({"level": -1}));
    assert_eq!(plant.sparkplug.counts(), SparkplugCounts::default());
}

/// Messages that are refused or lost in a crash leave no trace, whatever was checkpointed when; what is decoded again is what was decoded first.
#[test]
fn births_are_a_fold_over_what_was_committed() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut live = Sparkplug::default();
        let mut log: Vec<(String, Vec<u8>, Decoded)> = Vec::new();
        let mut checkpoint: (Vec<StoredBirth>, usize) = Default::default();
        for _ in 0..random.usize(1..60) {
            let (on, bytes) = random_message(&mut random);
            let position = log.len() as u64 + 1;
            let seen = live
                .handle_message(&topic(&on), &bytes, position, Moment(0), false)
                .unwrap();
            match random.u8(0..10) {
                0..7 => log.push((on, bytes, seen.decoded)),
                7 => live.undo(seen.undo),
                8 => {
                    live.undo(seen.undo);
                    checkpoint = (live.births().collect(), log.len());
                }
                _ => live = recovered(&checkpoint, &log),
            }
        }
        let again = recovered(&checkpoint, &log);
        for (position, (on, bytes, decoded)) in (1..).zip(&log) {
            for sparkplug in [&live, &again] {
                let replayed = sparkplug.decode_at(&topic(on), bytes, position);
                assert_eq!(
                    replayed.as_ref(),
                    Ok(decoded),
                    "seed {seed}, position {position}"
                );
            }
        }
        let births = |it: &Sparkplug| it.births().collect::<Vec<_>>();
        assert_eq!(births(&live), births(&again), "seed {seed}");
        assert_eq!(
            births(&live),
            births(&recovered(&Default::default(), &log)),
            "seed {seed}"
        );
    }
}

fn recovered(
    (births, upto): &(Vec<StoredBirth>, usize),
    log: &[(String, Vec<u8>, Decoded)],
) -> Sparkplug {
    let mut sparkplug = Sparkplug::default();
    births.iter().cloned().for_each(|it| sparkplug.recover(it));
    for (position, (on, bytes, _)) in (1..).zip(log).skip(*upto) {
        sparkplug.apply(&topic(on), bytes, position).unwrap();
    }
    sparkplug
}

fn random_message(random: &mut fastrand::Rng) -> (String, Vec<u8>) {
    let node = random.u8(0..2);
    let device = random.u8(0..2);
    let message = ["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH"][random.usize(0..6)];
    let on = match message.starts_with('D') {
        true => format!("spBv1.0/g/{message}/{node}/{device}"),
        false => format!("spBv1.0/g/{message}/{node}"),
    };
    let name = ["a", "b", "c"][random.usize(0..3)];
    let (seq, alias) = (random.u64(0..3), random.u64(0..3));
    let bytes = match message {
        "NBIRTH" | "DBIRTH" => birth(random.u64(0..3), name, alias),
        "NDEATH" => payload(None, &[bd_seq_is(random.u64(0..3))]),
        _ => data(seq, alias),
    };
    (on, bytes)
}
