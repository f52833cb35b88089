//! Streams that come, break, fall silent and stall in any order, with reads of the log that end late, and restarts.

use super::{super::*, harness::Mesh};

#[test]
fn every_event_reaches_a_stream_that_lives_before_its_group_has_it() {
    for seed in 0..300 {
        run(seed);
    }
}

fn run(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut mesh = Mesh::new();
    mesh.held_reads = Some(Vec::new());
    // The group begins with its first member.
    let mut live = vec![mesh.subscribe("10.0.0.0", "1", &[("a", Mode::Clustering)])];
    let mut published = 0;
    for _ in 0..300 {
        match rng.u32(..100) {
            0..40 => {
                mesh.publish("a", published);
                published += 1;
            }
            40..70 => finish_a_read(&mut mesh, &mut rng),
            70..76 => live.push(mesh.subscribe(
                "10.0.0.1",
                &rng.u8(..3).to_string(),
                &[("a", Mode::Clustering)],
            )),
            76..81 if !live.is_empty() => {
                let id = live.swap_remove(rng.usize(..live.len()));
                mesh.end(id);
            }
            81..84 if !live.is_empty() => {
                mesh.takes_nothing.insert(live[rng.usize(..live.len())]);
            }
            84..94 => mesh.pass(Duration::from_secs(rng.u64(1..20))),
            94..99 => drop(
                (0..3)
                    .map(|pid| mesh.heartbeat("10.0.0.1", &pid.to_string()))
                    .max(),
            ),
            _ => {
                mesh.restart();
                live.clear();
            }
        }
        live.retain(|id| mesh.is_live(*id));
        for event in mesh.acked("a") {
            assert!(
                mesh.arrived(event),
                "seed {seed}: event {event} is acknowledged and was on no stream that lived"
            );
        }
    }
    settle(&mut mesh, &mut rng);
    let all: Vec<u64> = (0..published).collect();
    assert_eq!(mesh.acked("a"), all, "seed {seed}");
}

/// One member that lives until all is said.
fn settle(mesh: &mut Mesh, rng: &mut fastrand::Rng) {
    mesh.subscribe("10.0.0.9", "9", &[("a", Mode::Clustering)]);
    for _ in 0..10 {
        while mesh
            .held_reads
            .as_ref()
            .is_some_and(|held| !held.is_empty())
        {
            finish_a_read(mesh, rng);
        }
        mesh.pass(Duration::from_secs(30));
        mesh.heartbeat("10.0.0.9", "9");
    }
}

fn finish_a_read(mesh: &mut Mesh, rng: &mut fastrand::Rng) {
    let held = mesh.held_reads.as_mut().unwrap();
    if !held.is_empty() {
        let (read, there) = held.swap_remove(rng.usize(..held.len()));
        mesh.read(&read, there);
        mesh.poll();
    }
}
