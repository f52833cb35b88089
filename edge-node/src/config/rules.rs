//! Rule files: `[[rule]]` lists, read and compiled as one set.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use filters::{
    index::Budget,
    rules::{Known, RuleDefinition, RuleError, RuleFile, RuleSet, TableDefinition},
    stage::Moment,
    transform::{EnrichmentTable, Tables},
};

use super::{
    document::Document,
    error::{ConfigError, Fault},
};

/// The rules of some files, in their order.
#[derive(Debug)]
pub struct Rules {
    /// As they were written.
    pub definitions: Vec<RuleDefinition>,
    /// What they may name.
    pub known: Known,
    /// Compiled.
    pub set: RuleSet,
}

impl Rules {
    /// Reads the files. Without `known`, whatever the rules name is taken to be there.
    ///
    /// # Errors
    ///
    /// The first fault found, with its place.
    pub fn load(
        files: &[PathBuf],
        known: Option<Known>,
        now: Moment,
    ) -> Result<Rules, ConfigError> {
        let mut texts = Vec::with_capacity(files.len());
        for path in files {
            let name = path.display().to_string();
            match fs::read_to_string(path) {
                Ok(text) => texts.push((name, text)),
                Err(source) => return Err(ConfigError::Unreadable { path: name, source }),
            }
        }
        let mut documents = Vec::with_capacity(texts.len());
        let mut definitions = Vec::new();
        let mut tables = Tables::new();
        for (name, text) in &texts {
            let document = Document::parse(name, text)?;
            let file: RuleFile = document.read()?;
            let folder = Path::new(name).parent().unwrap_or(Path::new("."));
            load_tables(&file.table, folder, &document, &mut tables)?;
            documents.push((definitions.len(), document));
            definitions.extend(file.rule);
        }
        let mut known = known.unwrap_or_else(|| Known::of(&definitions));
        known.tables = tables;
        match RuleSet::compile(&definitions, &known, Budget::default(), now) {
            Ok(set) => Ok(Rules {
                definitions,
                known,
                set,
            }),
            Err(error) => Err(at(&documents, &error)),
        }
    }
}

fn load_tables(
    definitions: &[TableDefinition],
    folder: &Path,
    document: &Document<'_>,
    tables: &mut Tables,
) -> Result<(), ConfigError> {
    for (place, TableDefinition { name, file }) in definitions.iter().enumerate() {
        let fault = |key: &str, what: String| ConfigError::At {
            place: document.place(&format!("table.{place}.{key}")),
            fault: Fault::Wrong { what },
        };
        let path = folder.join(file);
        let text = fs::read_to_string(&path)
            .map_err(|error| fault("file", format!("cannot read {}: {error}", path.display())))?;
        let table = EnrichmentTable::parse(&text)
            .map_err(|error| fault("file", format!("{} is no table: {error}", path.display())))?;
        if tables.insert(name.clone(), Arc::new(table)).is_some() {
            return Err(fault(
                "name",
                format!("there are two tables named `{name}`"),
            ));
        }
    }
    Ok(())
}

/// The place of a faulty rule in its file.
fn at(documents: &[(usize, Document<'_>)], error: &RuleError) -> ConfigError {
    let holds = |(first, _): &&(usize, Document<'_>)| *first <= error.rule;
    let (first, document) = documents
        .iter()
        .rfind(holds)
        .expect("a rule stands in one of the files");
    let rule = format!("rule.{}", error.rule - first);
    let step = error.step.map(|step| format!("{rule}.step.{step}"));
    ConfigError::At {
        place: document.place(&step.unwrap_or(rule)),
        fault: Fault::Wrong {
            what: error.to_string(),
        },
    }
}
