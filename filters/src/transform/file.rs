use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Decimal, JsonPath, Variables};

/// A step as files write it: one key says what it does, its value how. `scale = { field = "$.data.t", factor = 0.1 }`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransformFile {
    /// Leaves the event as it is.
    Original(NoSettings),
    /// Replaces the data by a text that is always the same.
    Constant(ConstantFile),
    /// Replaces the data by a text with variables.
    Template(TemplateFile),
    /// Keeps or drops fields.
    Project(ProjectFile),
    /// Moves a field.
    Rename(RenameFile),
    /// Multiplies a number and adds to it.
    Scale(ScaleFile),
    /// Converts a number into another unit of measure.
    Convert(ConvertFile),
    /// Adds what a table knows of the event.
    Enrich(EnrichFile),
    /// Sets attributes.
    Set(SetFile),
}

/// A step without settings: `original = {}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// `constant = { content = "…" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConstantFile {
    /// The data.
    pub content: String,
    /// The data's media type. Without it the data is JSON if it begins with `{` or `[`, else `text/plain`.
    pub content_type: Option<String>,
}

/// `template = { content = '{"t": ${t}}', variables = { t = "$.data.temperature" } }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TemplateFile {
    /// The data, with `${name}` or `${$.a.path}` where values belong. What is missing renders `null`; an unknown `${x}`
    /// stays. In a JSON template a value in quotes is escaped, one outside is rendered as JSON.
    pub content: String,
    /// Names and the paths to their values; what does not begin with `$` is the value itself.
    #[serde(default)]
    pub variables: Variables,
    /// As in [`ConstantFile::content_type`].
    pub content_type: Option<String>,
}

/// `project = { keep = ["$.data.t"] }` or `project = { drop = ["$.data.debug"] }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProjectFile {
    /// The fields that stay, in this order; those that an event has not are not made. Excludes `drop`.
    #[serde(default)]
    pub keep: Vec<JsonPath>,
    /// The fields that go. Excludes `keep`.
    #[serde(default)]
    pub drop: Vec<JsonPath>,
}

/// What a step does where the event has not what it works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenMissing {
    /// It fails.
    #[default]
    Error,
    /// It leaves the event as it is.
    Pass,
}

/// `rename = { from = "$.data.temp", to = "$.data.temperature" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RenameFile {
    /// The field that goes.
    pub from: JsonPath,
    /// The field that comes, in the place of one that is there; objects on the way are made.
    pub to: JsonPath,
    /// Where the event has no `from`: `error` (default) or `pass`.
    #[serde(default)]
    pub missing: WhenMissing,
}

/// `scale = { field = "$.data.t", factor = 0.1, offset = -40 }`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScaleFile {
    /// A number.
    pub field: JsonPath,
    /// What it is multiplied with, a number or a text with its digits. Default 1.
    #[serde(default)]
    pub(super) factor: Option<Decimal>,
    /// What is added then. Default 0.
    #[serde(default)]
    pub(super) offset: Option<Decimal>,
    /// Where the field is absent or null: `error` (default) or `pass`.
    #[serde(default)]
    pub missing: WhenMissing,
}

/// `convert = { field = "$.data.t", from = "[degF]", to = "Cel" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConvertFile {
    /// A number.
    pub field: JsonPath,
    /// The unit that it has, by its UCUM code.
    pub from: String,
    /// The unit that it gets; of the same kind.
    pub to: String,
    /// Where the field is absent or null: `error` (default) or `pass`.
    #[serde(default)]
    pub missing: WhenMissing,
}

/// `enrich = { table = "devices", key = "$.data.device" }`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EnrichFile {
    /// The name of the table.
    pub table: String,
    /// The value that names the row.
    pub key: JsonPath,
    /// Where the row goes: the members of one that is an object are put into this object, any other becomes this field.
    /// Default `$.data`.
    pub into: Option<JsonPath>,
    /// Where the event has no key or the table no row: `error` (default) or `pass`. Excludes `default`.
    pub missing: Option<WhenMissing>,
    /// The row that serves then. Excludes `missing`.
    pub default: Option<serde_json::Value>,
}

/// `set = { attributes = { subject = "${line}/pump" }, variables = { line = "$.data.line" } }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SetFile {
    /// Names and values: a boolean, an integer of 32 bits, or a text with variables as in templates, all of which must have
    /// a value. Not `id`, `source`, `specversion`.
    pub attributes: BTreeMap<String, AttributeFile>,
    /// As in [`TemplateFile::variables`].
    #[serde(default)]
    pub variables: Variables,
}

/// `wasm = { file = "mask.wasm" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WasmFile {
    /// The module, in the binary format. A relative path begins at the folder of the file of rules.
    pub file: String,
    /// The function that makes an event of another. Default `transform`.
    #[serde(default = "WasmFile::default_export")]
    pub export: String,
    /// What it may compute for one event: about as many instructions, 1 to 100,000,000. Default 1,000,000.
    #[serde(default = "WasmFile::default_fuel")]
    pub fuel: u64,
    /// What its memory may grow to while it has an event, 65,536 to 67,108,864 bytes. Default 16,777,216.
    #[serde(default = "WasmFile::default_memory_bytes")]
    pub memory_bytes: u32,
}

impl WasmFile {
    fn default_export() -> String {
        "transform".to_owned()
    }

    fn default_fuel() -> u64 {
        1_000_000
    }

    fn default_memory_bytes() -> u32 {
        16 << 20
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a text, a boolean or an integer of 32 bits")]
pub enum AttributeFile {
    /// Of extensions only.
    Boolean(bool),
    /// Of extensions only.
    Integer(i32),
    /// A text with variables.
    Text(String),
}
