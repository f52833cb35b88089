use std::cell::OnceCell;

use filters::{DataView, Event};

use crate::{
    ingest::{self, Minted},
    mqtt::stored,
    node::view,
    record::PublishRecord,
};

/// A publish as rules look at it: no more is made of it than they ask for.
pub(super) struct Subject<'a> {
    pub(super) record: &'a PublishRecord<'a>,
    event: OnceCell<Option<Event>>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(record: &'a PublishRecord<'a>) -> Subject<'a> {
        Subject {
            record,
            event: OnceCell::new(),
        }
    }

    pub(super) fn event(&self) -> Option<&Event> {
        let event = self.event.get_or_init(|| view::of_record(self.record));
        event.as_ref()
    }

    /// The data, where no decoder is needed to read them and no event to know them.
    pub(super) fn data(&self) -> Option<DataView<'a>> {
        let minted: Minted = postcard::from_bytes(self.record.minted).ok()?;
        let properties = stored::decode(self.record.properties).ok()?;
        let data = ingest::data_view(properties.set(), self.record.payload, &minted);
        data.filter(|it| *it != DataView::Opaque)
    }
}

/// In place of an event that cannot be made.
pub(super) fn nothing() -> Event {
    Event::new(String::new(), String::new(), String::new())
}

/// The payload as a decoder shows it: `Some(None)` if it cannot, `None` where the payload needs none.
pub(super) fn decoded(event: &Event) -> Option<Option<Vec<u8>>> {
    let is_cbor = event.datacontenttype.as_deref() == Some("application/cbor");
    is_cbor.then(|| filters::decode::cbor_to_json(event.data_bytes()).ok())
}
