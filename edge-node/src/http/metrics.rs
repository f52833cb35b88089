//! Status as Prometheus reads it (text format 0.0.4).

mod page;

use self::page::{Family, Page};
use crate::{
    device::LossCause,
    node::status::{NodeHealth, NodeStatus, SinkState, StageStatus},
};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every number of the status, each under one name.
pub(super) fn text(status: &NodeStatus) -> String {
    let mut page = Page::default();
    node(&mut page, status);
    listeners(&mut page, status);
    messages(&mut page, status);
    devices(&mut page, status);
    spool(&mut page, status);
    lanes(&mut page, status);
    sinks(&mut page, status);
    rules(&mut page, status);
    stages(&mut page, status);
    decoders(&mut page, status);
    ledger(&mut page, status);
    page.into_text()
}

fn node(page: &mut Page, status: &NodeStatus) {
    let labels = [
        ("node", status.node.as_str()),
        ("version", status.version.as_str()),
    ];
    page.gauge("edge_node_info", "The node and its version.")
        .put(&labels, 1);
    page.gauge("edge_node_uptime_seconds", "Since the process started.")
        .millis(&[], status.uptime_ms);
    let serving = matches!(status.health, NodeHealth::Ok | NodeHealth::Degraded { .. });
    page.gauge(
        "edge_node_serving",
        "1 while events are taken and acknowledged.",
    )
    .put(&[], serving.into());
    let degraded = !matches!(status.health, NodeHealth::Ok);
    page.gauge(
        "edge_node_degraded",
        "1 while something needs the operator.",
    )
    .put(&[], degraded.into());
}

fn listeners(page: &mut Page, status: &NodeStatus) {
    page.gauge("edge_node_connections", "Connections open.")
        .each("door", &status.listeners, |listener| {
            (listener.door.name(), listener.connections)
        });
    page.counter(
        "edge_node_connections_accepted_total",
        "Connections accepted.",
    )
    .each("door", &status.listeners, |listener| {
        (listener.door.name(), listener.accepted)
    });
    page.counter(
        "edge_node_connections_turned_away_total",
        "Connections above the bound.",
    )
    .each("door", &status.listeners, |listener| {
        (listener.door.name(), listener.turned_away)
    });
    page.counter(
        "edge_node_connections_faulted_total",
        "Connections closed for breaking the protocol or a bound.",
    )
    .each("door", &status.listeners, |listener| {
        (listener.door.name(), listener.faulted)
    });
}

fn devices(page: &mut Page, status: &NodeStatus) {
    let devices = &status.devices;
    let mut family = page.gauge(
        "edge_node_devices",
        "Devices that speak the compact format.",
    );
    family.put(&[("state", "connected")], devices.connected);
    family.put(
        &[("state", "away")],
        devices.known.saturating_sub(devices.connected),
    );
    let mut family = page.counter(
        "edge_node_device_events_total",
        "Events of devices: stored, dropped as repeats, stored without a valid form, missing without a word.",
    );
    family.put(&[("what", "stored")], devices.events);
    family.put(&[("what", "repeated")], devices.repeats);
    family.put(&[("what", "invalid")], devices.invalid);
    family.put(&[("what", "missing")], devices.missing);
    page.counter(
        "edge_node_device_lost_total",
        "Events of devices that never come: announced by births, or missing.",
    )
    .put(&[], devices.lost);
    let mut family = page.counter(
        "edge_node_device_reported_total",
        "Events that devices say they lost, by cause.",
    );
    for cause in LossCause::ALL.map(LossCause::name) {
        let count = devices.reported.get(cause).copied();
        family.put(&[("cause", cause)], count.unwrap_or(0));
    }
    page.counter("edge_node_device_births_total", "Births accepted.")
        .put(&[], devices.births);
    page.counter(
        "edge_node_device_refused_total",
        "Messages of devices not taken.",
    )
    .put(&[], devices.refused);
}

fn messages(page: &mut Page, status: &NodeStatus) {
    let sessions = &status.sessions;
    let mut family = page.gauge("edge_node_sessions", "Sessions of MQTT clients.");
    family.put(&[("state", "connected")], sessions.connected);
    family.put(&[("state", "offline")], sessions.offline);
    page.gauge("edge_node_subscriptions", "Subscriptions of all sessions.")
        .put(&[], sessions.subscriptions);
    page.gauge("edge_node_retained", "Topics with a retained message.")
        .put(&[], sessions.retained);
    page.gauge(
        "edge_node_subscription_bytes",
        "Memory of subscriptions, counted against `subscription-bound`.",
    )
    .put(&[], sessions.subscription_bytes);
    page.gauge(
        "edge_node_retained_bytes",
        "Memory of retained topics, counted against `retained-bound`.",
    )
    .put(&[], sessions.retained_bytes);
    page.gauge(
        "edge_node_withheld_bytes",
        "Memory of publishes without an acknowledgement since the log has no room for them.",
    )
    .put(&[], sessions.withheld_bytes);
    page.gauge(
        "edge_node_sessions_pending_records",
        "Records owed to sessions.",
    )
    .put(&[], sessions.pending_records);
    page.gauge(
        "edge_node_sessions_pending_bytes",
        "Bytes of records owed to sessions.",
    )
    .put(&[], sessions.pending_bytes);

    let messages = &status.messages;
    let mut family = page.counter(
        "edge_node_received_total",
        "Messages taken from MQTT clients.",
    );
    for (qos, count) in ["0", "1", "2"].into_iter().zip(messages.received) {
        family.put(&[("qos", qos)], count);
    }
    page.counter(
        "edge_node_acknowledged_total",
        "Messages at QoS 1 and 2 acknowledged to MQTT clients.",
    )
    .put(&[], messages.acknowledged);
    let mut family = page.counter(
        "edge_node_delivered_total",
        "Messages given to MQTT clients.",
    );
    for (qos, count) in ["0", "1", "2"].into_iter().zip(messages.delivered) {
        family.put(&[("qos", qos)], count);
    }
    page.counter(
        "edge_node_events_total",
        "Events taken through HTTP and gRPC.",
    )
    .put(&[], messages.events);
    page.counter(
        "edge_node_gap_events_total",
        "Events by which the node told of losses.",
    )
    .put(&[], messages.gaps);
    page.counter(
        "edge_node_wrapped_total",
        "Publishes and wills wrapped as opaque data.",
    )
    .put(&[], messages.wrapped);
    page.counter("edge_node_refused_total", "Publishes and wills refused.")
        .put(&[], messages.refused);
}

fn spool(page: &mut Page, status: &NodeStatus) {
    let spool = &status.spool;
    page.gauge("edge_node_spool_used_bytes", "Bytes of the data directory.")
        .put(&[], spool.used_bytes);
    page.gauge(
        "edge_node_spool_bound_bytes",
        "Bytes the data directory may have.",
    )
    .put(&[], spool.bound_bytes);
    page.gauge(
        "edge_node_spool_free_bytes",
        "Bytes free on its file system.",
    )
    .put(&[], spool.free_bytes);
    page.gauge(
        "edge_node_spool_min_free_bytes",
        "Bytes of these that the log leaves free.",
    )
    .put(&[], spool.min_free_bytes);
    page.gauge("edge_node_spool_segments", "Files of the log.")
        .put(&[], spool.segments);
    page.gauge("edge_node_spool_oldest_position", "Oldest record kept.")
        .put(&[], spool.oldest);
    page.gauge(
        "edge_node_spool_committed_position",
        "Last record on stable storage.",
    )
    .put(&[], spool.committed);
    page.gauge("edge_node_spool_appended_position", "Last record taken.")
        .put(&[], spool.appended);
    page.counter("edge_node_spool_commits_total", "Commits, each one flush.")
        .put(&[], spool.commits);
    page.gauge(
        "edge_node_spool_waiting_bytes",
        "Bytes that wait for a commit.",
    )
    .put(&[], spool.waiting_bytes);
    page.counter(
        "edge_node_spool_waiting_refusals_total",
        "Records, sessions and routes refused because too much waited for a commit.",
    )
    .put(&[], spool.refused_waiting);
    let mut family = page.gauge(
        "edge_node_spool_commit_seconds",
        "Time of the latest commits.",
    );
    family.micros(&[("quantile", "0.5")], spool.commit_p50_us);
    family.micros(&[("quantile", "1")], spool.commit_max_us);
}

fn lanes(page: &mut Page, status: &NodeStatus) {
    let lanes = &status.spool.lanes;
    page.gauge(
        "edge_node_lane_pending_records",
        "Records still owed to somebody.",
    )
    .each("lane", lanes, |lane| (&lane.name, lane.pending_records));
    page.gauge(
        "edge_node_lane_pending_bytes",
        "Bytes of records still owed to somebody.",
    )
    .each("lane", lanes, |lane| (&lane.name, lane.pending_bytes));
    page.gauge("edge_node_lane_bound_bytes", "Bytes the lane may have.")
        .each("lane", lanes, |lane| (&lane.name, lane.bound_bytes));
    page.gauge(
        "edge_node_lane_oldest_age_seconds",
        "Age of the oldest record still owed, 0 if none.",
    )
    .each_millis("lane", lanes, |lane| {
        (&lane.name, lane.oldest_age_ms.unwrap_or(0))
    });
    page.gauge("edge_node_lane_full", "1 while the lane has no room.")
        .each("lane", lanes, |lane| (&lane.name, lane.full.into()));
}

fn sinks(page: &mut Page, status: &NodeStatus) {
    let sinks = &status.sinks;
    let mut family = page.gauge("edge_node_sink_state", "1 for the state the sink is in.");
    for sink in sinks {
        for state in SinkState::ALL {
            family.put(
                &[("sink", &sink.name), ("state", state.name())],
                (sink.state == state).into(),
            );
        }
    }
    page.gauge(
        "edge_node_sink_pending_records",
        "Records owed to the sink.",
    )
    .each("sink", sinks, |sink| (&sink.name, sink.pending_records));
    page.gauge(
        "edge_node_sink_pending_bytes",
        "Bytes of records owed to the sink.",
    )
    .each("sink", sinks, |sink| (&sink.name, sink.pending_bytes));
    page.gauge(
        "edge_node_sink_oldest_age_seconds",
        "Age of the oldest record owed, 0 if none.",
    )
    .each_millis("sink", sinks, |sink| {
        (&sink.name, sink.oldest_age_ms.unwrap_or(0))
    });
    page.counter(
        "edge_node_sink_acknowledged_total",
        "Events the receiver acknowledged.",
    )
    .each("sink", sinks, |sink| (&sink.name, sink.acknowledged));
    page.counter(
        "edge_node_sink_retried_total",
        "Attempts repeated after an error.",
    )
    .each("sink", sinks, |sink| (&sink.name, sink.retried));
    page.gauge(
        "edge_node_sink_dead_letters",
        "Events put aside, as many as are kept.",
    )
    .each("sink", sinks, |sink| (&sink.name, sink.dead_letters));
    page.gauge(
        "edge_node_sink_dead_letter_bytes",
        "Bytes of events put aside.",
    )
    .each("sink", sinks, |sink| (&sink.name, sink.dead_letter_bytes));
    page.counter("edge_node_sink_dead_letters_total", "Events put aside.")
        .each("sink", sinks, |sink| (&sink.name, sink.dead_lettered));
    page.counter(
        "edge_node_sink_not_sent_back_total",
        "Events not sent because they came from the sink's peer.",
    )
    .each("sink", sinks, |sink| (&sink.name, sink.not_sent_back));
    let mut family = page.gauge(
        "edge_node_sink_replay_positions",
        "Positions a replay has still before it, 0 once it is done or stopped; absent if there was none.",
    );
    for sink in sinks {
        if let Some(replay) = &sink.replay {
            let left = match replay.stopped {
                true => 0,
                false => replay.last.saturating_sub(replay.up_to),
            };
            family.put(&[("sink", &sink.name)], left);
        }
    }
    page.gauge(
        "edge_node_sink_next_retry_seconds",
        "Until the next attempt, 0 if it waits for none.",
    )
    .each_millis("sink", sinks, |sink| {
        (&sink.name, sink.next_retry_ms.unwrap_or(0))
    });
    let mut family = page.gauge(
        "edge_node_sink_catch_up_seconds",
        "Until nothing is pending; absent if unknown.",
    );
    for sink in sinks {
        if let Some(millis) = sink.catch_up_ms {
            family.millis(&[("sink", &sink.name)], millis);
        }
    }
}

fn rules(page: &mut Page, status: &NodeStatus) {
    let rules = &status.rules;
    page.counter("edge_node_rule_matched_total", "Events the rule matched.")
        .each("rule", rules, |rule| (&rule.name, rule.matched));
    page.counter(
        "edge_node_rule_dropped_total",
        "Of these: owed to no sink because of it.",
    )
    .each("rule", rules, |rule| (&rule.name, rule.dropped));
    page.counter(
        "edge_node_rule_errors_total",
        "Of these: a step of the rule failed.",
    )
    .each("rule", rules, |rule| (&rule.name, rule.errors));
    let mut family = page.counter(
        "edge_node_rule_errors_by_class_total",
        "These errors, by what went wrong.",
    );
    for rule in rules {
        for (class, count) in &rule.errors_by_class {
            family.put(&[("rule", &rule.name), ("class", class)], *count);
        }
    }
}

fn stages(page: &mut Page, status: &NodeStatus) {
    page.gauge(
        "edge_node_derived_waiting",
        "Events derived by stages of rules that wait for room in the log.",
    )
    .put(&[], status.derived_waiting);
    let put = |mut family: Family<'_>, value: fn(&StageStatus) -> u64| {
        for rule in &status.rules {
            for stage in &rule.stages {
                let step = stage.step.to_string();
                let labels = [
                    ("rule", &*rule.name),
                    ("step", &step),
                    ("stage", &stage.stage),
                ];
                family.put(&labels, value(stage));
            }
        }
    };
    put(
        page.gauge("edge_node_stage_keys", "Keys the stage remembers."),
        |it| it.keys,
    );
    put(
        page.gauge(
            "edge_node_stage_bytes",
            "Bytes its keys take, as counted against its bound.",
        ),
        |it| it.bytes,
    );
    put(
        page.counter(
            "edge_node_stage_forgotten_total",
            "Keys the stage forgot at a bound.",
        ),
        |it| it.forgotten,
    );
    put(
        page.counter(
            "edge_node_stage_late_total",
            "Events that came too late for the windows of the stage.",
        ),
        |it| it.late,
    );
    put(
        page.counter(
            "edge_node_stage_invalid_total",
            "What the stage derived that would have been no valid event.",
        ),
        |it| it.invalid,
    );
}

fn decoders(page: &mut Page, status: &NodeStatus) {
    let mut family = page.counter(
        "edge_node_undecoded_total",
        "Payloads that a decoder could not read.",
    );
    for (format, count) in &status.decoders.undecoded {
        family.put(&[("format", format)], *count);
    }
    let sparkplug = &status.decoders.sparkplug;
    let mut family = page.counter(
        "edge_node_sparkplug_total",
        "Messages of Sparkplug B that do not fit what was before them, births forgotten at the bound of memory, and nodes asked for theirs.",
    );
    family.put(&[("what", "stale-death")], sparkplug.stale_deaths);
    family.put(&[("what", "gap")], sparkplug.gaps);
    family.put(&[("what", "unknown-alias")], sparkplug.unknown_aliases);
    family.put(&[("what", "unborn")], sparkplug.unborn);
    family.put(&[("what", "forgotten")], sparkplug.forgotten);
    family.put(&[("what", "rebirth")], sparkplug.rebirths);
}

fn ledger(page: &mut Page, status: &NodeStatus) {
    let mut family = page.counter(
        "edge_node_lost_total",
        "Records gone, by reason and whose they were.",
    );
    for loss in &status.ledger {
        family.put(
            &[("reason", &loss.reason), ("scope", &loss.scope)],
            loss.count,
        );
    }
    let mut family = page.counter("edge_node_lost_bytes_total", "Bytes of records gone.");
    for loss in &status.ledger {
        family.put(
            &[("reason", &loss.reason), ("scope", &loss.scope)],
            loss.bytes,
        );
    }
}
