//! Who wants the events: an MQTT 5 client at the hub, with a session that outlives its connection.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use super::tally::Reading;
use crate::{
    bench::link::Link,
    mqtt::{
        encode::{AckKind, encode_success},
        packet::{Connect, Packet, Publish, Version},
    },
};

/// Events are on mesh topics there, `plant-pump-1`: the demo knows its own by their source.
const FILTER: &str = "#";
const READ_BYTES: usize = 64 * 1024;
const SESSION_SECONDS: u32 = 3600;
const RETRY: Duration = Duration::from_millis(100);

/// Subscribed at the hub.
pub(super) struct Receiver {
    hub: SocketAddr,
    link: Link,
}

impl Receiver {
    pub(super) async fn subscribe(hub: SocketAddr) -> io::Result<Receiver> {
        let link = connect(hub).await?;
        Ok(Receiver { hub, link })
    }

    /// Gives every event of the demo to `delivered`, as often as it comes, until nobody takes them.
    pub(super) async fn drive(mut self, delivered: mpsc::Sender<Reading>) {
        while !delivered.is_closed() {
            if self.receive(&delivered).await.is_err() {
                sleep(RETRY).await;
                if let Ok(link) = connect(self.hub).await {
                    self.link = link;
                }
            }
        }
    }

    async fn receive(&mut self, delivered: &mpsc::Sender<Reading>) -> io::Result<()> {
        self.link.exchange().await?;
        while let Some(packet) = self.link.next()? {
            let Packet::Publish(publish) = packet else {
                continue;
            };
            if let Some(reading) = reading(&publish) {
                let _ = delivered.send(reading).await; // nobody counts any more
            }
            if let Some(packet_id) = publish.packet_id {
                encode_success(AckKind::PubAck, packet_id, &mut self.link.out);
            }
        }
        Ok(())
    }
}

async fn connect(hub: SocketAddr) -> io::Result<Link> {
    let connect = Connect {
        clean_start: false,
        session_expiry_interval: Some(SESSION_SECONDS),
        ..Connect::new(Version::V5, "receiver")
    };
    let mut link = Link::connect(&hub.to_string(), connect, READ_BYTES).await?;
    link.subscribe(FILTER.to_owned()).await?;
    Ok(link)
}

/// Which event it is, by its attributes `source` and `id`.
fn reading(publish: &Publish) -> Option<Reading> {
    let properties = &publish.properties.set()?.user_properties;
    let attribute = |wanted: &str| {
        let found = properties.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    Reading::identified(attribute("source")?, attribute("id")?)
}
