//! Rule files: lists of `[[rule]]`, `[[table]]` and `[[decoder]]`, read and compiled as one set.

mod modules;
mod programs;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use filters::{
    decode::{DecoderDefinition, DecoderProblem, Decoders},
    index::Budget,
    rules::{Known, RuleDefinition, RuleError, RuleFile, RuleProblem, RuleSet, TableDefinition},
    stage::Moment,
    transform::{EnrichmentTable, Modules, Tables},
};

use serde::{Deserialize, Serialize};

use programs::Programs;

use super::{
    document::Document,
    error::{ConfigError, Fault, Place},
};

/// `[rules]`: what becomes of events on their way to the uplinks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RulesConfig {
    /// Files of rules, which apply one after the other. A relative path begins at the folder of the configuration file.
    /// Default: none.
    pub files: Vec<PathBuf>,
}

impl RulesConfig {
    pub(super) fn begin_at(&mut self, folder: &Path) {
        for file in &mut self.files {
            *file = folder.join(&*file);
        }
    }
}

/// The rules of some files, in their order.
#[derive(Debug, Default)]
pub struct Rules {
    /// As they were written.
    pub definitions: Vec<RuleDefinition>,
    /// What they may name.
    pub known: Known,
    /// Compiled.
    pub set: RuleSet,
    /// How payloads are read before rules look at them.
    pub decoders: Decoders,
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
        Rules::compile(&texts, known, now)
    }

    /// Compiles the texts of files, each with the name of its file.
    pub(crate) fn compile(
        texts: &[(String, String)],
        known: Option<Known>,
        now: Moment,
    ) -> Result<Rules, ConfigError> {
        let mut documents = Vec::with_capacity(texts.len());
        let mut definitions = Vec::new();
        let mut tables = Tables::new();
        let mut modules = Modules::new();
        let mut checked = Programs::default();
        let mut decoders = Reading::default();
        for (name, text) in texts {
            let document = Document::new(name, text);
            let mut file: RuleFile = document.read()?;
            let folder = Path::new(name).parent().unwrap_or(Path::new("."));
            load_tables(&file.table, folder, &document, &mut tables)?;
            modules::load(&mut file.rule, folder, &document, &mut modules)?;
            checked.check(&file.rule, &document)?;
            decoders.read(file.decoder, folder, &document)?;
            documents.push((definitions.len(), document));
            definitions.extend(file.rule);
        }
        let decoders = decoders.compile()?;
        let mut known = known.unwrap_or_else(|| Known::of(&definitions));
        known.tables = tables;
        known.modules = modules;
        match RuleSet::compile(&definitions, &known, Budget::default(), now) {
            Ok(set) => Ok(Rules {
                definitions,
                known,
                set,
                decoders,
            }),
            Err(error) => Err(at(&documents, &error, &known)),
        }
    }
}

/// The decoders of all files, on their way to be compiled.
#[derive(Default)]
struct Reading {
    definitions: Vec<DecoderDefinition>,
    /// Where each stands: itself and, where it names one, its file of descriptors.
    places: Vec<(Place, Place)>,
    /// The bytes of the files they name, by path.
    descriptors: BTreeMap<String, Vec<u8>>,
}

impl Reading {
    fn read(
        &mut self,
        definitions: Vec<DecoderDefinition>,
        folder: &Path,
        document: &Document<'_>,
    ) -> Result<(), ConfigError> {
        for (place, mut definition) in definitions.into_iter().enumerate() {
            let own = document.place(&format!("decoder.{place}"));
            let named = document.place(&format!("decoder.{place}.descriptors"));
            if let Some(file) = &mut definition.descriptors {
                let path = folder.join(&*file).display().to_string();
                let bytes = fs::read(&path).map_err(|error| ConfigError::At {
                    place: named.clone(),
                    fault: Fault::Wrong {
                        what: format!("cannot read {path}: {error}"),
                    },
                })?;
                self.descriptors.insert(path.clone(), bytes);
                *file = path;
            }
            self.definitions.push(definition);
            self.places.push((own, named));
        }
        Ok(())
    }

    fn compile(self) -> Result<Decoders, ConfigError> {
        Decoders::compile(&self.definitions, &self.descriptors).map_err(|error| {
            let places = self.places.into_iter().nth(error.decoder);
            let (own, named) = places.expect("an error names one of the decoders");
            let place = match error.problem {
                DecoderProblem::Descriptors(_) => named,
                _ => own,
            };
            let what = error.to_string();
            ConfigError::At {
                place,
                fault: Fault::Wrong { what },
            }
        })
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
fn at(documents: &[(usize, Document<'_>)], error: &RuleError, known: &Known) -> ConfigError {
    let holds = |(first, _): &&(usize, Document<'_>)| *first <= error.rule;
    let (first, document) = documents
        .iter()
        .rfind(holds)
        .expect("a rule stands in one of the files");
    let rule = format!("rule.{}", error.rule - first);
    let (place, fault) = match &error.problem {
        RuleProblem::UnknownLane { name, .. } => (
            format!("{rule}.lane"),
            Fault::UnknownLane {
                lane: name.clone(),
                lanes: known.lanes.clone(),
            },
        ),
        RuleProblem::UnknownSink { name, .. } => (
            place_of_sink(document, &rule, name),
            Fault::UnknownUplink {
                uplink: name.clone(),
                uplinks: known.sinks.clone(),
            },
        ),
        _ => {
            let step = error.step.map(|step| format!("{rule}.step.{step}"));
            let what = error.to_string();
            (step.unwrap_or(rule), Fault::Wrong { what })
        }
    };
    ConfigError::At {
        place: document.place(&place),
        fault,
    }
}

/// Where a rule names this uplink.
fn place_of_sink(document: &Document<'_>, rule: &str, name: &str) -> String {
    let lists = ["sinks", "for"].map(|it| format!("{rule}.{it}"));
    let names = lists.iter().flat_map(|list| {
        let places = (0..).map(move |nth| format!("{list}.{nth}"));
        places.take_while(|place| document.has(place))
    });
    let mut named = names.filter(|place| document.text(place) == Some(name));
    named.next().unwrap_or_else(|| rule.to_owned())
}
