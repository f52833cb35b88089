//! The log itself: its state behind one lock, and the doors to it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    CursorId, Full, Health, LaneOptions, Loss, NodeTime, Options, Route, RouteId, Seq, Transaction,
    checkpoint::Checkpoints,
    commit::Commits,
    cursor::Cursor,
    damage::Damage,
    files::Files,
    ledger::Ledger,
    lists::Lists,
    options::Sizes,
    pending::{Mark, Pending},
    record::Base,
    room::Room,
    route::{Amount, Routes},
    segment::Segment,
    storage::Storage,
    target::Target,
};

/// The log. Cheap to clone; every clone is the same log.
///
/// Who drives it: [`crate::Committer`] owns the two threads of a running node, [`crate::Housekeeper`] the second alone; a
/// simulation calls `commit_once` and `housekeep_once` itself and is then deterministic.
#[derive(Clone)]
pub struct Spool {
    pub(crate) inner: Arc<Inner>,
}

/// What every clone shares. Locks are taken in the order of the fields and never held over a call of `notify`; `state`
/// is never held while the disk works.
pub(crate) struct Inner {
    /// One commit at a time; held while the disk works.
    pub(crate) target: Mutex<Target>,
    /// One maker of segment files at a time; held while the disk works.
    pub(crate) preparing: Mutex<()>,
    pub(crate) state: Mutex<State>,
    pub(crate) files: Files,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) notify: Arc<dyn Fn() + Send + Sync>,
    pub(crate) committed: AtomicU64,
    pub(crate) appended: AtomicU64,
    /// Something waits for the committer thread.
    pub(crate) work: Condvar,
    /// Something waits for the housekeeper thread.
    pub(crate) chores: Condvar,
}

/// Everything that is known of the log in memory.
pub(crate) struct State {
    pub(crate) sizes: Sizes,
    pub(crate) waiting_limit: usize,
    pub(crate) lanes: Vec<LaneOptions>,
    pub(crate) next_seq: u64,
    pub(crate) last_time: u64,
    pub(crate) committed: u64,
    /// Frames to commit, in order; each transaction is in one of them. Only the last is appended to.
    pub(crate) pending: VecDeque<Pending>,
    /// Bytes in all but the last of `pending`, and in the frame that is being committed.
    pub(crate) queued_bytes: usize,
    pub(crate) committing_bytes: usize,
    /// How often something was refused because too much waited.
    pub(crate) refused: u64,
    buffers: Vec<Pending>,
    /// Those that hold committed frames, by id.
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) cursors: BTreeMap<u32, Cursor>,
    pub(crate) names: HashMap<String, u32>,
    pub(crate) next_cursor: u32,
    pub(crate) routes: Routes,
    pub(crate) ledger: Ledger,
    /// When the first loss was counted that is not in the ledger on disk.
    pub(crate) losses_since: Option<u64>,
    /// Of each lane: events up to here were given up.
    pub(crate) floors: Vec<u64>,
    pub(crate) floors_changed: bool,
    /// Grows with each giving up of live records; they may be freed once `drops_stored` has caught up. It is no count of losses, as
    /// the ledger's own is: one that keeps nothing alive holds no segment back, and damage that the start has found, and its
    /// checkpoint tells of, neither, while a start that found no room for that checkpoint holds all without a further loss.
    pub(crate) drops: u64,
    pub(crate) drops_stored: u64,
    pub(crate) pins: BTreeMap<u64, u32>,
    pub(crate) damage: Damage,
    pub(crate) lists: Lists,
    pub(crate) room: Room,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) commits: Commits,
    pub(crate) health: Health,
    pub(crate) closed: bool,
    /// A transaction was begun since the start: the owner has pinned what it needs.
    pub(crate) began: bool,
    pub(crate) committer_waits: bool,
    pub(crate) housekeeper_waits: bool,
    pub(crate) chores_due: bool,
    /// When the housekeeper looks again unless it is woken.
    pub(crate) looks_at: u64,
    /// Whether it was to look within a second since it last did.
    pub(crate) hurried: bool,
    pub(crate) stopping: bool,
    pub(crate) marks: crate::marks::Saving,
    pub(crate) scrub: crate::scrub::Scrub,
    pub(crate) quarantine: crate::quarantine::Quarantine,
    pub(crate) withheld: crate::withheld::Withheld,
    /// Until the owner has its state, what cannot be read is damaged at once: there is nobody who could wait.
    pub(crate) opening: bool,
}

/// Records a frame holds before the next transaction begins another.
const FRAME_BYTES: u64 = 2 << 20;
/// What a buffer has room for beyond them from its beginning, so that one that fills up while the disk stalls is not copied
/// into one of twice its size. Memory that is not written to costs nothing.
const BUFFER_MARGIN: u64 = 128 << 10;
/// Buffers kept for reuse: one is filled while the other is written.
const MOST_BUFFERS: usize = 2;

impl State {
    pub(crate) fn new(sizes: Sizes, options: &Options, now: NodeTime) -> State {
        State {
            sizes,
            waiting_limit: options.waiting_bytes,
            lanes: options
                .lanes
                .iter()
                .take(crate::Lane::MOST)
                .cloned()
                .collect(),
            next_seq: 1,
            last_time: now.0,
            committed: 0,
            pending: VecDeque::new(),
            queued_bytes: 0,
            committing_bytes: 0,
            refused: 0,
            buffers: Vec::new(),
            segments: VecDeque::new(),
            cursors: BTreeMap::new(),
            names: HashMap::new(),
            next_cursor: 1,
            routes: Routes::default(),
            ledger: Ledger::default(),
            losses_since: None,
            floors: vec![0; crate::Lane::MOST],
            floors_changed: false,
            drops: 0,
            drops_stored: 0,
            pins: BTreeMap::new(),
            damage: Damage::default(),
            lists: Lists::default(),
            room: Room::default(),
            checkpoints: Checkpoints::default(),
            commits: Commits::default(),
            health: Health::Ok,
            closed: false,
            began: false,
            committer_waits: false,
            housekeeper_waits: false,
            chores_due: false,
            looks_at: 0,
            hurried: false,
            stopping: false,
            marks: crate::marks::Saving::default(),
            scrub: crate::scrub::Scrub::default(),
            quarantine: crate::quarantine::Quarantine::default(),
            withheld: crate::withheld::Withheld::default(),
            opening: true,
        }
    }

    /// Makes the last of `pending` one that a transaction may append to, and says where it begins.
    #[inline]
    pub(crate) fn begin(&mut self, now: u64) -> Mark {
        self.began = true;
        self.last_time = self.last_time.max(now);
        let (time, limit) = (self.last_time, self.frame_limit());
        let fits = |batch: &Pending| {
            let far = time.saturating_sub(batch.base.time) >= u64::from(u32::MAX / 2);
            (batch.len() as u64) < limit && !far
        };
        match self.pending.back() {
            Some(batch) if fits(batch) => batch.mark(),
            _ => self.begin_frame(),
        }
    }

    #[cold]
    fn begin_frame(&mut self) -> Mark {
        self.queued_bytes += self.pending.back().map_or(0, Pending::len);
        let mut batch = self.take_buffer();
        batch.restart(Base {
            seq: self.next_seq,
            time: self.last_time,
        });
        let mark = batch.mark();
        self.pending.push_back(batch);
        mark
    }

    fn frame_limit(&self) -> u64 {
        FRAME_BYTES.min(self.sizes.segment / 4)
    }

    /// The frame that is being filled; only between `begin` and `finish`.
    pub(crate) fn batch(&mut self) -> &mut Pending {
        if self.pending.is_empty() {
            self.pending.push_back(Pending::default());
        }
        self.pending
            .back_mut()
            .expect("a batch was pushed if there was none")
    }

    /// Ends a transaction that began at `mark`.
    #[inline]
    pub(crate) fn finish(&mut self, mark: &Mark) {
        let limit = self.frame_limit();
        let Some(batch) = self.pending.back_mut() else {
            return;
        };
        let own = batch.bytes_since(mark);
        if batch.is_empty() {
            self.drop_frame();
        } else if batch.len() as u64 > limit
            && own < batch.len().saturating_sub(crate::frame::HEADER)
            && own > 0
        {
            self.split_frame(mark);
        } else {
            batch.sum_ahead();
        }
    }

    /// Takes back a frame that nothing was appended to. What it was to bring waits for nothing.
    fn drop_frame(&mut self) {
        if let Some(mut batch) = self.pending.pop_back() {
            for effect in std::mem::take(&mut batch.effects) {
                self.come_true(effect);
            }
            self.recycle(batch);
        }
        let now_last = self.pending.back().map_or(0, Pending::len);
        self.queued_bytes = self.queued_bytes.saturating_sub(now_last);
    }

    /// Moves the transaction that began at `mark` from a full frame into the next.
    fn split_frame(&mut self, mark: &Mark) {
        let into = self.take_buffer();
        if let Some(batch) = self.pending.back_mut() {
            let next = batch.split_off(mark, into);
            self.queued_bytes += batch.len();
            self.pending.push_back(next);
        }
    }

    fn take_buffer(&mut self) -> Pending {
        let room = self.buffer_bytes();
        let reused = self.buffers.pop();
        reused.unwrap_or_else(|| Pending::with_room(room))
    }

    fn buffer_bytes(&self) -> usize {
        usize::try_from(self.frame_limit() + BUFFER_MARGIN).unwrap_or(usize::MAX)
    }

    pub(crate) fn recycle(&mut self, mut batch: Pending) {
        if self.buffers.len() < MOST_BUFFERS && batch.bytes.capacity() <= self.buffer_bytes() {
            batch.restart(Base::default());
            self.buffers.push(batch);
        }
    }

    /// Bytes of frames that are not committed yet, the spool's own records in them included.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.queued_bytes + self.committing_bytes + self.pending.back().map_or(0, Pending::len)
    }

    pub(crate) fn is_waiting_full(&self) -> bool {
        self.closed || self.waiting_bytes() >= self.waiting_limit
    }

    /// Lets a record in that somebody asks for, or counts it as refused.
    pub(crate) fn admit(&mut self) -> Result<(), Full> {
        if self.is_waiting_full() {
            self.refused += 1;
            return Err(Full::Waiting);
        }
        Ok(())
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Bytes of records and of their index entries that fit a segment together with what a commit adds.
    pub(crate) fn largest_transaction(&self) -> u64 {
        (self.sizes.segment / 4 * 3)
            .saturating_sub(4 * crate::frame::PAGE)
            .min(crate::record::LONGEST as u64)
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.committed.saturating_add(1), |segment| segment.first)
    }

    /// The first segment that may hold a position after `seq`.
    pub(crate) fn segment_after(&self, seq: u64) -> usize {
        self.segments.partition_point(|segment| segment.last <= seq)
    }

    pub(crate) fn segment_by_id(&self, id: u64) -> Option<&Segment> {
        self.segments.get(self.segment_at(id)?)
    }

    pub(crate) fn segment_at(&self, id: u64) -> Option<usize> {
        self.segments
            .binary_search_by_key(&id, |segment| segment.id)
            .ok()
    }

    pub(crate) fn pending_of(&self, cursor: &Cursor) -> Amount {
        cursor.pending(self.routes.total_of(cursor.id))
    }

    pub(crate) fn pin(&mut self, seq: u64) {
        let pins = self.pins.entry(seq).or_default();
        *pins = pins.saturating_add(1);
    }

    pub(crate) fn unpin(&mut self, seq: u64) {
        let Some(pins) = self.pins.get_mut(&seq) else {
            return;
        };
        *pins -= 1;
        if *pins == 0 {
            self.pins.remove(&seq);
        }
    }

    /// Asks the housekeeper to look soon.
    pub(crate) fn want_chores(&mut self) {
        self.chores_due = true;
    }
}

impl Inner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in an owner's `encode` takes back its transaction while it unwinds; the state stays whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wake_committer(&self, state: &State) {
        if state.committer_waits {
            self.work.notify_one();
        }
    }

    pub(crate) fn wake_housekeeper(&self, state: &mut State) {
        state.want_chores();
        if state.housekeeper_waits {
            self.chores.notify_one();
        }
    }

    /// Has the housekeeper look within a second, if it sleeps longer.
    pub(crate) fn record_loss(&self, state: &mut State, loss: Loss) {
        state.ledger.add(loss);
        if state.losses_since.is_none() {
            state.losses_since = Some(state.last_time);
            self.look_in_time(state);
        }
    }

    pub(crate) fn look_in_time(&self, state: &mut State) {
        state.hurried = true;
        if state.looks_at
            > state
                .last_time
                .saturating_add(crate::marks::LONGEST_WAIT_MS)
        {
            self.wake_housekeeper(state);
        }
    }

    pub(crate) fn tell(&self) {
        (self.notify)();
    }
}

impl Spool {
    /// Begins a transaction; all of it enters one frame, or nothing does. Blocks other callers until it ends.
    pub fn transaction(&self, now: NodeTime) -> Transaction<'_> {
        Transaction::begin(&self.inner, self.inner.lock(), now.0)
    }

    /// Everything up to and with this position is on stable storage. Lock-free.
    pub fn committed(&self) -> Seq {
        Seq(self.inner.committed.load(Ordering::Acquire))
    }

    /// The last position assigned by a finished transaction. Lock-free.
    pub fn appended(&self) -> Seq {
        Seq(self.inner.appended.load(Ordering::Acquire))
    }

    /// The time of the last record appended, or of the open if that was later.
    pub fn last_time(&self) -> NodeTime {
        NodeTime(self.inner.lock().last_time)
    }

    /// The cursor of this name.
    pub fn cursor(&self, name: &str) -> Option<CursorId> {
        self.inner.lock().names.get(name).map(|&id| CursorId(id))
    }

    /// The owner's terms of a route and its cursors.
    pub fn route(&self, route: RouteId) -> Option<Route> {
        self.inner
            .lock()
            .routes
            .get(route.0)
            .map(|interned| interned.route.clone())
    }

    /// Keeps a record although nobody is owed it any more (a retained message), until as many `unpin`. Not durable: the
    /// owner pins again after recovery, before its first transaction; until that nothing is freed.
    pub fn pin(&self, seq: Seq) {
        self.inner.lock().pin(seq.0);
    }

    /// Takes back one `pin` at once. What is let go because a record takes its place: [`Transaction::unpin`].
    pub fn unpin(&self, seq: Seq) {
        self.inner.lock().unpin(seq.0);
    }

    /// Counts a loss. Durable with the next commit, of which there is one within a second, and before an acknowledgement that
    /// follows it; what that lets go is freed behind it.
    pub fn record_loss(&self, loss: Loss) {
        self.inner.record_loss(&mut self.inner.lock(), loss);
    }
}
