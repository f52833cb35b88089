//! Where in its messages a call is, and how many events a batch of them holds.

use tonic::Status;

/// Events of one batch: an empty one takes two bytes on its way and a hundred times that in memory.
pub(super) const BATCH_EVENTS: usize = 10_000;

/// A flag and four bytes of length come before a message.
const HEAD_BYTES: usize = 5;
/// `CloudEventBatch.events`: field 1, with a length.
const EVENTS_TAG: u8 = 0x0a;

/// Follows the bytes of a call, however they are cut.
pub(super) struct Framing {
    head: Vec<u8>,
    /// Bytes of the message that are still to come.
    left: usize,
    batch: Option<BatchScan>,
}

impl Framing {
    pub(super) fn new(is_batch: bool) -> Framing {
        Framing {
            head: Vec::with_capacity(HEAD_BYTES),
            left: 0,
            batch: is_batch.then(BatchScan::default),
        }
    }

    /// How many of these bytes belong to messages.
    ///
    /// # Errors
    /// A batch holds more events than are taken at once, or what is no event.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<usize, Status> {
        let mut count = 0;
        while !bytes.is_empty() {
            if self.left == 0 {
                let missing = HEAD_BYTES - self.head.len();
                let (head, rest) = bytes.split_at(missing.min(bytes.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                if let [_, length @ ..] = &self.head[..]
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.left = u32::from_be_bytes(length) as usize;
                    self.head.clear();
                }
                continue;
            }
            let (message, rest) = bytes.split_at(self.left.min(bytes.len()));
            if let Some(batch) = &mut self.batch {
                batch.follow(message)?;
            }
            count += message.len();
            self.left -= message.len();
            bytes = rest;
        }
        Ok(count)
    }

    pub(super) fn is_between_messages(&self) -> bool {
        self.left == 0 && self.head.is_empty()
    }
}

/// Counts the events of a batch before anything of it is decoded.
#[derive(Default)]
struct BatchScan {
    events: usize,
    place: Place,
}

#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Tag,
    Length {
        value: u64,
        shift: u32,
    },
    Event {
        left: u64,
    },
}

impl BatchScan {
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Status> {
        while let Some((first, rest)) = bytes.split_first() {
            self.place = match self.place {
                Place::Tag => {
                    self.count(*first)?;
                    bytes = rest;
                    Place::Length { value: 0, shift: 0 }
                }
                Place::Length { value, shift } => {
                    bytes = rest;
                    let value = value | u64::from(first & 0x7f) << shift;
                    match (first & 0x80, value) {
                        (0, 0) => Place::Tag,
                        (0, left) => Place::Event { left },
                        _ if shift < 56 => Place::Length {
                            value,
                            shift: shift + 7,
                        },
                        _ => {
                            return Err(Status::invalid_argument("the length of an event is none"));
                        }
                    }
                }
                Place::Event { left } => {
                    let step = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    bytes = bytes.get(step..).unwrap_or_default();
                    match left - step as u64 {
                        0 => Place::Tag,
                        left => Place::Event { left },
                    }
                }
            };
        }
        Ok(())
    }

    fn count(&mut self, tag: u8) -> Result<(), Status> {
        if tag != EVENTS_TAG {
            return Err(Status::invalid_argument("a batch holds nothing but events"));
        }
        self.events += 1;
        if self.events > BATCH_EVENTS {
            return Err(Status::invalid_argument(format!(
                "a batch holds at most {BATCH_EVENTS} events; send smaller ones"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cloud_uplink::eventmesh::proto::{CloudEvent, CloudEventBatch};
    use prost::Message;

    use super::*;

    #[test]
    fn the_bytes_of_messages_are_counted_however_they_are_cut() {
        let bytes = [framed(b"four"), framed(b""), framed(b"sixsix")].concat();
        for cut in 1..bytes.len() {
            let mut framing = Framing::new(false);
            let counts = bytes.chunks(cut).map(|it| framing.follow(it).unwrap());
            assert_eq!(counts.sum::<usize>(), 10, "cut at {cut}");
            assert!(framing.is_between_messages());
        }
    }

    #[test]
    fn a_batch_is_counted_before_it_is_decoded_however_it_is_cut() {
        for (count, taken) in [(BATCH_EVENTS, true), (BATCH_EVENTS + 1, false)] {
            for event in [CloudEvent::default(), event()] {
                let events = vec![event; count];
                let bytes = framed(&CloudEventBatch { events }.encode_to_vec());
                for cut in [1, 2, 7, 1000, bytes.len()] {
                    let mut framing = Framing::new(true);
                    let followed = bytes
                        .chunks(cut)
                        .try_for_each(|it| framing.follow(it).map(drop));
                    assert_eq!(followed.is_ok(), taken, "{count} events cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_event_is_in_no_batch() {
        for bytes in [
            &[0x12, 0][..],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(
                Framing::new(true).follow(&framed(bytes)).is_err(),
                "{bytes:x?}"
            );
        }
    }

    fn event() -> CloudEvent {
        CloudEvent {
            id: "7".repeat(200),
            ..CloudEvent::default()
        }
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0], &length[..], message].concat()
    }
}
