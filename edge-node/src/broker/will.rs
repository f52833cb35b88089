//! Wills: published when a client is gone without a goodbye and its delay is over.

use spool::{Full, LossReason, NodeTime, Seq};
use wire::topic::Channel;

use super::{Broker, deadline::Timer, journal::Journal, publish::Arrival, session::SessionId};
use crate::{
    mqtt::{
        packet::{QoS, Will},
        stored,
    },
    record::{Change, PublishRecord, StoredWill},
    rules::Crowded,
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
    /// Publishes a will. It stays due if there is no room, or, where it `may_wait`, none beside what is in this transaction.
    pub(crate) fn publish_will(
        &mut self,
        journal: &mut Journal<'_>,
        client: &str,
        will: &StoredWill,
        may_wait: bool,
    ) -> Result<(), Full> {
        let qos = match will.qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        if self.device_topic(&will.topic).is_some() {
            // It says to a node what this one sees itself: that the connection ended.
            self.show_offline(journal.now, client, will);
            self.spend_shown_will(journal, client);
            return Ok(());
        }
        let minted = match journal.mint_will(client, will) {
            Ok(minted) => minted,
            Err(_) => return self.refuse_will(journal, client, will, LossReason::Refused),
        };
        let record = PublishRecord {
            qos,
            retain: will.retain,
            will: true,
            packet_id: None,
            waited_ms: 0,
            place: None,
            sender: client,
            origin: "",
            topic: &will.topic,
            properties: &will.properties,
            minted: &minted.bytes,
            settled: &[],
            payload: &will.payload,
        };
        let publisher = self.clients.get(client).copied();
        let arrival = Arrival {
            publisher,
            crowded: match may_wait {
                true => Crowded::Waits,
                false => Crowded::Lessened,
            },
            ..Arrival::of(record, minted.lane)
        };
        let is_alone = journal.is_empty();
        match self.take(journal, &arrival).map_err(|no_room| no_room.full) {
            // It would never fit.
            Err(Full::TooLarge) if is_alone => {
                return self.refuse_will(journal, client, will, LossReason::Rejected);
            }
            taken => drop(taken?),
        }
        self.counters.wrapped += u64::from(minted.wrapped);
        Ok(())
    }

    /// A will that is never taken: the operator refuses what is no valid event, or it is larger than the log takes. The session is
    /// done with it.
    fn refuse_will(
        &mut self,
        journal: &mut Journal<'_>,
        client: &str,
        will: &StoredWill,
        reason: LossReason,
    ) -> Result<(), Full> {
        let client = client.to_owned();
        let spent = Change::WillRefused {
            client: client.clone(),
        };
        self.change(journal, spent)?;
        let bytes = will.payload.len() as u64;
        self.lose(reason, client, 1, bytes, journal.now);
        self.counters.refused += 1;
        Ok(())
    }

    /// The session is done with a will that was shown. Without room the log learns of it with a later checkpoint; a start before
    /// that shows it again. To try it again would have every device that is away do so each second while the log is full.
    fn spend_shown_will(&mut self, journal: &mut Journal<'_>, client: &str) {
        let Some(session) = self.clients.get(client).copied() else {
            return;
        };
        let client = client.to_owned();
        let spent = Change::WillRefused { client };
        if self.record_of(journal, session, spent.clone()).is_err() {
            self.apply_change(spent, Seq::ZERO);
        }
    }

    fn show_offline(&mut self, now: NodeTime, client: &str, will: &StoredWill) {
        let of = self.device_topic(&will.topic);
        let is_own =
            of.is_some_and(|(channel, it)| channel == Channel::Birth && it.as_str() == client);
        if let Some(session) = self.clients.get(client).copied().filter(|_| is_own) {
            self.show(now, &will.topic, &will.payload, session);
        }
    }

    pub(super) fn will_is_due(&mut self, journal: &mut Journal<'_>, client: &str) {
        let Some(id) = self.clients.get(client).copied() else {
            return;
        };
        if self.publish_overdue_will(journal, id).is_err() {
            let again = NodeTime(journal.now.0 + 1000);
            self.timers.set(Timer::Will(client.to_owned()), again);
        }
    }

    /// Publishes the will of a session whose client is away, if it is due.
    fn publish_overdue_will(
        &mut self,
        journal: &mut Journal<'_>,
        id: SessionId,
    ) -> Result<(), Full> {
        match self.overdue_will(journal, id) {
            Some((client, will)) => self.publish_will(journal, &client, &will, true),
            None => Ok(()),
        }
    }

    /// The client of this session is back, and its new will takes the place of one that is due and has found no room.
    pub(super) fn end_overdue_will(&mut self, journal: &mut Journal<'_>, id: SessionId) {
        if let Some((client, will)) = self.overdue_will(journal, id)
            && self.publish_will(journal, &client, &will, false).is_err()
        {
            self.lose_will(client, &will, journal.now);
        }
    }

    fn overdue_will(&self, journal: &Journal<'_>, id: SessionId) -> Option<(String, StoredWill)> {
        let session = self.sessions.get(id)?;
        let is_due = session.kept.will_due.is_some_and(|due| due <= journal.now);
        let will = session.kept.will.clone()?;
        (is_due && session.connection.is_none()).then(|| (session.client.to_string(), will))
    }

    /// A will that could not wait for room: what fills the log may be what its own client has yet to take.
    pub(super) fn lose_will(&mut self, client: String, will: &StoredWill, now: NodeTime) {
        let bytes = will.payload.len() as u64;
        self.lose(LossReason::SessionEnded, client, 1, bytes, now);
    }
}
