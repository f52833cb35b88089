//! What no single value shows: names that must exist, names that must differ, listeners others can reach.

use std::net::SocketAddr;

use wire::topic::Prefix;

use super::{
    Config, ConfigError, Fault, Overrides, Place, document::Document, spool::LaneName,
    units::ByteSize,
};

pub(super) fn across_sections(
    config: &Config,
    flags: &Overrides,
    document: &Document<'_>,
) -> Result<(), ConfigError> {
    listeners(config, flags, document)?;
    packets_fit(config, document)?;
    lanes(config, document)?;
    gap_topic(config, document)?;
    uplinks(config, document)
}

/// A node is often the hub of others that are configured as it is.
pub(super) fn remarks(config: &Config) -> Vec<String> {
    let packet = config.mqtt.max_packet_size;
    let in_json = ByteSize(packet.0.div_ceil(3) * 4);
    let doors = [
        ("max-body", "http", config.http.max_body, in_json),
        ("max-message", "grpc", config.grpc.max_message, packet),
    ];
    let small = doors.iter().filter(|(_, _, most, needs)| most < needs);
    small
        .map(|(key, section, most, needs)| {
            format!(
                "`{key}` of [{section}] ({most}) is less than an event of `max-packet-size` of [mqtt] ({packet}) takes there, \
                 {needs} and its attributes: a node that sends this one as large ones as it accepts is refused"
            )
        })
        .collect()
}

fn listeners(
    config: &Config,
    flags: &Overrides,
    document: &Document<'_>,
) -> Result<(), ConfigError> {
    let all: [(&'static str, SocketAddr, bool); 3] = [
        ("mqtt", config.mqtt.listen, config.mqtt.allow_anonymous),
        ("http", config.http.listen, config.http.allow_anonymous),
        ("grpc", config.grpc.listen, config.grpc.allow_anonymous),
    ];
    let place = |section: &str| match flags.listener(section) {
        Some(flag) => flag,
        None => document.place(&format!("{section}.listen")),
    };
    for (index, (section, address, anonymous)) in all.into_iter().enumerate() {
        if !address.ip().is_loopback() && !anonymous {
            return fault(place(section), Fault::OffLoopback { section, address });
        }
        for (first, other, _) in all.into_iter().take(index) {
            if address == other && address.port() != 0 {
                return fault(
                    place(section),
                    Fault::SameAddress {
                        first,
                        second: section,
                        address,
                    },
                );
            }
        }
    }
    Ok(())
}

fn packets_fit(config: &Config, document: &Document<'_>) -> Result<(), ConfigError> {
    let (packet, waiting) = (config.mqtt.max_packet_size, config.spool.waiting_bytes);
    if packet < waiting {
        return Ok(());
    }
    let place = match document.has("spool.waiting-bytes") {
        true => document.place("spool.waiting-bytes"),
        false => document.place("mqtt.max-packet-size"),
    };
    let what = format!(
        "`waiting-bytes` of [spool] ({waiting}) must be larger than `max-packet-size` of [mqtt] ({packet}), \
         or such a packet could never be taken"
    );
    fault(place, Fault::Wrong { what })
}

fn lanes(config: &Config, document: &Document<'_>) -> Result<(), ConfigError> {
    let names = config.spool.lanes.iter().map(|lane| lane.name.as_str());
    no_duplicates("lane", names, |index| {
        document.place(&format!("spool.lanes.{index}.name"))
    })?;
    default_lane(config, document)?;
    for (index, rule) in config.ingest.iter().enumerate() {
        if let Some(lane) = &rule.lane {
            known_lane(config, lane, || {
                document.place(&format!("ingest.{index}.lane"))
            })?;
        }
    }
    for (stream, lane) in config.devices.iter().flat_map(|it| &it.lanes) {
        let place = format!("devices.lanes.{}", stream.0);
        known_lane(config, lane, || document.place(&place))?;
    }
    for (index, uplink) in config.uplink.iter().enumerate() {
        for (nth, lane) in uplink.lanes.iter().flatten().enumerate() {
            known_lane(config, lane, || {
                document.place(&format!("uplink.{index}.lanes.{nth}"))
            })?;
        }
    }
    Ok(())
}

/// On the topics of devices nobody speaks for them.
fn gap_topic(config: &Config, document: &Document<'_>) -> Result<(), ConfigError> {
    let (Some(topic), Some(devices)) = (&config.node.gap_topic, &config.devices) else {
        return Ok(());
    };
    match Prefix::new(&devices.prefix).and_then(|prefix| prefix.split(topic)) {
        None => Ok(()),
        Some(_) => {
            let what =
                format!("`{topic}` belongs to a device of [devices]; choose another `gap-topic`");
            fault(document.place("node.gap-topic"), Fault::Wrong { what })
        }
    }
}

fn default_lane(config: &Config, document: &Document<'_>) -> Result<(), ConfigError> {
    let lane = &config.spool.default_lane;
    if document.has("spool.default-lane") {
        return known_lane(config, lane, || document.place("spool.default-lane"));
    }
    if config.spool.lane(lane).is_some() {
        return Ok(());
    }
    let lane = lane.as_str().to_owned();
    fault(
        document.place("spool.lanes"),
        Fault::NoDefaultLane {
            lane,
            lanes: lane_names(config),
        },
    )
}

fn uplinks(config: &Config, document: &Document<'_>) -> Result<(), ConfigError> {
    let names = config.uplink.iter().map(|uplink| uplink.name.as_str());
    no_duplicates("uplink", names, |index| {
        document.place(&format!("uplink.{index}.name"))
    })?;
    for (index, uplink) in config.uplink.iter().enumerate() {
        if let Some((key, wrong)) = uplink.misplaced() {
            return fault(document.place(&format!("uplink.{index}.{key}")), wrong);
        }
    }
    Ok(())
}

fn known_lane(
    config: &Config,
    lane: &LaneName,
    place: impl FnOnce() -> Place,
) -> Result<(), ConfigError> {
    if config.spool.lane(lane).is_some() {
        return Ok(());
    }
    fault(
        place(),
        Fault::UnknownLane {
            lane: lane.as_str().to_owned(),
            lanes: lane_names(config),
        },
    )
}

fn lane_names(config: &Config) -> Vec<String> {
    let names = config.spool.lanes.iter().map(|lane| lane.name.as_str());
    names.map(str::to_owned).collect()
}

fn no_duplicates<'a>(
    kind: &'static str,
    names: impl Iterator<Item = &'a str>,
    place: impl Fn(usize) -> Place,
) -> Result<(), ConfigError> {
    let mut seen = std::collections::BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            return fault(
                place(index),
                Fault::Duplicate {
                    kind,
                    name: name.to_owned(),
                },
            );
        }
    }
    Ok(())
}

fn fault(place: Place, fault: Fault) -> Result<(), ConfigError> {
    Err(ConfigError::At { place, fault })
}
