//! A storm over a board that commits as fast as it can: its power is cut at any moment, the node is killed, the link is
//! cut. The oracle is what the board noted in PSRAM behind each commit, against what is in the node's log at the end.
//!
//! `BOARD_STORM_RECORDS=n` chooses how many readings are committed at least (3,000 by default), `BOARD_STORM_SEED=n` which
//! trouble comes when.

use std::{ops::ControlFlow, process::Command};

use serde_json::Value;
use tests::{Boot, TestBoard, TestNode, edge_node, get, wait_for_progress, wait_until};

use super::{FLASH, FLASH_JOURNAL};

/// How many resets must meet a write or an erase.
const LEAST_CUTS: usize = 5;
/// How often the node must be killed.
const LEAST_KILLS: usize = 8;
/// About every seventh reset meets an operation.
const MOST_RESETS: usize = 2_000;
/// The longest that node or link are away, in troubles.
const LONGEST_AWAY: u32 = 6;

#[tokio::test]
async fn what_was_committed_is_logged_once_in_order_whatever_becomes_of_power_node_and_link() {
    let records = number("BOARD_STORM_RECORDS").unwrap_or(3_000);
    let seed = number("BOARD_STORM_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("BOARD_STORM_RECORDS={records} BOARD_STORM_SEED={seed}");
    let node = TestNode::builder().config("[devices]\n").start().await;
    let board = TestBoard::start_image("storm", &node, "pump-7");
    wait_until("the board is up", async || {
        board.console().contains("connected to the node")
    })
    .await;
    let mut storm = Storm {
        node,
        board,
        random: fastrand::Rng::with_seed(seed),
        books: Vec::new(),
        resets: [0; 3],
        last_reset: None,
        early_resets: 0,
        is_counter_cut: false,
        renewed: Vec::new(),
        kills: 0,
        link_cuts: 0,
        node_away: 0,
        link_away: 0,
    };
    storm.wait_for_commits(1).await;
    while storm.committed() < records || storm.cut() < LEAST_CUTS || storm.kills < LEAST_KILLS {
        storm.trouble().await;
        assert!(
            storm.resets.iter().sum::<usize>() < MOST_RESETS,
            "{:?}",
            storm.resets
        );
    }
    storm.calm().await;
    let Storm {
        books,
        resets,
        early_resets,
        renewed,
        kills,
        link_cuts,
        mut node,
        ..
    } = storm;
    let [between, in_writes, in_erases] = resets;
    println!(
        "resets: {between} between operations, {in_writes} in writes, {in_erases} in erases, {early_resets} of all \
         before a boot was done; {kills} kills of the node, \
         {link_cuts} cuts of the link; {} boots, {} committed",
        books.len(),
        total(&books),
    );
    let lost = lost(&node).await;
    // What the node has is not all on its disk before.
    node.stop().await;
    judge(&books, &logged(&node));
    assert_eq!(
        renewed,
        [],
        "a boot counter is lost only where its write is cut"
    );
    assert_eq!(lost, 0, "nothing is lost, and nothing is said to be");
}

/// Incarnation and boot.
type Life = (u32, u32);

struct Storm {
    node: TestNode,
    board: TestBoard,
    random: fastrand::Rng,
    /// How many readings of each boot are in flash at least.
    books: Vec<(Life, u32)>,
    /// Between operations of the flash, in writes, in erases.
    resets: [usize; 3],
    /// Which boot the last one ended, and how many came before a boot had noted anything.
    last_reset: Option<Life>,
    early_resets: usize,
    /// Whether one did since the last boot that noted something.
    is_counter_cut: bool,
    /// Boots that began an incarnation though none did.
    renewed: Vec<Life>,
    kills: usize,
    link_cuts: usize,
    /// For how many more troubles they are away.
    node_away: u32,
    link_away: u32,
}

/// What the board noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    life: Life,
    committed: u32,
    refused: u32,
}

impl Storm {
    /// Some readings later, one thing goes wrong; and what was long enough away comes back.
    async fn trouble(&mut self) {
        let readings = self.random.u32(1..120);
        self.wait_for_commits(readings).await;
        match self.random.u32(0..4) {
            0 if self.node_away == 0 => {
                self.node.kill().await;
                self.kills += 1;
                self.node_away = self.random.u32(1..LONGEST_AWAY);
            }
            1 if self.link_away == 0 => {
                self.board.cut_link();
                self.link_cuts += 1;
                self.link_away = self.random.u32(1..LONGEST_AWAY);
            }
            _ => {
                self.reset();
                // And again before it is up.
                while self.random.u32(0..3) == 0 {
                    self.reset();
                }
            }
        }
        let is_back = self.node_away == 1;
        if is_back {
            self.node.start_again().await;
        }
        if self.link_away == 1 {
            self.board.mend_link();
        }
        self.node_away = self.node_away.saturating_sub(1);
        self.link_away = self.link_away.saturating_sub(1);
        // Else the next reset comes before the board is connected again, and has all sent anew.
        if is_back && self.link_away == 0 && self.random.bool() {
            self.wait_until_node_has_all().await;
        }
    }

    /// Cuts the power between two instructions, and brings it back.
    fn reset(&mut self) {
        self.board.pause();
        let noted = self.note().life;
        let is_early = Some(noted) == self.last_reset;
        self.early_resets += usize::from(is_early);
        self.is_counter_cut |= is_early;
        self.last_reset = Some(noted);
        let operation = self.board.memory(FLASH + FLASH_JOURNAL as u32, 1);
        self.resets[usize::from(operation[0])] += 1;
        self.board.reset();
    }

    /// Writes down what the board noted.
    fn note(&mut self) -> Noted {
        let noted = noted(&self.board);
        match self.books.last_mut() {
            Some((life, committed)) if *life == noted.life => {
                *committed = noted.committed.max(*committed);
            }
            _ if noted.life == NOBODY => {}
            last => {
                let is_new = last.is_some_and(|((incarnation, _), _)| *incarnation != noted.life.0);
                if is_new && !self.is_counter_cut {
                    self.renewed.push(noted.life);
                }
                self.is_counter_cut = false;
                self.books.push((noted.life, noted.committed));
            }
        }
        noted
    }

    /// All is well again.
    async fn calm(&mut self) {
        if self.node_away > 0 {
            self.node.start_again().await;
        }
        if self.link_away > 0 {
            self.board.mend_link();
        }
        self.wait_for_commits(1).await;
        self.wait_until_node_has_all().await;
    }

    /// Waits until the node has what is committed by now.
    async fn wait_until_node_has_all(&mut self) {
        let Noted {
            life, committed, ..
        } = self.note();
        let node = &self.node;
        wait_for_progress("the node has all that was committed", async || {
            let mark = mark(node, life.0).await;
            match mark >= (u64::from(life.1), u64::from(committed)) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(mark),
            }
        })
        .await;
    }

    /// Waits until so many more readings are in flash, or there is no room for them.
    async fn wait_for_commits(&mut self, count: u32) {
        let board = &self.board;
        let mut before: Option<Noted> = None;
        wait_for_progress("readings are committed", async || {
            let now = noted(board);
            let since = *before.get_or_insert(now);
            let (committed, refused) = match now.life == since.life {
                true => (now.committed - since.committed, now.refused - since.refused),
                false => (now.committed, now.refused),
            };
            match now.life != NOBODY && (committed >= count || refused >= 3) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(now),
            }
        })
        .await;
        self.note();
    }

    fn committed(&self) -> u64 {
        total(&self.books)
    }

    fn cut(&self) -> usize {
        let [_, in_writes, in_erases] = self.resets;
        in_writes + in_erases
    }
}

fn total(books: &[(Life, u32)]) -> u64 {
    books.iter().map(|(_, count)| u64::from(*count)).sum()
}

/// Of a board that has not opened its outbox yet: boots count from 1.
const NOBODY: Life = (0, 0);
/// Where the image has its books.
const BOOKS: u32 = 0x2100_0110;

fn noted(board: &TestBoard) -> Noted {
    let memory = board.memory(BOOKS, 16);
    let words: Vec<u32> = memory
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect();
    Noted {
        life: (words[0], words[1]),
        committed: words[2],
        refused: words[3],
    }
}

/// All that the board committed is there, once and in its order, and nothing else but the one reading of a boot that a reset
/// kept from being noted.
fn judge(books: &[(Life, u32)], logged: &[(Life, u64)]) {
    let mut boots: Vec<(Life, u64)> = Vec::new();
    for (life, seq) in logged {
        let is_next = boots.last().is_some_and(|(last, _)| last == life);
        if !is_next {
            boots.push((*life, 0));
        }
        let (_, count) = boots.last_mut().expect("one was pushed");
        assert_eq!(*seq, *count + 1, "of {life:x?}: each once, in order");
        *count = *seq;
    }
    let came = |life: &Life| boots.iter().any(|(other, _)| other == life);
    let due = books
        .iter()
        .filter(|(life, count)| *count > 0 || came(life));
    let due: Vec<Life> = due.map(|(life, _)| *life).collect();
    let lives: Vec<Life> = boots.iter().map(|(life, _)| *life).collect();
    assert_eq!(lives, due, "each boot once, in order");
    for (life, count) in &boots {
        let noted = books.iter().find(|(other, _)| other == life);
        let committed = noted.map_or(0, |(_, committed)| u64::from(*committed));
        assert!(
            *count >= committed,
            "{life:x?}: {count} of {committed} arrived"
        );
        let is_last = Some(life) == lives.last(); // which goes on
        assert!(
            is_last || *count <= committed + 1,
            "{life:x?}: {count} of {committed} arrived"
        );
    }
}

/// The readings in the node's log, in its order.
fn logged(node: &TestNode) -> Vec<(Life, u64)> {
    let output = Command::new(edge_node())
        .args(["spool", "export", "--data"])
        .arg(node.data())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let ids = lines.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let id = event["event"]["id"].as_str().unwrap();
        let (incarnation, boot, seq) = Boot::parts(id).unwrap();
        ((incarnation, boot), seq)
    });
    ids.collect()
}

/// How far the node is with this board: boot and sequence.
async fn mark(node: &TestNode, incarnation: u32) -> (u64, u64) {
    let device = device(node).await;
    let streams = device["streams"].as_array().cloned().unwrap_or_default();
    let incarnation = format!("{incarnation:08x}");
    let stream = streams
        .iter()
        .find(|it| it["incarnation"] == incarnation.as_str());
    let number = |name: &str| stream.and_then(|it| it[name].as_u64()).unwrap_or(0);
    (number("boot"), number("seq"))
}

async fn lost(node: &TestNode) -> u64 {
    device(node).await["lost"].as_u64().unwrap()
}

async fn device(node: &TestNode) -> Value {
    let response = get(node.http(), "/api/v1/devices/pump-7").await;
    serde_json::from_str(&response.body).unwrap_or_default()
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}
