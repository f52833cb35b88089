//! Transforms: what a rule makes of an event. Each is a pure function from an event to another, or to an error that leaves
//! the event as it was.
//!
//! ```
//! use filters::{Event, transform::{Transform, TransformFile}};
//!
//! let file: TransformFile = serde_json::from_str(r#"{"convert": {"field": "$.data.t", "from": "[degF]", "to": "Cel"}}"#)?;
//! let transform = Transform::new(file, &Default::default())?;
//! let event = Event::builder("1", "/oven", "reading").payload(br#"{"t": 212, "n": 1.50}"#.to_vec()).build()?;
//! assert_eq!(transform.apply(&event)?.data_bytes(), br#"{"t":100,"n":1.50}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | step | does |
//! |---|---|
//! | `original` | nothing: the event stays as it came |
//! | `constant`, `template` | replace the data |
//! | `project` | keeps, or drops, fields of the data |
//! | `rename` | moves a field |
//! | `scale` | `x × factor + offset` |
//! | `convert` | one unit of measure into another |
//! | `enrich` | adds what a table knows |
//! | `set` | sets attributes |
//! | `wasm` | runs a module of WebAssembly; with the feature `wasm` |
//!
//! Beside them [`TopicTemplate`] makes the topic for a sink.
//!
//! Data is read and changed as JSON text: what a step does not touch keeps every digit. A number that a step changes is
//! computed exactly, as a decimal, and written without zeros at its end; only a quotient that does not end is rounded, to
//! 16 digits. A step that would not change a number (`factor = 1`, a conversion into the same unit) leaves its text, `30.10`
//! too.

mod attributes;
mod decimal;
mod document;
mod enrichment;
mod error;
mod fields;
mod file;
mod module;
mod numbers;
mod path;
mod source;
mod template;
mod topic;

use std::collections::BTreeMap;

use crate::{Data, Event};

use attributes::SetAttributes;
pub(crate) use decimal::Decimal;
pub use decimal::TooManyDigits;
use document::Document;
pub(crate) use document::element;
use enrichment::Enrichment;
pub use enrichment::EnrichmentTable;
pub use error::{StepProblem, TransformError};
use fields::{Projection, Rename};
pub use file::{
    AttributeFile, ConstantFile, ConvertFile, EnrichFile, NoSettings, ProjectFile, RenameFile,
    ScaleFile, SetFile, TemplateFile, TransformFile, WasmFile, WhenMissing,
};
use module::ModuleStep;
pub use module::{MAX_MODULE_BYTES, Module, ModuleError, ModuleFailure, Modules};
use numbers::NumberStep;
pub use path::{JsonPath, PathError, PathProblem};
pub(crate) use path::{Root, Step};
pub use template::{MAX_TEMPLATE_BYTES, Variables};
use template::{NewData, Template};
pub use topic::TopicTemplate;

/// Bytes of data that a step makes.
pub const MAX_RESULT_BYTES: usize = 4 << 20;

/// The tables that steps may look into, by name.
pub type Tables = BTreeMap<String, std::sync::Arc<EnrichmentTable>>;

/// A step, ready to be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Original,
    NewData(NewData),
    Projection(Projection),
    Rename(Rename),
    Number(NumberStep),
    Enrichment(Enrichment),
    Attributes(SetAttributes),
    Module(ModuleStep),
}

impl Transform {
    /// Checks what was written in a file.
    ///
    /// # Errors
    ///
    /// It can never work: a path, unit, attribute, variable or table is wrong.
    pub fn new(file: TransformFile, tables: &Tables) -> Result<Transform, StepProblem> {
        Ok(Transform(match file {
            TransformFile::Original(NoSettings {}) => Kind::Original,
            TransformFile::Constant(file) => {
                let template = Template::literal(&file.content)?;
                let media_type = file.content_type.as_deref();
                Kind::NewData(NewData::parse(template, &file.content, media_type)?)
            }
            TransformFile::Template(file) => {
                let template = Template::parse(&file.content, &file.variables)?;
                let media_type = file.content_type.as_deref();
                Kind::NewData(NewData::parse(template, &file.content, media_type)?)
            }
            TransformFile::Project(file) => Kind::Projection(Projection::new(&file)?),
            TransformFile::Rename(file) => Kind::Rename(Rename::new(file)?),
            TransformFile::Scale(file) => Kind::Number(NumberStep::scale(file)?),
            TransformFile::Convert(file) => Kind::Number(NumberStep::convert(file)?),
            TransformFile::Enrich(file) => Kind::Enrichment(Enrichment::new(file, tables)?),
            TransformFile::Set(file) => Kind::Attributes(SetAttributes::new(file)?),
        }))
    }

    /// A step that runs one of these modules.
    ///
    /// # Errors
    ///
    /// It can never work: the module is not among them, has no such export, or a bound is out of its range.
    pub fn module(file: &WasmFile, modules: &Modules) -> Result<Transform, StepProblem> {
        let step = ModuleStep::new(file, modules)?;
        Ok(Transform(Kind::Module(step)))
    }

    /// The event that it makes of this one. Takes time and memory in proportion to the step and the event.
    pub fn apply(&self, event: &Event) -> Result<Event, TransformError> {
        match &self.0 {
            Kind::Original => Ok(event.clone()),
            Kind::NewData(data) => data.apply(event),
            Kind::Projection(projection) => projection.apply(event),
            Kind::Rename(rename) => rename.apply(event),
            Kind::Number(number) => number.apply(event),
            Kind::Enrichment(enrichment) => enrichment.apply(event),
            Kind::Attributes(attributes) => attributes.apply(event),
            Kind::Module(module) => module.apply(event),
        }
    }
}

/// Applies steps one after the other, each to what the one before made. Beside an error stands the place of the step, from
/// 0.
pub fn apply_all(steps: &[Transform], event: &Event) -> Result<Event, (usize, TransformError)> {
    let mut event = std::borrow::Cow::Borrowed(event);
    for (place, step) in steps.iter().enumerate() {
        let changed = step.apply(&event).map_err(|error| (place, error))?;
        event = std::borrow::Cow::Owned(changed);
    }
    Ok(event.into_owned())
}

/// The event with this data, which is JSON under whatever name the event has for it.
fn with_document(event: &Event, document: &Document<'_>) -> Result<Event, TransformError> {
    let json = document.to_json();
    if json.len() > MAX_RESULT_BYTES {
        return Err(TransformError::TooLong);
    }
    Ok(Event {
        id: event.id.clone(),
        source: event.source.clone(),
        r#type: event.r#type.clone(),
        subject: event.subject.clone(),
        time: event.time.clone(),
        datacontenttype: event.datacontenttype.clone(),
        dataschema: event.dataschema.clone(),
        extensions: event.extensions.clone(),
        data: Some(Data::Json(json.into_bytes())),
    })
}

#[cfg(test)]
mod tests;
