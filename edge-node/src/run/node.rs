//! A whole node: recovers, opens its doors, serves until it is told to stop.

use std::{io, sync::Arc, time::Duration};

use spool::{
    Committer, NodeTime, OpenError, Spool, Start, StorageError,
    clock::SystemClock,
    storage::disk::{Disk, DiskError},
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc, watch},
    task::{LocalSet, spawn_local},
    time::{sleep, timeout},
};

use super::{
    Shared, accept, follow_commits, follow_deadlines,
    listen::{ListenError, bind, serve},
};
use crate::{
    broker::{Broker, Identity, Journal, Limits},
    config::Config,
    ingest::Ingest,
    node::{
        core::{Clock, Core},
        handle::Request,
    },
};

/// How long stopping may take for clients to get their last acknowledgements, and again for their streams to end.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Why a node does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A door cannot be opened; nothing was touched.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log in it cannot be opened; it is as it was.
    #[error("the log cannot be opened: {0}")]
    Open(#[from] OpenError),
    /// The log opened and cannot be read or closed.
    #[error("the log cannot be read or written: {0}")]
    Storage(#[from] StorageError),
    /// The checkpoint passed its checksum and is none of this version; nothing was touched.
    #[error("the checkpoint in the data directory cannot be understood: {0}")]
    Checkpoint(String),
    /// No room for the record that the node started.
    #[error("the log has no room for the node to start: {0}")]
    Full(#[from] spool::Full),
    /// The system refuses a thread, a timer or a signal handler.
    #[error("the system refuses what a node needs: {0}")]
    System(#[from] io::Error),
}

/// Runs a node until SIGTERM or SIGINT.
pub fn run(config: &Config) -> Result<(), RunError> {
    let mqtt = bind("mqtt", config.mqtt.listen)?;
    let storage = Arc::new(Disk::open(&config.node.data)?);
    let committed = Arc::new(Notify::new());
    let waker = Arc::clone(&committed);
    let wall = NodeTime(SystemClock::wall().0);
    let (spool, recovery) = Spool::open(
        storage,
        config.spool.options(),
        wall,
        Arc::new(move || waker.notify_one()),
    )?;
    for finding in &recovery.findings {
        tracing::warn!("recovery: {finding}");
    }
    let clock = SystemClock::start(None, wall);
    let clock: Clock = Arc::new(move || clock.now());
    let committer = Committer::start(&spool, Arc::clone(&clock));
    let core = recover(config, &spool, &recovery, clock)?;

    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()?;
    let local = LocalSet::new();
    let result = local.block_on(&runtime, serve_until_told(config, core, mqtt, committed));
    drop(committer);
    result
}

/// Brings broker and ingest back to where the log ends.
fn recover(
    config: &Config,
    spool: &Spool,
    recovery: &spool::Recovery,
    clock: Clock,
) -> Result<Core, RunError> {
    let mut broker = Broker::new(limits(config, spool.status().bound_bytes));
    if let Some(checkpoint) = &recovery.checkpoint {
        if let Err(error) = broker.restore(checkpoint) {
            return Err(RunError::Checkpoint(error.to_string()));
        }
    }
    spool.replay_state(&mut |entry| broker.apply(entry))?;

    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let (name, tail) = split(random);
    // Nothing is minted before the node knows how often it has started.
    let mut unnamed = Ingest::new(config, node_id(config, Identity::default()), [0; 16]);
    let keeps_history = config.uplink.is_empty();
    let mut journal = Journal::begin(spool, &mut unnamed, clock(), keeps_history);
    let identity = broker.start(&mut journal, name)?;
    for uplink in &config.uplink {
        let start = match uplink.start {
            crate::config::UplinkStart::Oldest => Start::Oldest,
            crate::config::UplinkStart::Now => Start::Now,
        };
        let name = uplink.name.as_str();
        let everything = || vec![filters::TopicFilter::parse("#").expect("# is a topic filter")];
        let from = uplink.from.clone().unwrap_or_else(everything);
        broker.handle_sink(&mut journal, name, None, start, &from)?;
    }
    journal.finish();

    let mut run = [0; 16];
    for (to, from) in run.iter_mut().zip(
        identity
            .node
            .to_be_bytes()
            .into_iter()
            .chain(identity.boot.to_be_bytes())
            .chain(tail),
    ) {
        *to = from;
    }
    let ingest = Ingest::new(config, node_id(config, identity), run);
    Ok(Core::new(
        spool.clone(),
        broker,
        ingest,
        clock,
        keeps_history,
    ))
}

fn split(random: [u8; 12]) -> (u64, [u8; 4]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = random;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), [i, j, k, l])
}

fn node_id(config: &Config, identity: Identity) -> crate::config::NodeId {
    let minted = || {
        format!("{:016x}", identity.node)
            .parse()
            .expect("hexadecimal digits are a node id")
    };
    config.node.id.clone().unwrap_or_else(minted)
}

fn limits(config: &Config, spool_bytes: u64) -> Limits {
    let mqtt = &config.mqtt;
    Limits {
        receive_maximum: usize::from(mqtt.receive_maximum),
        packet_bytes: mqtt.max_packet_size.as_usize(),
        topic_alias_maximum: 32,
        session_expiry_seconds: u32::try_from(mqtt.max_session_expiry.0.as_secs())
            .unwrap_or(u32::MAX),
        keep_alive_seconds: u16::try_from(mqtt.max_keep_alive.0.as_secs()).unwrap_or(u16::MAX),
        sessions: mqtt.max_sessions as usize,
        subscriptions: mqtt.max_subscriptions as usize,
        session_bytes: mqtt
            .session_bound
            .chosen()
            .map_or(spool_bytes / 4, |bound| bound.0),
        withheld_bytes: config.spool.waiting_bytes.as_usize(),
        connect_timeout_ms: u64::try_from(mqtt.connect_timeout.0.as_millis()).unwrap_or(u64::MAX),
    }
}

async fn serve_until_told(
    config: &Config,
    core: Core,
    mqtt: std::net::TcpListener,
    committed: Arc<Notify>,
) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let address = mqtt.local_addr()?;
    let listener = serve(mqtt)?;
    let shared = Shared::new(core);
    let (positions, commits) = watch::channel(spool::Seq::ZERO);
    spawn_local(follow_commits(shared.clone(), committed, positions));
    spawn_local(follow_deadlines(shared.clone()));
    let accepting = spawn_local(accept(
        shared.clone(),
        listener,
        config.mqtt.max_connections as usize,
    ));
    announce(address);

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    accepting.abort();
    stop(&shared).await;
    let _ = commits; // held so that the channel lives as long as the node
    shared.with(Core::close)?;
    Ok(())
}

fn announce(address: std::net::SocketAddr) {
    use std::io::Write;
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "mqtt  listening on {address}\nready"); // nobody may be reading
    let _ = out.flush(); // nobody may be reading
}

/// Lets what was sent be committed and acknowledged, then tells every client and lets its stream end.
async fn stop(shared: &Shared) {
    shared.with(Core::stop_reading);
    let settled = async {
        while !shared.with(|core| core.broker().is_settled()) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(STOP_PATIENCE, settled).await; // a disk that does not answer holds no client for ever
    shared.with(Core::shut_down);
    let gone = async {
        while shared.connections() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(STOP_PATIENCE, gone).await; // nor does a client that does not read
}

/// Answers the doors until all handles are gone.
async fn answer(shared: Shared, mut requests: mpsc::Receiver<Request>) {
    while let Some(request) = requests.recv().await {
        shared.with(|core| core.handle_request(request));
    }
}
