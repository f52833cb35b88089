use heapless::Vec;
use wire::{EventId, Stream};

use crate::link::MOST_IN_FLIGHT;

/// Events that were sent and not answered, in their order, and how far each stream was taken.
#[derive(Debug, Default)]
pub(super) struct Flight {
    sent: Vec<Sent, MOST_IN_FLIGHT>,
    taken: [Option<EventId>; Stream::COUNT],
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    packet_id: u16,
    event: EventId,
    is_taken: bool,
}

impl Flight {
    /// The connection is gone, and with it every answer.
    pub(super) fn clear(&mut self) {
        self.sent.clear();
    }

    /// An event went out. There are never more than the link's window holds.
    pub(super) fn push(&mut self, packet_id: u16, event: EventId) {
        let _ = self.sent.push(Sent {
            packet_id,
            event,
            is_taken: false,
        });
    }

    /// The broker answered 0x00: of which stream.
    pub(super) fn note_taken(&mut self, packet_id: u16) -> Option<Stream> {
        let sent = self.sent.iter_mut().find(|it| it.packet_id == packet_id)?;
        sent.is_taken = true;
        Some(sent.event.stream)
    }

    /// The oldest event of a stream, once it was taken: the outbox may forget it.
    pub(super) fn pop_taken(&mut self, stream: Stream) -> Option<EventId> {
        let oldest = self.sent.iter().position(|it| it.event.stream == stream)?;
        let event = self.sent.get(oldest).filter(|it| it.is_taken)?.event;
        self.sent.remove(oldest);
        if let Some(taken) = self.taken.get_mut(usize::from(stream.number())) {
            *taken = Some(event);
        }
        Some(event)
    }

    /// Of which stream the event is that was sent in this packet.
    pub(super) fn stream_of(&self, packet_id: u16) -> Option<Stream> {
        let sent = self.sent.iter().find(|it| it.packet_id == packet_id)?;
        Some(sent.event.stream)
    }

    /// What was sent of a stream counts as not sent, whatever the broker says of it.
    pub(super) fn forget(&mut self, stream: Stream) {
        self.sent.retain(|it| it.event.stream != stream);
    }

    /// Whether an event was taken before, and is here only since it left in one message with others.
    pub(super) fn is_taken(&self, event: EventId) -> bool {
        let taken = self.taken.get(usize::from(event.stream.number()));
        taken.copied().flatten().is_some_and(|taken| {
            taken.incarnation == event.incarnation && event.mark() <= taken.mark()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(stream: u8, seq: u64) -> EventId {
        EventId {
            incarnation: 7,
            boot: 1,
            stream: Stream::new(stream).unwrap(),
            seq,
        }
    }

    #[test]
    fn an_event_is_forgotten_when_all_before_it_in_its_stream_were_taken() {
        let mut flight = Flight::default();
        for (packet_id, event) in [(1, event(0, 1)), (2, event(1, 1)), (3, event(0, 2))] {
            flight.push(packet_id, event);
        }
        let first = event(0, 1).stream;
        assert_eq!(flight.note_taken(3), Some(first));
        assert_eq!(flight.pop_taken(first), None);
        assert_eq!(flight.note_taken(1), Some(first));
        assert_eq!(flight.pop_taken(first), Some(event(0, 1)));
        assert_eq!(flight.pop_taken(first), Some(event(0, 2)));
        assert_eq!(flight.pop_taken(first), None);
        assert!(flight.is_taken(event(0, 2)));
        assert!(!flight.is_taken(event(0, 3)));
        assert!(!flight.is_taken(event(1, 1)));
    }

    #[test]
    fn what_counts_as_not_sent_is_not_taken_by_a_late_answer() {
        let mut flight = Flight::default();
        flight.push(1, event(0, 1));
        flight.push(2, event(0, 2));
        let stream = event(0, 1).stream;
        assert_eq!(flight.stream_of(1), Some(stream));
        flight.forget(stream);
        assert_eq!(flight.note_taken(2), None);
        assert_eq!(flight.pop_taken(stream), None);
    }
}
