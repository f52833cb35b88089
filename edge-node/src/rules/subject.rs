use std::cell::OnceCell;

use filters::{DataView, Event, decode::Incoming};

use crate::{
    ingest::{self, Minted, Undecoded},
    mqtt::{packet::PublishProperties, stored},
    record::PublishRecord,
};

/// A publish as rules look at it: no more is made of it than they ask for.
pub(super) struct Subject<'a> {
    pub(super) record: &'a PublishRecord<'a>,
    parts: Option<(Minted, PublishProperties)>,
    event: OnceCell<Option<Event>>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(record: &'a PublishRecord<'a>) -> Subject<'a> {
        let minted = postcard::from_bytes(record.minted).ok();
        let properties = stored::decode(record.properties).ok();
        Subject {
            record,
            parts: minted.zip(properties),
            event: OnceCell::new(),
        }
    }

    pub(super) fn event(&self) -> Option<&Event> {
        let make = || {
            let (minted, properties) = self.parts.as_ref()?;
            let PublishRecord { topic, payload, .. } = *self.record;
            ingest::view(topic, properties.set(), payload, minted).ok()
        };
        self.event.get_or_init(make).as_ref()
    }

    /// The data, where no event is needed to know them.
    pub(super) fn data(&self) -> Option<DataView<'a>> {
        let (minted, properties) = self.parts.as_ref()?;
        ingest::data_view(properties.set(), self.record.payload, minted)
    }

    /// What decoders are to read; `None` where they have nothing to.
    pub(super) fn incoming(&self, position: u64) -> Option<Incoming<'_>> {
        let (minted, properties) = self.parts.as_ref()?;
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
