//! What the core tells the log between two commits, in its order.

use spool::{CursorId, Loss, Seq, Spool};

#[derive(Debug)]
pub(super) enum LogOrder {
    /// The record is needed, whoever else is done with it.
    Pin(Seq),
    Unpin(Seq),
    /// Something was lost.
    Lose(Loss),
    /// This cursor is done with these.
    Acknowledge(CursorId, Vec<Seq>),
}

impl LogOrder {
    pub(super) fn carry_out(self, spool: &Spool) {
        match self {
            LogOrder::Pin(seq) => spool.pin(seq),
            LogOrder::Unpin(seq) => spool.unpin(seq),
            LogOrder::Lose(loss) => spool.record_loss(loss),
            LogOrder::Acknowledge(cursor, seqs) => spool.ack(cursor, &seqs),
        }
    }
}

/// One order for a run of the same cursor.
pub(super) fn acknowledgements(acknowledged: &[(CursorId, Seq)]) -> impl Iterator<Item = LogOrder> {
    let runs = acknowledged.chunk_by(|(a, _), (b, _)| a == b);
    runs.filter_map(|run| {
        let seqs = run.iter().map(|(_, seq)| *seq).collect();
        Some(LogOrder::Acknowledge(run.first()?.0, seqs))
    })
}

#[cfg(test)]
mod tests {
    use spool::LossReason;

    use super::*;
    use crate::{
        broker::{Broker, Journal, tests::harness::*},
        mqtt::packet::{Packet, QoS, Version},
        node::core::Reading,
    };

    #[test]
    fn what_expired_is_counted_before_it_is_let_go_wherever_a_commit_comes_between() {
        let mut both = 0;
        for before in 0.. {
            let (mut node, cursor) = node_with_expired();
            let orders = orders_of_return(&mut node);
            let is_all = before >= orders.len();
            let spool = node.core.spool();
            let some = orders.into_iter().take(before);
            some.for_each(|order| order.carry_out(spool));
            spool.commit_once();
            node.skip(2_000);
            spool.housekeep_once(node.now());
            spool.commit_once();
            let node = node.cut();
            let status = node.core.spool().cursor_status(cursor).unwrap();
            let (owed, counted) = (status.pending_records, node.lost(LossReason::Expired));
            assert!(owed + counted >= 1, "after {before} of its orders");
            both += u64::from((owed, counted) == (1, 0)) + u64::from((owed, counted) == (0, 1));
            if is_all {
                assert_eq!((owed, counted), (0, 1));
                break;
            }
        }
        assert!(both >= 2, "it was owed at first, and counted in the end");
    }

    #[test]
    fn what_is_lost_by_a_change_is_counted_by_the_commit_of_the_change() {
        let mut node = TestNode::new();
        let mut retained = expiring(publish("t", "x", QoS::AtLeastOnce, 1), 1);
        if let Packet::Publish(publish) = &mut retained {
            publish.retain = true;
        }
        let publisher = node.connect(v5("publisher"));
        node.send(&publisher, retained);
        node.settle();
        node.skip(60_000);
        node.core.append(Broker::handle_deadline);
        node.core.spool().commit_once();

        let node = node.cut();
        assert_eq!(node.core.status().sessions.retained, 0);
        assert_eq!(node.lost(LossReason::Expired), 1);
    }

    /// One message that expired waits for a durable session whose client is away; and the session's cursor.
    fn node_with_expired() -> (TestNode, CursorId) {
        let mut node = TestNode::new();
        let mut away = node.connect(durable("away"));
        node.subscribe(&mut away, "t", QoS::AtLeastOnce);
        node.drop_connection(away);
        let publisher = node.connect(v5("publisher"));
        let message = expiring(publish("t", "x", QoS::AtLeastOnce, 1), 1);
        node.send(&publisher, message);
        node.settle();
        node.skip(2_000);
        let cursors = node.core.spool().status().cursors;
        let owed = cursors.iter().find(|cursor| cursor.pending_records == 1);
        let name = owed.expect("the session is owed it").name.clone();
        let cursor = node.core.spool().cursor(&name).unwrap();
        (node, cursor)
    }

    /// The client is back: what the log is told when its debt was read, not yet carried out.
    fn orders_of_return(node: &mut TestNode) -> Vec<LogOrder> {
        let client = node.dial(Version::V5);
        let connect = Packet::Connect(Box::new(durable("away")));
        node.send(&client, connect);
        node.commit();
        let readings = node.take_readings();
        let mut orders = Vec::new();
        for reading in readings {
            let found = reading.order().run(node.core.spool()).unwrap();
            let core = &mut node.core;
            let now = (core.clock)();
            let mut journal =
                Journal::begin(&core.spool, &mut core.ingest, now, core.keeps_history);
            let Reading::Debt(reader, request, ticket) = reading else {
                continue;
            };
            core.broker
                .handle_read(reader, &request, ticket, found, &mut journal);
            journal.finish();
            orders.extend(core.take_log_orders());
        }
        orders
    }
}
