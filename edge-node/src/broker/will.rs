//! Wills: published when a client is gone without a goodbye and its delay is over.

use spool::{Full, LossReason, NodeTime};

use super::{Broker, deadline::Timer, journal::Journal, publish::Arrival};
use crate::{
    mqtt::{
        packet::{QoS, Will},
        stored,
    },
    record::{Change, PublishRecord, StoredWill},
};

/// A will as the log keeps it.
pub(crate) fn store_will(will: &Will) -> StoredWill {
    StoredWill {
        topic: will.topic.clone(),
        payload: will.payload.to_vec(),
        qos: will.qos as u8,
        retain: will.retain,
        delay_seconds: will.delay_interval,
        properties: stored::encode(&will.properties).unwrap_or_default(), // decoded ones can be encoded
    }
}

impl Broker {
    /// Publishes a will. It stays due if there is no room.
    pub(crate) fn publish_will(
        &mut self,
        journal: &mut Journal<'_>,
        client: &str,
        will: &StoredWill,
    ) -> Result<(), Full> {
        let qos = match will.qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let minted = match journal.mint_will(client, will) {
            Ok(minted) => minted,
            Err(_) => {
                // The operator refuses what is no valid event, wills included; the session is done with it.
                self.lose(
                    LossReason::Refused,
                    client.to_owned(),
                    1,
                    will.payload.len() as u64,
                    journal.now,
                );
                let spent = Change::WillRefused {
                    client: client.to_owned(),
                };
                return self.change(journal, spent).map(drop);
            }
        };
        let record = PublishRecord {
            qos,
            retain: will.retain,
            will: true,
            packet_id: None,
            sender: client,
            origin: "",
            topic: &will.topic,
            properties: &will.properties,
            minted: &minted.bytes,
            payload: &will.payload,
        };
        let publisher = self.clients.get(client).copied();
        let arrival = Arrival {
            record,
            publisher,
            lane: minted.lane,
            withheld: None,
        };
        self.take(journal, &arrival).map(drop)
    }

    pub(super) fn will_is_due(&mut self, journal: &mut Journal<'_>, client: &str) {
        let Some(id) = self.clients.get(client) else {
            return;
        };
        let Some(session) = self.sessions.get(*id) else {
            return;
        };
        let (Some(due), Some(will)) = (session.kept.will_due, session.kept.will.clone()) else {
            return;
        };
        if session.connection.is_some() || due > journal.now {
            return;
        }
        if self.publish_will(journal, client, &will).is_err() {
            self.timers.insert((
                NodeTime(journal.now.0 + 1000),
                Timer::Will(client.to_owned()),
            ));
        }
    }
}
