use std::cell::OnceCell;

use serde_json::Value as Json;

use crate::{
    Data, DataView, Event, Value,
    decode::as_json,
    stage::Verdict,
    transform::{TopicTemplate, Transform, TransformError},
};

use super::{Form, Owed, field::Payload};

/// An event on its way through the rules.
pub(super) struct Working<'a, E> {
    make: Option<E>,
    /// Its payload, as it came, as a decoder shows it.
    decoded: Option<&'a [u8]>,
    original: OnceCell<Event>,
    json: OnceCell<Option<Json>>,
    pub(super) owed: Owed,
}

impl Owed {
    pub(super) fn add_sinks(&mut self, sinks: &[usize]) {
        let all = self.sinks.get_or_insert_default();
        all.extend(sinks);
        all.sort_unstable();
        all.dedup();
    }

    /// The forms for these sinks, or all that there are.
    fn forms(&mut self, sinks: Option<&[usize]>) -> Vec<&mut Form> {
        match sinks {
            None => [&mut self.common]
                .into_iter()
                .chain(self.by_sink.values_mut())
                .collect(),
            Some(sinks) => {
                for sink in sinks {
                    let common = &self.common;
                    self.by_sink.entry(*sink).or_insert_with(|| common.clone());
                }
                let forms = self.by_sink.iter_mut();
                let forms = forms.filter(|(sink, _)| sinks.contains(sink));
                forms.map(|(_, form)| form).collect()
            }
        }
    }

    /// Changes the event in every form.
    fn change(&mut self, original: &Event, change: impl Fn(&mut Event)) {
        for form in self.forms(None) {
            change(form.event.get_or_insert_with(|| Box::new(original.clone())));
        }
    }
}

impl<'a, E: FnOnce() -> Event> Working<'a, E> {
    pub(super) fn new(make: E, data: DataView<'a>) -> Working<'a, E> {
        let decoded = match data {
            DataView::Json(json) => Some(json),
            DataView::Decoded(decoded) => Some(decoded.json()),
            _ => None,
        };
        let mut working = Working {
            make: Some(make),
            decoded,
            original: OnceCell::new(),
            json: OnceCell::new(),
            owed: Owed::default(),
        };
        if let DataView::Decoded(decoded) = data
            && decoded.is_emitted()
        {
            let event = as_json(working.payload().event, decoded.json());
            working.owed.common.event = Some(Box::new(event));
        }
        working
    }

    /// The event as the steps so far left it for all sinks.
    pub(super) fn payload(&mut self) -> Payload<'_> {
        if let Some(make) = self.make.take() {
            let _ = self.original.set(make()); // Empty until the one maker is taken.
        }
        let original = self.original.get().expect("it was just made");
        let event = self.owed.common.event.as_deref().unwrap_or(original);
        Payload {
            event,
            decoded: self.decoded.filter(|_| has_payload_of(event, original)),
            json: &self.json,
        }
    }

    /// Sets the attributes that a gate touches; whether the event goes on.
    pub(super) fn take_verdict(&mut self, verdict: Verdict) -> bool {
        let Verdict::Pass {
            sampledrate,
            threshold,
        } = verdict
        else {
            return false;
        };
        let Some(original) = self.original.get() else {
            return true;
        };
        if let Some(rate) = sampledrate {
            let set = |event: &mut Event| set(event, "sampledrate", Value::Integer(rate));
            self.owed.change(original, set);
        }
        if let Some(state) = threshold {
            let set = |event: &mut Event| set(event, "threshold", Value::from(state.as_str()));
            self.owed.change(original, set);
        }
        true
    }

    /// Shapes the forms for these sinks, or for all.
    pub(super) fn transform(
        &mut self,
        transform: &Transform,
        sinks: Option<&[usize]>,
    ) -> Result<(), TransformError> {
        self.payload();
        let original = self.original.get().expect("it was just made");
        for form in self.owed.forms(sinks) {
            let event = form.event.as_deref().unwrap_or(original);
            let shaped = match self.decoded.filter(|_| is_shown(event, original)) {
                Some(json) => apply_to_decoded(transform, event, json)?,
                None => transform.apply(event)?,
            };
            form.event = Some(Box::new(shaped));
        }
        self.json = OnceCell::new();
        Ok(())
    }

    pub(super) fn set_topic(
        &mut self,
        topic: &TopicTemplate,
        sinks: Option<&[usize]>,
    ) -> Result<(), TransformError> {
        self.payload();
        let original = self.original.get().expect("it was just made");
        for form in self.owed.forms(sinks) {
            let event = form.event.as_deref().unwrap_or(original);
            let resolved = match self.decoded.filter(|_| is_shown(event, original)) {
                Some(json) => topic.resolve(&as_json(event, json))?,
                None => topic.resolve(event)?,
            };
            form.topic = Some(resolved);
        }
        Ok(())
    }

    pub(super) fn restore(&mut self, owed: Owed) {
        self.owed = owed;
        self.json = OnceCell::new();
    }
}

/// Whether the data are the payload as it came.
fn has_payload_of(event: &Event, original: &Event) -> bool {
    std::ptr::eq(event, original) || event.data == original.data
}

/// Whether steps are shown what a decoder makes of the data.
fn is_shown(event: &Event, original: &Event) -> bool {
    !matches!(event.data, Some(Data::Json(_))) && has_payload_of(event, original)
}

/// The step sees what the decoder shows. The payload stays as it came where the step leaves that as it is.
fn apply_to_decoded(
    transform: &Transform,
    event: &Event,
    json: &[u8],
) -> Result<Event, TransformError> {
    let decoded = as_json(event, json);
    let mut shaped = transform.apply(&decoded)?;
    if shaped.data == decoded.data {
        shaped.data.clone_from(&event.data);
        if shaped.datacontenttype == decoded.datacontenttype {
            shaped.datacontenttype.clone_from(&event.datacontenttype);
        }
    }
    Ok(shaped)
}

fn set(event: &mut Event, name: &str, value: Value) {
    event.extensions.insert(name.to_owned(), value);
}

/// In binary mode it comes as text.
pub(super) fn sampledrate(event: &Event) -> Option<i32> {
    match event.extensions.get("sampledrate")? {
        Value::Integer(rate) => Some(*rate),
        other => other.text().parse().ok(),
    }
}
