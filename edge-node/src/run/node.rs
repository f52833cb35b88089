//! A whole node: recovers, opens its doors, serves until it is told to stop.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use filters::stage::Moment;
use spool::{
    Committer, Health, NodeTime, OpenError, Seq, Spool, StorageError,
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
    BLOCKING_THREADS, Shared, accept,
    doors::Doors,
    follow_commits, follow_deadlines,
    listen::{ListenError, bind, serve},
    recover::{Recovered, recover},
    reload::reload_on_order,
    uplinks::SinkReports,
};
use crate::{
    config::{Config, ConfigError, Percent, units::ByteSize},
    endpoints::{Endpoints, EndpointsError},
    lane_names,
    node::{
        core::Core,
        door::DoorCounters,
        handle::{NodeHandle, Orders, Request},
        status::{Door, NodeStatus},
    },
};

/// How long a node is silent about its start where the disk takes its time.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How long stopping may take for clients to get their last acknowledgements, and again for their streams to end.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Orders for uplinks that may wait for their turn.
const UPLINK_ORDERS_MAX: usize = 4;

/// As many to read the rules again.
const RELOADS_MAX: usize = 4;

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
    /// A node that has never started finds no room for its log.
    #[error(
        "there is no room for a new log in {}: its disk has {free} free, and `min-free` of [spool] ({min_free}) keeps \
         {kept} of them; free some space, choose another --data, or lower `min-free`",
        data.display()
    )]
    NoRoom {
        /// The data directory.
        data: std::path::PathBuf,
        /// Bytes free on its file system.
        free: ByteSize,
        /// As configured.
        min_free: Percent,
        /// Bytes that stay free.
        kept: ByteSize,
    },
    /// The addresses of the doors cannot be written down for other commands.
    #[error(transparent)]
    Endpoints(#[from] EndpointsError),
    /// An uplink of the configuration cannot be made.
    #[error("uplink `{name}`: {error}")]
    Uplink {
        /// Its name.
        name: String,
        /// What is wrong.
        error: String,
    },
    /// A file of rules cannot be used; nothing was touched.
    #[error(transparent)]
    Rules(#[from] ConfigError),
    /// The system refuses a thread, a timer or a signal handler.
    #[error("the system refuses what a node needs: {0}")]
    System(#[from] io::Error),
}

/// The bound listeners.
struct Listeners {
    mqtt: std::net::TcpListener,
    http: std::net::TcpListener,
    grpc: std::net::TcpListener,
}

/// Runs a node until SIGTERM or SIGINT.
pub fn run(config: &Config) -> Result<(), RunError> {
    let rules = config.load_rules(Moment(0))?;
    let listeners = Listeners {
        mqtt: bind("mqtt", config.mqtt.listen)?,
        http: bind("http", config.http.listen)?,
        grpc: bind("grpc", config.grpc.listen)?,
    };
    let storage = Arc::new(Disk::open(&config.node.data)?);
    let committed = Arc::new(Notify::new());
    let waker = Arc::clone(&committed);
    let notify = Arc::new(move || waker.notify_one());
    let (spool, recovery) =
        Spool::open(storage, config.spool.options(), NodeTime::default(), notify)?;
    let recovered = recover(config, rules, &spool, &recovery)?;
    let clock = Arc::clone(&recovered.clock);
    let committer = Committer::start(&spool, Arc::new(move || clock().node));

    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let result = LocalSet::new().block_on(
        &runtime,
        serve_until_told(config, recovered, listeners, committed),
    );
    drop(committer);
    result
}

async fn serve_until_told(
    config: &Config,
    recovered: Recovered,
    listeners: Listeners,
    committed: Arc<Notify>,
) -> Result<(), RunError> {
    let clock = Arc::clone(&recovered.clock);
    let mut terminate = signal(SignalKind::terminate())?;
    let hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let addresses = [
        (Door::Mqtt, listeners.mqtt.local_addr()?),
        (Door::Http, listeners.http.local_addr()?),
        (Door::Grpc, listeners.grpc.local_addr()?),
    ];
    let mqtt_counters = Arc::new(DoorCounters::default());
    let http_counters = Arc::new(DoorCounters::default());
    let grpc_counters = Arc::new(DoorCounters::default());
    let spool = recovered.core.spool().clone();
    let started = spool.appended();
    let shared = Shared::new(recovered.core, Arc::clone(&mqtt_counters));
    let (positions, commits) = watch::channel(spool.committed());
    let reports = SinkReports::new(recovered.missing);
    let counters = [&mqtt_counters, &http_counters, &grpc_counters].map(Arc::clone);
    let id = recovered.node;
    let (name, seen) = (id.clone(), reports.clone());
    let (log, time) = (spool.clone(), Arc::clone(&clock));
    let surroundings = move |status: &mut NodeStatus| {
        seen.add_to(status, &log, &time);
        status.node = name.as_str().to_owned();
        let listeners = counters.iter().zip(&addresses);
        status.listeners = listeners
            .map(|(counters, (door, address))| counters.status(*door, *address))
            .collect();
    };
    let (uplink_orders, ordered) = mpsc::channel(UPLINK_ORDERS_MAX);
    let (reload_orders, reloads) = mpsc::channel(RELOADS_MAX);
    let orders = Orders {
        uplinks: uplink_orders,
        reloads: reload_orders,
    };
    let (node, requests) =
        NodeHandle::new(id, spool.clone(), commits, Arc::new(surroundings), orders);
    spawn_local(reload_on_order(
        shared.clone(),
        Arc::new(config.clone()),
        hangup,
        reloads,
    ));
    spawn_local(follow_commits(shared.clone(), committed, positions));
    spawn_local(follow_deadlines(shared.clone()));
    spawn_local(answer(shared.clone(), requests));
    let limit = config.mqtt.max_connections as usize;
    let accepting = spawn_local(accept(shared.clone(), serve(listeners.mqtt)?, limit));
    let doors = Doors {
        config: config.clone(),
        http: listeners.http,
        http_counters: Arc::clone(&http_counters),
        grpc: listeners.grpc,
        grpc_counters,
        node,
        sinks: recovered.sinks,
        orders: ordered,
        reports,
        clock,
    };
    let doors = doors.open()?;
    endpoints(addresses).write(&config.node.data)?;
    if let Err(error) = lane_names::write(&config.node.data, &config.spool.lanes) {
        tracing::warn!(%error, "`spool status` shows lanes by number: their names cannot be noted");
    }
    let mut told = std::pin::pin!(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    tokio::select! {
        () = &mut told => {}
        () = stored(&spool, started) => {
            announce(&addresses);
            told.await;
        }
    }
    tracing::info!("stopping");
    accepting.abort();
    doors.close();
    stop(&shared).await;
    // Requests under way end within seconds; until then the core answers them.
    let _ = timeout(
        STOP_PATIENCE,
        tokio::task::spawn_blocking(move || drop(doors)),
    )
    .await; // else they end with us
    Endpoints::remove(&config.node.data);
    shared.with(Core::close)?;
    Ok(())
}

fn endpoints([(_, mqtt), (_, http), (_, grpc)]: [(Door, SocketAddr); 3]) -> Endpoints {
    Endpoints {
        mqtt,
        http,
        grpc,
        pid: std::process::id(),
    }
}

fn announce(addresses: &[(Door, SocketAddr)]) {
    let mut text = String::new();
    for (door, address) in addresses {
        text.push_str(&format!("{:<5} listening on {address}\n", door.name()));
    }
    if let Some((_, mqtt)) = addresses.first() {
        let (host, port) = (mqtt.ip(), mqtt.port());
        text.push_str(&format!(
            "try   mosquitto_pub -h {host} -p {port} -q 1 -t plant/pump-7 -m '{{\"rpm\":1450}}'\n"
        ));
    }
    text.push_str("ready\n");
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()); // nobody may be reading
    let _ = out.flush(); // nobody may be reading
}

/// Waits until the log holds what the start recorded, so that whoever reads it once the node is ready finds its sinks there.
/// A disk that takes nothing keeps no node from serving.
async fn stored(log: &Spool, until: Seq) {
    let stored = async {
        while log.committed() < until && log.health() == Health::Ok {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(START_PATIENCE, stored).await;
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
