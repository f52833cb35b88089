//! A simulated sensor: an MQTT 5 client that publishes readings at QoS 1 and forgets none before it is acknowledged.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use super::tally::Reading;
use crate::{
    bench::link::Link,
    endpoints::Endpoints,
    mqtt::packet::{Connect, Packet, PacketId, Publish, PublishPropertySet, QoS, Topic, Version},
};

/// How many there are.
pub(super) const SENSORS: u8 = 5;
/// From one reading to the next, and from a failure to the next try.
const EVERY: Duration = Duration::from_millis(20);
/// Read at once; a sensor reads acknowledgements only.
const READ_BYTES: usize = 1024;

/// Publishes until it is told to be silent, then until its last reading is acknowledged.
pub(super) async fn drive(
    sensor: u8,
    mut node: watch::Receiver<Option<Endpoints>>,
    silent: watch::Receiver<bool>,
    acknowledged: mpsc::Sender<Reading>,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reading = Reading { sensor, number: 1 };
    let mut link = None;
    // Whether the node may have it already: then the sensor has to know.
    let mut unanswered = false;
    loop {
        ticks.tick().await;
        if *silent.borrow() && !unanswered {
            return;
        }
        let connected = match link.take() {
            Some(connected) => Ok(connected),
            None => connect(sensor, &mut node).await,
        };
        let Ok(mut connected) = connected else {
            continue;
        };
        unanswered = true;
        match publish(&mut connected, reading).await {
            Ok(true) => {
                unanswered = false;
                if acknowledged.send(reading).await.is_err() {
                    return; // nobody counts any more
                }
                reading.number += 1;
                link = Some(connected);
            }
            Ok(false) => link = Some(connected), // the node has no room: the same again
            Err(_) => {} // the connection broke: the same again, on the next one
        }
    }
}

async fn connect(sensor: u8, node: &mut watch::Receiver<Option<Endpoints>>) -> io::Result<Link> {
    let node = node.wait_for(Option::is_some).await;
    let address = node.ok().and_then(|node| node.as_ref().map(|it| it.mqtt));
    let Some(address) = address else {
        return std::future::pending().await; // the demo is over
    };
    let connect = Connect::new(Version::V5, format!("pump-{sensor}"));
    Link::connect(&address.to_string(), connect, READ_BYTES).await
}

/// Whether the node acknowledged it.
async fn publish(link: &mut Link, reading: Reading) -> io::Result<bool> {
    let packet_id = PacketId::new(1);
    link.send(&Packet::Publish(event(reading, packet_id)?))?;
    loop {
        match link.answer().await? {
            Packet::PubAck(ack) if Some(ack.packet_id) == packet_id => {
                return Ok(!ack.reason.is_error());
            }
            Packet::Disconnect(it) => {
                return Err(io::Error::other(format!("disconnected: {:?}", it.reason)));
            }
            _ => {}
        }
    }
}

/// A CloudEvent in MQTT 5 binary mode.
fn event(reading: Reading, packet_id: Option<PacketId>) -> io::Result<Publish> {
    let (source, id) = reading.identity();
    let attributes = [
        ("specversion", "1.0".to_owned()),
        ("type", "demo.reading".to_owned()),
        ("source", source),
        ("id", id),
    ];
    let properties = PublishPropertySet {
        content_type: Some("application/json".to_owned()),
        user_properties: attributes
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ..PublishPropertySet::default()
    };
    let rpm = 1400 + reading.number % 100;
    Ok(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: Topic::parse(reading.topic()).map_err(io::Error::other)?,
        packet_id,
        properties: properties.into(),
        payload: Bytes::from(format!("{{\"rpm\":{rpm}}}")),
    })
}
