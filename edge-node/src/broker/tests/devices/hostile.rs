//! A device that says anything: each of its publishes is answered, nobody else notices, and a crash brings nothing else.

use wire::envelope::Envelope;

use super::*;

const SEEDS: u64 = 40;
const MESSAGES: usize = 60;

/// A message for `b/` or `d/`: one that could be, with numbers that need not, and often spoilt.
fn message(random: &mut fastrand::Rng) -> (&'static str, Vec<u8>) {
    let place = (random.u32(0..10), 1 << random.u32(0..64));
    let (channel, mut payload) = match random.u8(0..5) {
        0 => {
            let birth = Birth {
                uptime_ms: random.u64(..),
                last: (random.u32(0..9), random.u64(..)),
                oldest: place,
                ..birth(random.u32(1..9))
            };
            ("b", birth.bytes())
        }
        1 if place.0 > 0 => ("d", single(place)),
        2 if place.0 > 0 && place.1 < 1 << 60 => ("d", batch(place, random.u64(1..9))),
        3 => ("d", single((7, random.u64(1..5)))),
        _ => {
            let bytes = (0..random.usize(0..80)).map(|_| random.u8(..)).collect();
            (if random.bool() { "b" } else { "d" }, bytes)
        }
    };
    if !payload.is_empty() {
        let at = random.usize(0..payload.len());
        match random.u8(0..4) {
            0 => payload[at] = random.u8(..),
            1 => payload.truncate(at),
            2 => payload.push(random.u8(..)),
            _ => {}
        }
    }
    (channel, payload)
}

/// The reasons of its PUBACKs; what is said to it on `a/` can be read.
fn answers(node: &mut TestNode, hostile: &mut Pump) -> Vec<ReasonCode> {
    node.pass(100);
    hostile.hear(node).0
}

#[test]
fn a_device_that_says_anything_is_answered_and_troubles_nobody() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut node = node();
        let mut good = Pump::born(&mut node, "good", &birth(7));
        good.hear(&mut node);
        let mut hostile = Pump::connect(&mut node, "hostile");
        for number in 1..=MESSAGES as u64 {
            let (channel, payload) = message(&mut random);
            let is_no_event = channel == "d" && Envelope::decode(&payload).is_err();
            hostile.send(&mut node, &format!("{channel}/hostile"), payload);
            let reasons = answers(&mut node, &mut hostile);
            assert_eq!(reasons.len(), 1, "seed {seed}, message {number}");
            let says_so = reasons[0] == ReasonCode::PayloadFormatInvalid;
            assert!(says_so || !is_no_event, "seed {seed}, message {number}");
            seen.insert(format!("{:?}", reasons[0]));
            good.send(&mut node, "d/good", single((7, number)));
            assert_eq!(
                good.heard(&mut node),
                [Said::Ack(vec![(7, number)])],
                "seed {seed}"
            );
        }
        let status = node.status();
        assert!(status.devices.known <= 2, "seed {seed}: {status:?}");
        let before = events(&node);
        let of_good = before.iter().filter(|it| it.source.ends_with(":good"));
        assert_eq!(of_good.count(), MESSAGES, "seed {seed}");
        let node = node.crash();
        let ids = |events: &[Event]| -> Vec<_> {
            let named = events.iter().map(|it| (it.source.clone(), it.id.clone()));
            named.collect()
        };
        assert_eq!(ids(&events(&node)), ids(&before), "seed {seed}");
    }
    let expected = [
        "ImplementationSpecificError",
        "PayloadFormatInvalid",
        "Success",
    ];
    assert!(expected.iter().all(|it| seen.contains(*it)), "{seen:?}");
}

/// The message that announces this version of a kind, with nearly as much as a table may say.
fn large_kind(version: u16) -> Vec<u8> {
    let name = "n".repeat(64);
    let names: Vec<_> = (0..20)
        .map(|index| format!("{index}{}", &name[2..]))
        .collect();
    let fields = names.iter().map(|name| Field {
        name,
        scalar: Scalar::U8,
        shape: Shape::One,
    });
    let fields: Vec<_> = fields.collect();
    let kind = Kind {
        version,
        fields: &fields,
        ..READING
    };
    let mut bytes = [0; 2048];
    let kinds = encode_kinds(&[Announced::new(kind)], &mut bytes);
    kinds.unwrap().to_vec()
}

#[test]
fn a_device_may_announce_so_much_and_over_its_life_any_number_of_kinds() {
    let mut node = node();
    let mut pump = Pump::connect(&mut node, "pump-7");
    for version in 1..=40 {
        pump.send(&mut node, "b/pump-7", large_kind(version));
    }
    node.settle();
    let taken = pump.hear(&mut node).0;
    let is_taken = |reason: &&ReasonCode| **reason == ReasonCode::Success;
    let taken = taken.iter().take_while(is_taken).count();
    assert!((4..10).contains(&taken), "{taken} of 40");

    let mut pump = Pump::connect(&mut node, "pump-8");
    let unannounced = Birth {
        kinds: &[],
        ..birth(7)
    };
    for version in 1..=40 {
        pump.send(&mut node, "b/pump-8", large_kind(version));
        pump.send(&mut node, "b/pump-8", unannounced.bytes());
        let welcome = Said::Welcome(vec![(0, 0)]);
        assert_eq!(pump.heard(&mut node), [welcome], "version {version}");
    }
}
