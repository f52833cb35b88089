use std::cell::OnceCell;

use filters::{DataView, Event, decode::Incoming};

use crate::{
    ingest::{self, Minted, Undecoded},
    mqtt::{packet::PublishProperties, stored},
    record::PublishRecord,
};

/// What a record keeps in its own encoding of a publish, before it was encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) minted: &'a Minted,
    pub(crate) properties: &'a PublishProperties,
}

/// A publish as rules look at it: no more is made of it than they ask for.
pub(crate) struct Subject<'a> {
    pub(super) record: &'a PublishRecord<'a>,
    /// As they came with it, if they did.
    given: Option<Parts<'a>>,
    decoded: OnceCell<Option<(Minted, PublishProperties)>>,
    event: OnceCell<Option<Event>>,
}

impl<'a> Subject<'a> {
    /// The publish of a record, all of which is decoded from it.
    pub(crate) fn new(record: &'a PublishRecord<'a>) -> Subject<'a> {
        Subject::with(record, None)
    }

    /// The same where parts of the record are at hand as they were before it was encoded.
    pub(crate) fn with(record: &'a PublishRecord<'a>, parts: Option<Parts<'a>>) -> Subject<'a> {
        Subject {
            record,
            given: parts,
            decoded: OnceCell::new(),
            event: OnceCell::new(),
        }
    }

    fn parts(&self) -> Option<(&Minted, &PublishProperties)> {
        if let Some(Parts { minted, properties }) = self.given {
            return Some((minted, properties));
        }
        let decode = || {
            let minted = postcard::from_bytes(self.record.minted).ok();
            minted.zip(stored::decode(self.record.properties).ok())
        };
        let decoded = self.decoded.get_or_init(decode).as_ref();
        decoded.map(|(minted, properties)| (minted, properties))
    }

    pub(super) fn event(&self) -> Option<&Event> {
        let make = || {
            let (minted, properties) = self.parts()?;
            let PublishRecord { topic, payload, .. } = *self.record;
            ingest::view(topic, properties.set(), payload, minted).ok()
        };
        self.event.get_or_init(make).as_ref()
    }

    /// The data, where no event is needed to know them.
    pub(super) fn data(&self) -> Option<DataView<'a>> {
        let (minted, properties) = self.parts()?;
        ingest::data_view(properties.set(), self.record.payload, minted)
    }

    /// What decoders are to read; `None` where they have nothing to.
    pub(super) fn incoming(&self, position: u64) -> Option<Incoming<'_>> {
        let (minted, properties) = self.parts()?;
        let (content_type, payload) = match ingest::undecoded(properties.set(), minted) {
            Undecoded::Payload(content_type) => (content_type, self.record.payload),
            Undecoded::InEvent => {
                let event = self.event()?;
                (event.datacontenttype.as_deref(), event.data_bytes())
            }
            Undecoded::Nothing => return None,
        };
        Some(Incoming {
            topic: Some(self.record.topic),
            content_type,
            payload,
            position,
        })
    }
}

/// In place of an event that cannot be made.
pub(super) fn nothing() -> Event {
    Event::new(String::new(), String::new(), String::new())
}
