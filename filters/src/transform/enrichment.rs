use std::{collections::BTreeMap, sync::Arc};

use serde::de::Error;
use serde_json::{Value, value::RawValue};

use super::{
    EnrichFile, JsonPath, StepProblem, Tables, TransformError, WhenMissing,
    document::Document,
    fields::{Field, field},
    path::Step,
    source::document,
    with_document,
};
use crate::{Event, cesql::nearest::nearest};

/// What is known of things by their key: rows that are objects, or single values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrichmentTable(BTreeMap<String, Row>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Row {
    /// Members with their JSON text.
    Object(Vec<(String, String)>),
    Value(String),
}

impl EnrichmentTable {
    /// Reads a JSON object: key by key one row. Numbers keep their digits.
    pub fn parse(json: &str) -> Result<EnrichmentTable, serde_json::Error> {
        let rows: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json)?;
        let rows = rows
            .into_iter()
            .map(|(key, row)| Ok((key, Row::parse(row.get())?)));
        rows.collect::<Result<_, _>>().map(EnrichmentTable)
    }
}

impl<'de> serde::Deserialize<'de> for EnrichmentTable {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<EnrichmentTable, D::Error> {
        let rows: BTreeMap<String, Value> = BTreeMap::deserialize(from)?;
        let row = |row: Value| Row::parse(&row.to_string()).map_err(D::Error::custom);
        let rows = rows.into_iter().map(|(key, value)| Ok((key, row(value)?)));
        rows.collect::<Result<_, _>>().map(EnrichmentTable)
    }
}

impl Row {
    fn parse(json: &str) -> Result<Row, serde_json::Error> {
        if !json.starts_with('{') {
            return Ok(Row::Value(json.to_owned()));
        }
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json)?;
        let members = members.into_iter();
        Ok(Row::Object(
            members
                .map(|(name, value)| (name, value.get().to_owned()))
                .collect(),
        ))
    }
}

/// A look into a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Enrichment {
    table: Arc<EnrichmentTable>,
    key: JsonPath,
    into: Field,
    missing: Missing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Missing {
    Error,
    Pass,
    Default(Row),
}

impl Enrichment {
    pub(super) fn new(file: EnrichFile, tables: &Tables) -> Result<Enrichment, StepProblem> {
        let Some(table) = tables.get(&file.table) else {
            let names: Vec<&str> = tables.keys().map(String::as_str).collect();
            return Err(StepProblem::Table {
                nearest: nearest(&file.table, &names).map(str::to_owned),
                name: file.table,
            });
        };
        let missing = match (file.missing, file.default) {
            (None | Some(WhenMissing::Error), None) => Missing::Error,
            (Some(WhenMissing::Pass), None) => Missing::Pass,
            (Some(_), Some(_)) => return Err(StepProblem::MissingAndDefault),
            (None, Some(row)) => {
                Missing::Default(Row::parse(&row.to_string()).expect("a value writes JSON"))
            }
        };
        Ok(Enrichment {
            table: Arc::clone(table),
            key: file.key,
            into: file.into.as_ref().map_or(Ok(Field::default()), field)?,
            missing,
        })
    }

    pub(super) fn apply(&self, event: &Event) -> Result<Event, TransformError> {
        let key = self.key.read_text(event)?.filter(|key| key != "null");
        let row = key.as_ref().and_then(|key| self.table.0.get(key));
        match (row, &self.missing, key) {
            (Some(row), ..) | (None, Missing::Default(row), _) => self.put(row, event),
            (None, Missing::Pass, _) => Ok(event.clone()),
            (None, Missing::Error, Some(key)) => Err(TransformError::NoRow(key)),
            (None, Missing::Error, None) => Err(TransformError::Missing(self.key.to_string())),
        }
    }

    fn put(&self, row: &Row, event: &Event) -> Result<Event, TransformError> {
        let mut data = document(event)?;
        match row {
            Row::Value(value) => data.insert(&self.into, Document::owned(value.clone()))?,
            Row::Object(members) => {
                for (name, value) in members {
                    let member = Step::Key(name.as_str().into());
                    let place = [&*self.into, &[member]].concat();
                    data.insert(&place, Document::owned(value.clone()))?;
                }
            }
        }
        with_document(event, &data)
    }
}
