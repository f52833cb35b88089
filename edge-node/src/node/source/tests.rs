use spool::{
    Options, RouteId, Start,
    clock::{ClockMark, WallTime},
    storage::simulated::Simulated,
};

use super::*;

fn source() -> Arc<Source> {
    let options = Options {
        bound_bytes: Some(64 << 20),
        min_free_percent: 0,
        ..Options::default()
    };
    let storage = Arc::new(Simulated::new(1));
    let (spool, _) = Spool::open(storage, options, NodeTime(0), Arc::new(|| {})).unwrap();
    let mut transaction = spool.transaction(NodeTime(0));
    let graveyard = transaction
        .create_cursor("dead/mesh", Start::Now, None)
        .unwrap();
    transaction.finish();
    let peers = Arc::new(Peers::new("me"));
    peers.meet("hub");
    let clock: Clock = Arc::new(|| ClockMark {
        node: NodeTime(0),
        wall: WallTime(0),
    });
    let addresses = ["192.0.2.7", "127.0.0.1"].map(|it| it.parse().unwrap());
    Source::new(
        "mesh",
        spool,
        clock,
        Vec::new(),
        u32::MAX,
        peers,
        addresses.to_vec(),
        graveyard,
    )
}

#[test]
fn a_node_is_known_by_its_id_and_other_peers_by_their_address_unless_that_is_loopback() {
    let source = source();
    for (origin, from_peer) in [
        ("node:hub", true),
        ("node:other", false),
        ("http:192.0.2.7", true),
        ("grpc:192.0.2.7:4711", true),
        ("grpc:[::ffff:192.0.2.7]:4711", true),
        ("http:192.0.2.8", false),
        ("rule:192.0.2.7", false),
        ("http:127.0.0.1", false),
        ("grpc:127.0.0.1:4711", false),
    ] {
        assert_eq!(source.came_from_peer(origin), from_peer, "{origin}");
    }
}

#[test]
fn dead_letters_that_wait_for_their_commit_take_room_as_those_that_are_in_the_log() {
    let source = source();
    let (first, last) = (bury(&source), bury(&source));
    let waiting = source.dead_letters();
    assert_eq!(waiting.records, 2);
    assert!(waiting.bytes >= 2 * 250, "{waiting:?}");
    source.spool.commit_once();
    assert_eq!(source.dead_letters().records, 2);

    bury(&source);
    source.spool.ack(source.graveyard, &[first, last]);
    assert_eq!(source.dead_letters().records, 1);
    source.spool.commit_once();
    assert_eq!(source.dead_letters().records, 1);
}

/// Its position.
fn bury(source: &Source) -> Seq {
    let mut transaction = source.spool.transaction(NodeTime(0));
    let entry = Entry {
        seq: Seq(1),
        time: NodeTime(0),
        kind: Kind::Event,
        lane: Lane(1),
        route: RouteId(0),
        owed: true,
        body: Arc::from([5; 250]),
    };
    let dead = DeadLetter {
        sink: "mesh",
        seq: entry.seq,
        entry: &entry,
        reason: "no",
        tries: 1,
    };
    source.bury(&mut transaction, &dead).unwrap();
    transaction.finish()
}
