//! A node that says anything: the client ends no other way than by closing the connection, and serves the next node well.

use std::cell::Cell;

use embassy_futures::{
    select::{Either, select},
    yield_now,
};
use embedded_io_async::{Read, Write};
use firmware::{
    client::{Client, Clock, NoCommands},
    link::Manners,
};
use flash_model::Random;
use wire::{
    Mark,
    answer::{
        BirthReason, BirthRefusal, RefusalReason, Refused, Stored, Welcome, encode_ack,
        encode_birth_refused, encode_birth_wanted, encode_refused, encode_welcome,
    },
    command::{Command, CommandId},
};

use crate::{
    broker::{Broker, publish_of},
    client::{Outside, identity, numbers, publish},
    device::{open, stream},
    flash::Driver,
    world::{Here, Wire, World},
};

const SEEDS: u64 = 60;
const CONNECTIONS: u32 = 30;

#[test]
fn a_node_that_says_anything_is_left_and_the_next_one_gets_what_is_committed_then() {
    let mut said = [0; KINDS];
    for seed in 0..SEEDS {
        let world = World::new();
        let here = Here(world.clone());
        let shared = Outside::new(open(&Driver::new(), 5).unwrap());
        let manners = Manners {
            backoff_least_ms: 50,
            backoff_most_ms: 400,
            ..Manners::default()
        };
        let outside = (here.clone(), here.clone(), NoCommands);
        let mut client = Client::new(&shared, identity(), outside, manners, 3);
        let mut hostile = Hostile {
            random: Random::new(seed),
            said: &mut said,
        };
        let served = Cell::new(0);
        let broker = Broker::new(&world, seed);
        let work = async {
            for _ in 0..CONNECTIONS {
                hostile.serve_one(next(&world).await).await;
                served.set(served.get() + 1);
            }
            let work = async {
                let committed = publish(&shared, &here, 1000, 20).await;
                here.wait_until(here.uptime_ms() + 200_000).await;
                committed
            };
            match select(broker.serve(), work).await {
                Either::First(()) => panic!("the broker ended"),
                Either::Second(committed) => committed,
            }
        };
        let Some(Either::Second(committed)) = world.run(5_000_000, select(client.run(), work))
        else {
            panic!(
                "seed {seed}: the client ended, or is stuck at connection {}",
                served.get()
            )
        };
        assert_eq!(committed, (1000..1020).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(numbers(&broker, 0), committed, "seed {seed}");
    }
    assert!(said.iter().all(|count| *count > 100), "{said:?}");
}

async fn next(world: &World) -> Wire {
    loop {
        if let Some(wire) = world.dialled.borrow_mut().pop_front() {
            return wire;
        }
        yield_now().await;
    }
}

struct Hostile<'a> {
    random: Random,
    /// How much of each kind was said.
    said: &'a mut [u32; KINDS],
}

/// What it says: see [`Hostile::packet`].
const KINDS: usize = 11;

impl Hostile<'_> {
    /// Says things until the device hangs up, or it does.
    async fn serve_one(&mut self, mut wire: Wire) {
        let mut heard = [0; 512];
        // Most get as far as a device that was born, where answers count.
        for kind in [0, 1, 4] {
            if self.random.below(6) > 0 {
                let _ = wire.read(&mut heard).await; // whatever it is
                let packet = self.packet(kind);
                if wire.write_all(&packet).await.is_err() {
                    return;
                }
            }
        }
        for _ in 0..30 {
            if self.random.below(3) == 0 && matches!(wire.read(&mut heard).await, Ok(0) | Err(_)) {
                return;
            }
            let kind = usize::try_from(self.random.below(KINDS as u64)).unwrap();
            let mut packet = self.packet(kind);
            self.said[kind] += 1;
            self.spoil(&mut packet);
            if wire.write_all(&packet).await.is_err() {
                return;
            }
        }
    }

    fn packet(&mut self, kind: usize) -> Vec<u8> {
        let mut buffer = [0; 256];
        let stored = Stored {
            incarnation: 5,
            stream: stream(self.random.below(3).try_into().unwrap()),
            mark: Mark {
                boot: self.random.below(3).try_into().unwrap(),
                seq: self.random.below(40),
            },
        };
        let payload = match kind {
            0 => return vec![0x20, 6, 0, 0, 3, 0x21, 0, 1 + self.random.byte() % 9],
            1 => return vec![0x90, 5, 0, 1, 0, 0, 1],
            2 => return vec![0x40, 3, 0, self.random.byte() % 20, self.random.byte()],
            3 => return (0..64).map(|_| self.random.byte()).collect(),
            4 => {
                let welcome = Welcome {
                    version: 1,
                    time_ms: Some(self.random.number()),
                    configuration: 0,
                };
                encode_welcome(&welcome, &[stored], &mut buffer)
            }
            5 => encode_ack(&[stored; 3], &mut buffer),
            6 => encode_birth_wanted(BirthReason::Missing, &mut buffer),
            7 => {
                let refused = Refused {
                    incarnation: stored.incarnation,
                    stream: stored.stream,
                    mark: stored.mark,
                    reason: RefusalReason::NoRoom,
                    after_ms: u32::from(self.random.byte()),
                };
                encode_refused(&refused, &mut buffer)
            }
            8 => encode_birth_refused(BirthRefusal::Devices, 90, &mut buffer),
            9 => {
                let run = Command::Run {
                    id: CommandId {
                        origin: 9,
                        seq: self.random.below(9),
                    },
                    name: "open",
                    data: b"",
                };
                run.encode(&mut buffer)
            }
            _ => return vec![0x30, 0xff, 0xff, self.random.byte() & 0x7f],
        };
        let topic = if kind == 9 { "c/pump-7" } else { "a/pump-7" };
        publish_of(topic, payload.unwrap())
    }

    /// Changes a byte, or cuts the end off, or leaves it.
    fn spoil(&mut self, packet: &mut Vec<u8>) {
        let at = usize::try_from(self.random.below(packet.len() as u64)).unwrap();
        match self.random.below(6) {
            0 => packet[at] = self.random.byte(),
            1 => packet.truncate(at),
            _ => {}
        }
    }
}
