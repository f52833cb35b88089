use super::Emit;
use crate::{Data, Event};

/// A payload as a decoder shows it: JSON, some texts of which are the names of numbers.
///
/// Conditions find such a text by its name and by its number, as one value; stages and transforms see the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    json: Vec<u8>,
    /// Where such a text begins, at its quote, and its number; in the order of the places.
    named: Vec<(u32, i32)>,
    emit: Emit,
}

impl Decoded {
    pub(crate) fn new(json: Vec<u8>, named: Vec<(u32, i32)>) -> Decoded {
        Decoded {
            json,
            named,
            emit: Emit::Original,
        }
    }

    /// The JSON text.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Whether uplinks get it in place of the payload.
    pub fn is_emitted(&self) -> bool {
        self.emit == Emit::Json
    }

    pub(super) fn emitted(self, emit: Emit) -> Decoded {
        Decoded { emit, ..self }
    }

    /// The number of the text whose quote stands at `place`.
    pub(crate) fn number_at(&self, place: usize) -> Option<i32> {
        let place = u32::try_from(place).ok()?;
        let found = self.named.binary_search_by_key(&place, |it| it.0).ok()?;
        self.named.get(found).map(|it| it.1)
    }
}

impl From<Vec<u8>> for Decoded {
    fn from(json: Vec<u8>) -> Decoded {
        Decoded::new(json, Vec::new())
    }
}

/// The event with its data as a decoder shows it.
pub(crate) fn as_json(event: &Event, json: &[u8]) -> Event {
    Event {
        datacontenttype: Some("application/json".to_owned()),
        data: Some(Data::Json(json.to_vec())),
        ..event.clone()
    }
}
