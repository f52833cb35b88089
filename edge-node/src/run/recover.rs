//! From the data directory to a core that serves.

use std::{collections::BTreeSet, io, sync::Arc};

use filters::TopicFilter;
use spool::{CursorStatus, Full, NodeTime, Recovery, Spool, Start, clock::SystemClock};

use super::node::RunError;
use crate::{
    broker::{Broker, Identity, Journal, KnownSink, Limits, SinkCursors, dead_cursor, sink_cursor},
    config::{Config, NodeId, Rules, UplinkConfig, UplinkStart, units::ByteSize},
    ingest::Ingest,
    node::core::{Clock, Core},
    rules::Judge,
};

/// A core, and the sinks that read its log.
pub(super) struct Recovered {
    pub(super) core: Core,
    pub(super) node: NodeId,
    pub(super) sinks: Vec<RecoveredSink>,
    /// Sinks that left the configuration, and what is still held for them.
    pub(super) missing: Vec<(String, KnownSink)>,
    pub(super) clock: Clock,
}

/// A sink of the configuration and its cursors.
pub(super) struct RecoveredSink {
    pub(super) config: UplinkConfig,
    pub(super) cursors: SinkCursors,
    pub(super) from: Vec<TopicFilter>,
    pub(super) lanes: u32,
}

/// Brings broker and ingest back to where the log ends.
pub(super) fn recover(
    config: &Config,
    rules: Rules,
    spool: &Spool,
    recovery: &Recovery,
) -> Result<Recovered, RunError> {
    let mut broker = read_state(config, rules, spool, recovery)?;
    if let Some(devices) = &config.devices {
        broker.serve_devices(devices, &config.spool);
    }
    let marked = broker
        .clock_mark()
        .map_or(NodeTime::default(), |it| it.node);
    let alive = marked.max(spool.last_time());
    let clock = SystemClock::start(broker.clock_mark(), spool.last_time());
    let clock: Clock = Arc::new(move || clock.mark());
    if spool.checkpoint_due() {
        // Where the log is full, only what is recorded before the first append can be written: that append may need what this
        // checkpoint frees.
        spool.checkpoint(broker.snapshot(clock()));
    }

    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let (name, tail) = split(random);
    let known: Vec<KnownSink> = config
        .uplink
        .iter()
        .map(|uplink| known(spool, uplink.name.as_str()))
        .collect();
    let missing = missing_sinks(config, spool);
    // Nothing is minted before the node knows how often it has started.
    let mut unnamed = Ingest::new(config, node_id(config, Identity::default()), [0; 16]);
    let keeps_history = config.uplink.is_empty();
    let mut journal = Journal::begin(spool, &mut unnamed, clock(), keeps_history);
    let met = broker
        .start(&mut journal, name, alive)
        .and_then(|identity| {
            let sinks = meet_sinks(config, &mut broker, &mut journal, &known)?;
            Ok((identity, sinks))
        });
    let (identity, sinks) = match met {
        Ok(met) => met,
        Err(_) => {
            drop(journal); // it holds the log
            return Err(no_room(config, spool));
        }
    };
    for (name, known) in &missing {
        broker.handle_missing_sink(&mut journal, name, *known);
    }
    broker.hand_over(&mut journal);
    journal.finish();

    let node = node_id(config, identity);
    let ingest = Ingest::new(config, node.clone(), run_id(identity, tail));
    let mut core = Core::new(
        spool.clone(),
        broker,
        ingest,
        Arc::clone(&clock),
        keeps_history,
    );
    if let Some(topic) = &config.node.gap_topic {
        core.tell_losses(topic.clone(), node.clone());
    }
    Ok(Recovered {
        core,
        node,
        sinks,
        missing,
        clock,
    })
}

/// The broker as the newest checkpoint and the log behind it tell.
fn read_state(
    config: &Config,
    rules: Rules,
    spool: &Spool,
    recovery: &Recovery,
) -> Result<Broker, RunError> {
    let mut broker = Broker::new(limits(config, spool.status().bound_bytes));
    // Before anything is read: what their stages remember is in the log.
    broker.set_rules(Judge::new(rules));
    if let Some(id) = &config.node.id {
        broker.set_name(id.as_str());
    }
    if let Some(checkpoint) = &recovery.checkpoint {
        broker
            .restore(checkpoint)
            .map_err(|error| RunError::Checkpoint(error.to_string()))?;
    }
    spool.replay_state(&mut |entry| broker.apply(entry))?;
    Ok(broker)
}

fn meet_sinks(
    config: &Config,
    broker: &mut Broker,
    journal: &mut Journal<'_>,
    known: &[KnownSink],
) -> Result<Vec<RecoveredSink>, Full> {
    let meet = |(uplink, known): (&UplinkConfig, &KnownSink)| {
        let (from, lanes) = (topics(uplink), lanes(config, uplink));
        let name = uplink.name.as_str();
        let cursors = broker.handle_sink(journal, name, *known, start(uplink), &from, lanes)?;
        Ok(RecoveredSink {
            config: uplink.clone(),
            cursors,
            from,
            lanes,
        })
    };
    config.uplink.iter().zip(known).map(meet).collect()
}

/// What no other run of this node ever had: its identity, how often it started, and bits of chance.
fn run_id(identity: Identity, tail: [u8; 4]) -> [u8; 16] {
    let mut run = [0; 16];
    let unique = identity.node.to_be_bytes().into_iter();
    let unique = unique.chain(identity.boot.to_be_bytes()).chain(tail);
    for (to, from) in run.iter_mut().zip(unique) {
        *to = from;
    }
    run
}

fn no_room(config: &Config, spool: &Spool) -> RunError {
    let status = spool.status();
    RunError::NoRoom {
        data: config.node.data.clone(),
        free: ByteSize(status.free_bytes),
        min_free: config.spool.min_free,
        kept: ByteSize(status.min_free_bytes),
    }
}

/// Topics with a retained message: 100 bytes or so of memory each.
const RETAINED_MAX: usize = 100_000;

fn known(spool: &Spool, name: &str) -> KnownSink {
    KnownSink {
        debt: spool.cursor(&sink_cursor(name)),
        dead: spool.cursor(&dead_cursor(name)),
    }
}

/// Sinks that have a cursor and are not in the configuration.
fn missing_sinks(config: &Config, spool: &Spool) -> Vec<(String, KnownSink)> {
    let status = spool.status();
    let sink = |cursor: &CursorStatus| {
        let (debt, dead) = (sink_cursor(""), dead_cursor(""));
        let name = cursor.name.strip_prefix(&debt);
        name.or_else(|| cursor.name.strip_prefix(&dead))
            .map(str::to_owned)
    };
    let configured = |name: &str| {
        let mut uplinks = config.uplink.iter();
        uplinks.any(|uplink| uplink.name.as_str() == name)
    };
    let names: BTreeSet<String> = status.cursors.iter().filter_map(sink).collect();
    let missing = names.into_iter().filter(|name| !configured(name));
    missing
        .map(|name| {
            let known = known(spool, &name);
            (name, known)
        })
        .collect()
}

fn start(uplink: &UplinkConfig) -> Start {
    match uplink.start {
        UplinkStart::Oldest => Start::Oldest,
        UplinkStart::Now => Start::Now,
    }
}

fn topics(uplink: &UplinkConfig) -> Vec<TopicFilter> {
    let everything = || vec![TopicFilter::parse("#").expect("# is a topic filter")];
    uplink.from.clone().unwrap_or_else(everything)
}

fn lanes(config: &Config, uplink: &UplinkConfig) -> u32 {
    let Some(names) = &uplink.lanes else {
        return u32::MAX;
    };
    let bits = names.iter().filter_map(|name| config.spool.lane(name));
    bits.fold(0, |lanes, lane| {
        lanes | 1_u32.checked_shl(u32::from(lane.0)).unwrap_or(0)
    })
}

fn split(random: [u8; 12]) -> (u64, [u8; 4]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = random;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), [i, j, k, l])
}

fn node_id(config: &Config, identity: Identity) -> NodeId {
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
        retained: RETAINED_MAX,
        retained_bytes: mqtt.retained_bound.as_usize(),
        subscriptions: mqtt.max_subscriptions as usize,
        subscription_bytes: mqtt.subscription_bound.as_usize(),
        session_bytes: mqtt
            .session_bound
            .chosen()
            .map_or(spool_bytes / 4, |bound| bound.0),
        withheld_bytes: config.spool.waiting_bytes.as_usize(),
        connect_timeout_ms: u64::try_from(mqtt.connect_timeout.0.as_millis()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[test]
    fn an_offline_session_may_hold_a_quarter_of_the_log_unless_the_operator_says_otherwise() {
        let session_bytes = |text: &str| {
            let config = Config::parse("", text, &Overrides::default()).unwrap();
            limits(&config, 4_000_000).session_bytes
        };
        assert_eq!(session_bytes(""), 1_000_000);
        let chosen = "[mqtt]\nsession-bound = \"3 MiB\"";
        assert_eq!(session_bytes(chosen), 3 << 20);
    }
}
