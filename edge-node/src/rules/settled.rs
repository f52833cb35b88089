use filters::{Data, Event, Value, rules::Owed};
use serde::{Deserialize, Serialize};

use super::{derivations::Inputs, stages::Remembered};

/// What rules made of a publish for the uplinks, as its record keeps it: whatever the rules become, every uplink gets it in this form.
///
/// This is part of the format of the log: fields stay as they are, new variants come after the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    uplinks: Uplinks,
    /// Why no uplink can be given it: it is kept as a dead letter of each.
    unfit: Option<String>,
    shapes: Vec<Shape>,
    /// For the uplinks without a form of their own.
    common: Form,
    own: Vec<(String, Form)>,
    /// What gates came to remember of it.
    pub(super) remembered: Vec<Remembered>,
    /// What stages that derive are told of it. Stands behind all else, and only where there is some.
    #[serde(skip)]
    pub(super) inputs: Inputs,
}

/// To which uplinks an event is owed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uplinks {
    /// To those whose `from` and `lanes` take it.
    #[default]
    Accepting,
    /// To these.
    Named(Vec<String>),
    /// To none.
    None,
}

/// The form in which an uplink gets an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Form {
    /// Its place among the shapes; `None` is the event as it came.
    shape: Option<u32>,
    /// The topic at the sink; `None` leaves it to the uplink.
    topic: Option<String>,
}

/// How an event differs from what was ingested.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Shape {
    /// Attributes that have another value, or none.
    attributes: Vec<(String, Option<Value>)>,
    /// The data, where they differ; an event may come to have none.
    data: Option<Option<Payload>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Payload {
    Json(Vec<u8>),
    Text(String),
    Binary(Vec<u8>),
}

const SERIALISABLE: &str = "what is settled has no unserialisable part";

impl Settled {
    /// Of an event owed as rules say; `names` are the uplinks by their places. Without the original no form differs from it.
    pub(super) fn owed(owed: &Owed, names: &[String], original: Option<&Event>) -> Settled {
        let mut settled = Settled {
            uplinks: Uplinks::of(owed.sinks.as_deref(), names),
            ..Settled::default()
        };
        settled.common = settled.form(&owed.common, original);
        for (sink, form) in &owed.by_sink {
            if let Some(name) = names.get(*sink) {
                let form = settled.form(form, original);
                settled.own.push((name.clone(), form));
            }
        }
        settled
    }

    /// Of an event owed to no uplink.
    pub(super) fn dropped() -> Settled {
        Settled {
            uplinks: Uplinks::None,
            ..Settled::default()
        }
    }

    /// Of an event that becomes a dead letter of these uplinks.
    pub(super) fn dead(reason: String, sinks: Option<&[usize]>, names: &[String]) -> Settled {
        Settled {
            uplinks: Uplinks::of(sinks, names),
            unfit: Some(reason),
            ..Settled::default()
        }
    }

    /// For a record that has no room for its forms: a dead letter of the uplinks it is owed to. `false` if it has none.
    pub(super) fn leave_out_forms(&mut self) -> bool {
        if self.shapes.is_empty() {
            return false;
        }
        let settled = std::mem::take(self);
        let bytes: usize = settled.shapes.iter().map(Shape::bytes).sum();
        let reason = format!(
            "what rules and decoders made of it takes {bytes} bytes, more than a record holds beside the payload: make less of it"
        );
        *self = Settled {
            uplinks: settled.uplinks,
            unfit: Some(reason),
            remembered: settled.remembered,
            inputs: settled.inputs,
            ..Settled::default()
        };
        true
    }

    /// As a record keeps it: nothing where the event is what it is without rules.
    pub fn encode(&self) -> Vec<u8> {
        if *self == Settled::default() {
            return Vec::new();
        }
        let mut bytes = postcard::to_stdvec(self).expect(SERIALISABLE);
        if !self.inputs.is_empty() {
            bytes = postcard::to_extend(&self.inputs, bytes).expect(SERIALISABLE);
        }
        bytes
    }

    /// From a record. `None`: the bytes are not what [`Settled::encode`] gave.
    pub fn decode(bytes: &[u8]) -> Option<Settled> {
        if bytes.is_empty() {
            return Some(Settled::default());
        }
        let (mut settled, rest) = postcard::take_from_bytes::<Settled>(bytes).ok()?;
        if !rest.is_empty() {
            settled.inputs = postcard::from_bytes(rest).ok()?;
        }
        Some(settled)
    }

    /// To which uplinks it is owed.
    pub fn uplinks(&self) -> &Uplinks {
        &self.uplinks
    }

    /// Why no uplink can be given it.
    pub fn unfit(&self) -> Option<&str> {
        self.unfit.as_deref()
    }

    /// Brings an event as it was ingested into the form for this uplink; gives the topic at the sink, if rules name one.
    pub fn shape(&self, uplink: &str, event: &mut Event) -> Option<String> {
        let own = self.own.iter().find(|(name, _)| name == uplink);
        let form = own.map_or(&self.common, |(_, form)| form);
        let shape = form.shape.and_then(|it| self.shapes.get(it as usize));
        if let Some(shape) = shape {
            shape.apply(event);
        }
        form.topic.clone()
    }

    fn form(&mut self, form: &filters::rules::Form, original: Option<&Event>) -> Form {
        let shape = original
            .zip(form.event.as_deref())
            .map(|(original, it)| Shape::between(original, it))
            .filter(|it| *it != Shape::default());
        Form {
            shape: shape.map(|it| self.place_of(it)),
            topic: form.topic.clone(),
        }
    }

    /// Uplinks with the same form share it.
    fn place_of(&mut self, shape: Shape) -> u32 {
        let known = self.shapes.iter().position(|it| *it == shape);
        let place = known.unwrap_or_else(|| {
            self.shapes.push(shape);
            self.shapes.len() - 1
        });
        u32::try_from(place).expect("there are as many forms as uplinks, at most")
    }
}

impl Uplinks {
    fn of(sinks: Option<&[usize]>, names: &[String]) -> Uplinks {
        match sinks {
            None => Uplinks::Accepting,
            Some(sinks) => {
                let names = sinks.iter().filter_map(|it| names.get(*it));
                Uplinks::Named(names.cloned().collect())
            }
        }
    }
}

impl Shape {
    fn between(original: &Event, shaped: &Event) -> Shape {
        let names = CORE.into_iter().chain(
            original
                .extensions
                .keys()
                .chain(shaped.extensions.keys())
                .map(String::as_str),
        );
        let mut attributes: Vec<(String, Option<Value>)> = Vec::new();
        for name in names {
            let value = attribute(shaped, name);
            let known = attributes.iter().any(|(it, _)| it == name);
            if !known && value != attribute(original, name) {
                attributes.push((name.to_owned(), value));
            }
        }
        Shape {
            attributes,
            data: (original.data != shaped.data).then(|| shaped.data.as_ref().map(Payload::of)),
        }
    }

    /// Bytes of its data.
    fn bytes(&self) -> usize {
        match &self.data {
            Some(Some(Payload::Json(bytes) | Payload::Binary(bytes))) => bytes.len(),
            Some(Some(Payload::Text(text))) => text.len(),
            Some(None) | None => 0,
        }
    }

    fn apply(&self, event: &mut Event) {
        for (name, value) in &self.attributes {
            set_attribute(event, name, value.clone());
        }
        if let Some(data) = &self.data {
            event.data = data.clone().map(Payload::data);
        }
    }
}

/// The attributes that are no extensions and that a rule may set.
const CORE: [&str; 5] = ["type", "subject", "time", "datacontenttype", "dataschema"];

fn attribute(event: &Event, name: &str) -> Option<Value> {
    let text = match name {
        "type" => Some(&event.r#type),
        "subject" => event.subject.as_ref(),
        "time" => event.time.as_ref(),
        "datacontenttype" => event.datacontenttype.as_ref(),
        "dataschema" => event.dataschema.as_ref(),
        _ => return event.extensions.get(name).cloned(),
    };
    text.map(|it| Value::String(it.clone()))
}

fn set_attribute(event: &mut Event, name: &str, value: Option<Value>) {
    let text = || value.as_ref().map(|it| it.text().into_owned());
    match name {
        "type" => event.r#type = text().unwrap_or_default(),
        "subject" => event.subject = text(),
        "time" => event.time = text(),
        "datacontenttype" => event.datacontenttype = text(),
        "dataschema" => event.dataschema = text(),
        _ => match value {
            Some(value) => drop(event.extensions.insert(name.to_owned(), value)),
            None => drop(event.extensions.remove(name)),
        },
    }
}

impl Payload {
    fn of(data: &Data) -> Payload {
        match data {
            Data::Json(json) => Payload::Json(json.clone()),
            Data::Text(text) => Payload::Text(text.clone()),
            Data::Binary(bytes) => Payload::Binary(bytes.clone()),
        }
    }

    fn data(self) -> Data {
        match self {
            Payload::Json(json) => Data::Json(json),
            Payload::Text(text) => Data::Text(text),
            Payload::Binary(bytes) => Data::Binary(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn event(data: &str) -> Event {
        let builder = Event::builder("1", "/pump", "reading").subject("line 4");
        let builder = builder.extension("unit", "bar").extension("site", "north");
        builder
            .datacontenttype("application/json")
            .data(Data::Json(data.as_bytes().to_vec()))
            .build()
            .unwrap()
    }

    fn shaped(change: impl FnOnce(&mut Event)) -> filters::rules::Form {
        let mut event = event("{\"p\":7}");
        change(&mut event);
        filters::rules::Form {
            event: Some(Box::new(event)),
            topic: None,
        }
    }

    #[test]
    fn every_uplink_gets_its_form_of_what_was_stored() {
        let original = event("{\"p\":7}");
        let change = |event: &mut Event| {
            event.r#type = "pressure".to_owned();
            event.subject = None;
            event.extensions.remove("site");
            event
                .extensions
                .insert("unit".to_owned(), Value::Integer(3));
            event.data = Some(Data::Text("seven".to_owned()));
        };
        let mut own = shaped(|event| event.data = None);
        own.topic = Some("lines/4".to_owned());
        let owed = Owed {
            sinks: Some(vec![1]),
            common: shaped(change),
            by_sink: BTreeMap::from([(0, own)]),
        };
        let names = ["archive".to_owned(), "cloud".to_owned()];
        let stored = Settled::owed(&owed, &names, Some(&original)).encode();
        let settled = Settled::decode(&stored).unwrap();
        assert_eq!(settled.uplinks(), &Uplinks::Named(vec!["cloud".to_owned()]));

        let mut wanted = original.clone();
        change(&mut wanted);
        let mut cloud = original.clone();
        assert_eq!(settled.shape("cloud", &mut cloud), None);
        assert_eq!(cloud, wanted);
        let mut archive = original.clone();
        assert_eq!(
            settled.shape("archive", &mut archive).as_deref(),
            Some("lines/4")
        );
        assert_eq!(
            archive,
            Event {
                data: None,
                ..original
            }
        );
    }

    #[test]
    fn an_event_as_it_came_takes_no_byte_and_uplinks_of_one_form_share_it() {
        let original = event("{\"p\":7}");
        let names = ["a".to_owned(), "b".to_owned()];
        let untouched = Settled::owed(&Owed::default(), &names, Some(&original));
        assert_eq!(untouched.encode(), Vec::<u8>::new());
        assert_eq!(Settled::decode(&[]), Some(untouched));

        let large = format!("\"{}\"", "x".repeat(1000));
        let form = shaped(|event| event.data = Some(Data::Json(large.into_bytes())));
        let both = Owed {
            sinks: None,
            common: form.clone(),
            by_sink: BTreeMap::from([(0, form.clone()), (1, form)]),
        };
        let bytes = Settled::owed(&both, &names, Some(&original)).encode();
        assert!(bytes.len() < 1100, "{}", bytes.len());
    }
}
