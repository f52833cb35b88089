//! Giving a sink again what it had: a second drain beside the live one, over a range of the log.
//!
//! Its place is a cursor named `replay/SINK/FIRST-LAST`, which owes nothing and so holds nothing back; a node that starts
//! goes on where it finds one. It sends with a quarter of the sink's bounds, so that the live drain keeps the larger share.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cloud_uplink::{DrainHandle, End, Limits};
use spool::{CursorId, NodeTime, Seq, Spool, Start};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinSet, spawn_blocking},
    time::timeout,
};

use super::{Uplink, Uplinks};
use crate::{
    node::{
        dead::DeadOrder,
        handle::UplinkOrder,
        replay::{Range, ReplayAnswer, ReplayError, ReplayOrder, ReplayRequest},
        status::ReplayStatus,
    },
    run::doors::told,
};

/// How long a beginning or an end may take to become durable; longer than a disk stalls.
const DURABLE_WITHIN: Duration = Duration::from_secs(60);
/// The share of a sink's bounds that a replay of it has.
const SHARE: usize = 4;

/// The latest replay of one sink. Guards it; never held over `.await`.
#[derive(Clone, Default)]
pub(super) struct ReplaySlot(Arc<Mutex<Option<Replay>>>);

struct Replay {
    range: Range,
    cursor: CursorId,
    drain: DrainHandle,
    state: State,
}

enum State {
    Running(Stop),
    Done,
    Stopped { up_to: Seq },
}

/// How a running replay is ended before its end.
struct Stop {
    tell: oneshot::Sender<()>,
    /// Nothing more is sent.
    ended: oneshot::Receiver<()>,
}

impl Replay {
    /// Everything up to here is done with.
    fn up_to(&self, spool: &Spool) -> Seq {
        let Range { first, last } = self.range;
        match self.state {
            State::Running(_) => spool.cursor_status(self.cursor).map_or(last, |cursor| {
                cursor.low.clamp(Seq(first.0.saturating_sub(1)), last)
            }),
            State::Done => last,
            State::Stopped { up_to } => up_to,
        }
    }
}

impl ReplaySlot {
    fn lock(&self) -> MutexGuard<'_, Option<Replay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<Range> {
        let replay = self.lock();
        let running = replay
            .as_ref()
            .filter(|replay| matches!(replay.state, State::Running(_)));
        running.map(|replay| replay.range)
    }

    /// From here on the running replay counts as stopped where it is; its cursor, and how it is told.
    fn stop(&self, spool: &Spool) -> Option<(CursorId, Stop)> {
        let mut slot = self.lock();
        let replay = slot.as_mut()?;
        let up_to = replay.up_to(spool);
        match mem::replace(&mut replay.state, State::Stopped { up_to }) {
            State::Running(stop) => Some((replay.cursor, stop)),
            ended => {
                replay.state = ended;
                None
            }
        }
    }

    fn end(&self, state: State) {
        if let Some(replay) = self.lock().as_mut() {
            replay.state = state;
        }
    }

    /// As status shows it; stays after the end, until the next or the end of the node.
    pub(super) fn status(&self, spool: &Spool) -> Option<ReplayStatus> {
        let slot = self.lock();
        let replay = slot.as_ref()?;
        let Range { first, last } = replay.range;
        let seen = replay.drain.status();
        Some(ReplayStatus {
            first: first.0,
            last: last.0,
            up_to: replay.up_to(spool).0,
            sent: seen.acknowledged,
            refused: seen.dead_letters,
            done: matches!(replay.state, State::Done),
            stopped: matches!(replay.state, State::Stopped { .. }),
        })
    }
}

impl Uplinks {
    /// Begins and ends replays as they are ordered, one for each sink at a time, and settles dead letters, until the node
    /// stops.
    pub(in crate::run) async fn follow_orders(self, mut orders: mpsc::Receiver<UplinkOrder>) {
        let mut replays = JoinSet::new();
        self.resume(&mut replays).await;
        let mut stopped = std::pin::pin!(told(self.shared.stopped.clone()));
        loop {
            tokio::select! {
                () = &mut stopped => break,
                Some(order) = orders.recv() => self.follow(order, &mut replays).await,
                Some(_) = replays.join_next() => {}
            }
        }
        while replays.join_next().await.is_some() {}
    }

    async fn follow(&self, order: UplinkOrder, replays: &mut JoinSet<()>) {
        // Who asked may be gone.
        match order {
            UplinkOrder::Replay(ReplayOrder::Begin { request, reply }) => {
                let _ = reply.send(self.replay(&request, replays).await);
            }
            UplinkOrder::Replay(ReplayOrder::Stop { sink, reply }) => {
                let _ = reply.send(self.stop(sink).await);
            }
            UplinkOrder::DeadLetters(DeadOrder { sink, fate, reply }) => {
                let _ = reply.send(self.settle(sink, fate).await);
            }
        }
    }

    pub(super) fn uplink(&self, sink: &str) -> Result<&Uplink, ReplayError> {
        let found = self.uplinks.iter().find(|uplink| uplink.name() == sink);
        found.ok_or_else(|| ReplayError::UnknownSink {
            sink: sink.to_owned(),
            names: self.names(),
        })
    }

    pub(super) fn names(&self) -> Vec<String> {
        let names = self.uplinks.iter().map(|uplink| uplink.name().to_owned());
        names.collect()
    }

    async fn replay(
        &self,
        request: &ReplayRequest,
        replays: &mut JoinSet<()>,
    ) -> Result<ReplayAnswer, ReplayError> {
        let sink = request.sink.clone();
        let uplink = self.uplink(&sink)?;
        if let Some(Range { first, last }) = uplink.replay.running() {
            let (first, last) = (first.0, last.0);
            return Err(ReplayError::Busy { sink, first, last });
        }
        let (asked, spool) = (request.clone(), self.shared.spool.clone());
        let resolved = blocking(move || asked.resolve(&spool)).await?;
        let (range, kept_from) = resolved?;
        let cursor = self.open(&sink, range).await?;
        self.begin(uplink, range, cursor, replays);
        Ok(ReplayAnswer {
            sink,
            first: range.first.0,
            last: range.last.0,
            kept_from: kept_from.map(|seq| seq.0),
        })
    }

    async fn stop(&self, sink: String) -> Result<(), ReplayError> {
        let slot = &self.uplink(&sink)?.replay;
        let Some((cursor, Stop { tell, ended })) = slot.stop(&self.shared.spool) else {
            return Err(ReplayError::Idle { sink });
        };
        let _ = tell.send(()); // it may have come to its end by itself
        let _ = ended.await; // an error means that it is gone, too
        if let Some(cursor) = self.shared.spool.cursor_status(cursor) {
            slot.end(State::Stopped { up_to: cursor.low });
        }
        // A start that still finds the cursor goes on with the replay.
        let removed = remove(self.shared.spool.clone(), self.now(), cursor).await?;
        self.durable(removed).await
    }

    /// Goes on with what the last run of the node left undone.
    async fn resume(&self, replays: &mut JoinSet<()>) {
        for cursor in self.shared.spool.status().cursors {
            let Some((sink, range)) = parse_name(&cursor.name) else {
                continue;
            };
            let Some(id) = self.shared.spool.cursor(&cursor.name) else {
                continue;
            };
            match self.uplinks.iter().find(|uplink| uplink.name() == sink) {
                Some(uplink) if uplink.replay.running().is_none() => {
                    self.begin(uplink, range, id, replays);
                }
                _ => self.forget(id).await,
            }
        }
    }

    /// Makes the cursor, and waits until that is durable.
    async fn open(&self, sink: &str, range: Range) -> Result<CursorId, ReplayError> {
        let (spool, now) = (self.shared.spool.clone(), self.now());
        let name = cursor_name(sink, range);
        let made = blocking(move || {
            let Range { first, last } = range;
            let mut transaction = spool.transaction(now);
            let start = Start::History { first, last };
            let cursor = transaction.create_cursor(&name, start, None)?;
            Ok((cursor, transaction.finish()))
        });
        let made: Result<_, spool::Full> = made.await?;
        let (cursor, seq) = made.map_err(|full| ReplayError::Unavailable {
            what: full.to_string(),
        })?;
        if let Err(error) = self.durable(seq).await {
            self.forget(cursor).await;
            return Err(error);
        }
        Ok(cursor)
    }

    pub(super) async fn durable(&self, seq: Seq) -> Result<(), ReplayError> {
        let mut commits = self.shared.commits.clone();
        match timeout(DURABLE_WITHIN, reaches(&mut commits, seq)).await {
            Ok(true) => Ok(()),
            _ => Err(ReplayError::Unavailable {
                what: "the log does not take it".to_owned(),
            }),
        }
    }

    async fn forget(&self, cursor: CursorId) {
        forget(self.shared.spool.clone(), self.now(), cursor).await;
    }

    fn begin(&self, uplink: &Uplink, range: Range, cursor: CursorId, replays: &mut JoinSet<()>) {
        let limits = share(&uplink.sink.config.limits());
        let (tell, stop) = oneshot::channel();
        let (gone, ended) = oneshot::channel();
        let stopped = told(self.shared.stopped.clone());
        let stopped = async move {
            tokio::select! {
                () = stopped => {}
                Ok(()) = stop => {}
            }
        };
        let (drain, running) =
            uplink.drain(cursor, limits, Some(range.last), &self.shared, stopped);
        *uplink.replay.lock() = Some(Replay {
            range,
            cursor,
            drain,
            state: State::Running(Stop { tell, ended }),
        });
        let (slot, spool) = (uplink.replay.clone(), self.shared.spool.clone());
        let mut commits = self.shared.commits.clone();
        let (sink, clock) = (uplink.name().to_owned(), Arc::clone(&self.shared.clock));
        let Range { first, last } = range;
        tracing::info!(sink, first = first.0, last = last.0, "a replay begins");
        replays.spawn_local(async move {
            if running.await == End::Drained {
                // A start that still finds the cursor goes on with the replay.
                if let Some(removed) = forget(spool, clock().node, cursor).await {
                    // Whoever orders its end waits for this.
                    let _ = timeout(DURABLE_WITHIN, reaches(&mut commits, removed)).await;
                }
                slot.end(State::Done);
                tracing::info!(sink, first = first.0, last = last.0, "a replay is done");
            }
            let _ = gone.send(()); // nobody waits, unless it was told to stop
        });
    }

    fn now(&self) -> NodeTime {
        (self.shared.clock)().node
    }
}

fn share(limits: &Limits) -> Limits {
    Limits {
        in_flight: (limits.in_flight / SHARE).max(1),
        read_ahead_bytes: limits.read_ahead_bytes / SHARE,
        canary_every: None,
        ..limits.clone()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ReplayError> {
    spawn_blocking(work)
        .await
        .map_err(|error| ReplayError::Unavailable {
            what: error.to_string(),
        })
}

async fn reaches(commits: &mut watch::Receiver<Seq>, seq: Seq) -> bool {
    commits
        .wait_for(|committed| *committed >= seq)
        .await
        .is_ok()
}

/// The position at which it is gone.
async fn remove(spool: Spool, now: NodeTime, cursor: CursorId) -> Result<Seq, ReplayError> {
    blocking(move || {
        let mut transaction = spool.transaction(now);
        transaction.remove_cursor(cursor, None);
        transaction.finish()
    })
    .await
}

async fn forget(spool: Spool, now: NodeTime, cursor: CursorId) -> Option<Seq> {
    let removed = remove(spool, now, cursor).await;
    let said = removed.inspect_err(|error| {
        tracing::error!(%error, "the cursor of a replay stays until the next start");
    });
    said.ok()
}

fn cursor_name(sink: &str, Range { first, last }: Range) -> String {
    format!("replay/{sink}/{}-{}", first.0, last.0)
}

fn parse_name(name: &str) -> Option<(&str, Range)> {
    let (sink, range) = name.strip_prefix("replay/")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let range = Range {
        first: Seq(first.parse().ok()?),
        last: Seq(last.parse().ok()?),
    };
    Some((sink, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_cursor_says_whose_replay_it_is_and_of_what() {
        let range = Range {
            first: Seq(7),
            last: Seq(u64::MAX),
        };
        let name = cursor_name("cloud-1.b", range);
        assert_eq!(parse_name(&name), Some(("cloud-1.b", range)));
        for other in [
            "uplink/replay",
            "replay/cloud",
            "replay/cloud/7",
            "replay/cloud/7-x",
        ] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
