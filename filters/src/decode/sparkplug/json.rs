//! A payload of Sparkplug B as JSON, by the births that stand.

use base64::{Engine, engine::general_purpose::STANDARD};
use prost::Message;
use serde_json::{Map, Value as Json};

use crate::{decode::float_json, transform::MAX_RESULT_BYTES};

use super::{
    SparkplugError, Topic,
    births::Metrics,
    payload::{
        DataSet, Element, ElementValue, Metric, MetricValue, Payload, PropertySet, PropertyValueOf,
        Template,
    },
};

/// How deep templates may stand in each other.
const MAX_DEPTH: usize = 16;

/// What a payload is shown as, and what was found out on the way.
pub(super) struct Shown {
    pub(super) json: Json,
    /// Metrics with an alias that no birth gave a name.
    pub(super) unknown_aliases: u64,
}

/// A value as it stands in any of the messages.
enum Value<'a> {
    Int(u32),
    Long(u64),
    Float(f32),
    Double(f64),
    Boolean(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
}

struct Writer<'a> {
    births: Option<&'a Metrics>,
    unknown_aliases: u64,
    /// Bytes that may still be made: aliases and columns stand for names that take many times their bytes.
    left: usize,
}

/// Of what is made, beside texts: by estimate, of a value and of a metric.
const VALUE_BYTES: usize = 8;
const METRIC_BYTES: usize = 32;

pub(super) fn show(
    topic: &Topic<'_>,
    payload: &Payload,
    births: Option<&Metrics>,
) -> Result<Shown, SparkplugError> {
    let mut json = Map::new();
    json.insert("group".into(), topic.group.into());
    json.insert("message".into(), topic.message.as_str().into());
    json.insert("node".into(), topic.node.into());
    put(&mut json, "device", topic.device);
    put(&mut json, "timestamp", payload.timestamp);
    put(&mut json, "seq", payload.seq);
    put(&mut json, "uuid", payload.uuid.as_deref());
    let body = payload.body.as_ref().map(|it| STANDARD.encode(it));
    put(&mut json, "body", body);
    let mut writer = Writer {
        births,
        unknown_aliases: 0,
        left: MAX_RESULT_BYTES,
    };
    writer.put_metrics(&mut json, &payload.metrics, 0)?;
    Ok(Shown {
        json: Json::Object(json),
        unknown_aliases: writer.unknown_aliases,
    })
}

impl Writer<'_> {
    /// So much is to be made.
    fn take(&mut self, bytes: usize) -> Result<(), SparkplugError> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(SparkplugError::TooMuch)?;
        Ok(())
    }

    /// A name of what is made.
    fn name(&mut self, name: &str) -> Result<String, SparkplugError> {
        self.take(name.len())?;
        Ok(name.to_owned())
    }

    /// `values`: the last value of each name; `metrics`: all of them, in their order.
    fn put_metrics(
        &mut self,
        json: &mut Map<String, Json>,
        metrics: &[Vec<u8>],
        depth: usize,
    ) -> Result<(), SparkplugError> {
        let mut values = Map::new();
        let mut list = Vec::with_capacity(metrics.len());
        for metric in metrics {
            let metric = Metric::decode(metric.as_slice())?;
            let (name, value, shown) = self.metric(&metric, depth)?;
            if let Some(name) = name.filter(|_| metric.is_historical != Some(true)) {
                values.insert(name, value);
            }
            list.push(shown);
        }
        json.insert("values".into(), values.into());
        json.insert("metrics".into(), list.into());
        Ok(())
    }

    /// Its name, its value, and all that is known of it.
    fn metric(
        &mut self,
        metric: &Metric,
        depth: usize,
    ) -> Result<(Option<String>, Json, Json), SparkplugError> {
        let births = self.births;
        let by_alias = |alias| births.and_then(|it| it.name_of(alias));
        let name = metric.name.as_deref().filter(|it| !it.is_empty());
        let name = name.or_else(|| metric.alias.and_then(by_alias));
        if name.is_none() && metric.alias.is_some() {
            self.unknown_aliases += 1;
        }
        let of_birth = name.and_then(|it| births?.type_of(it));
        let datatype = metric.datatype.filter(|it| *it != 0).or(of_birth);
        // Name and value stand in `values` and in `metrics`.
        self.take(METRIC_BYTES + 2 * name.map_or(0, str::len))?;
        let name = name.map(str::to_owned);
        let left = self.left;
        let value = match &metric.value {
            _ if metric.is_null == Some(true) => Json::Null,
            None => Json::Null,
            Some(value) => self.value(value, datatype, depth)?,
        };
        self.take(left - self.left)?;
        let mut shown = Map::new();
        put(&mut shown, "name", name.as_deref());
        put(&mut shown, "alias", metric.alias);
        put(&mut shown, "timestamp", metric.timestamp);
        put(&mut shown, "type", datatype.and_then(type_name));
        put(&mut shown, "historical", metric.is_historical);
        put(&mut shown, "transient", metric.is_transient);
        let properties = metric.properties.as_ref().map(|it| self.properties(it));
        put(&mut shown, "properties", properties.transpose()?);
        shown.insert("value".into(), value.clone());
        Ok((name, value, Json::Object(shown)))
    }

    fn value(
        &mut self,
        value: &MetricValue,
        datatype: Option<u32>,
        depth: usize,
    ) -> Result<Json, SparkplugError> {
        let value = match value {
            MetricValue::Int(it) => Value::Int(*it),
            MetricValue::Long(it) => Value::Long(*it),
            MetricValue::Float(it) => Value::Float(*it),
            MetricValue::Double(it) => Value::Double(*it),
            MetricValue::Boolean(it) => Value::Boolean(*it),
            MetricValue::Text(it) => Value::Text(it),
            MetricValue::Bytes(it) => Value::Bytes(it),
            MetricValue::DataSet(it) => return self.data_set(it),
            MetricValue::Template(it) => return self.template(it, depth),
        };
        self.scalar(&value, datatype)
    }

    fn scalar(&mut self, value: &Value<'_>, datatype: Option<u32>) -> Result<Json, SparkplugError> {
        let text = match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        self.take(VALUE_BYTES + text)?;
        Ok(scalar(value, datatype))
    }

    fn template(&mut self, template: &Template, depth: usize) -> Result<Json, SparkplugError> {
        if depth >= MAX_DEPTH {
            return Err(SparkplugError::TooDeep);
        }
        let mut json = Map::new();
        put(&mut json, "template", template.template_ref.as_deref());
        put(&mut json, "version", template.version.as_deref());
        put(&mut json, "definition", template.is_definition);
        let mut parameters = Map::new();
        for it in &template.parameters {
            let Some(name) = &it.name else { continue };
            let value = it.value.as_ref();
            let value = value.map(|value| self.property(value, it.datatype));
            parameters.insert(self.name(name)?, value.transpose()?.unwrap_or_default());
        }
        json.insert("parameters".into(), parameters.into());
        self.put_metrics(&mut json, &template.metrics, depth + 1)?;
        Ok(Json::Object(json))
    }

    /// A list of objects, one for each row.
    fn data_set(&mut self, set: &DataSet) -> Result<Json, SparkplugError> {
        let rows = set.rows.iter().map(|it| self.row(set, &it.elements));
        rows.collect()
    }

    fn row(&mut self, set: &DataSet, elements: &[Element]) -> Result<Json, SparkplugError> {
        let mut cells = Map::new();
        for (at, (name, element)) in set.columns.iter().zip(elements).enumerate() {
            let datatype = set.types.get(at).copied();
            let value = element.value.as_ref().map(|it| match it {
                ElementValue::Int(it) => Value::Int(*it),
                ElementValue::Long(it) => Value::Long(*it),
                ElementValue::Float(it) => Value::Float(*it),
                ElementValue::Double(it) => Value::Double(*it),
                ElementValue::Boolean(it) => Value::Boolean(*it),
                ElementValue::Text(it) => Value::Text(it),
            });
            let value = value.map(|it| self.scalar(&it, datatype)).transpose()?;
            cells.insert(self.name(name)?, value.unwrap_or_default());
        }
        Ok(cells.into())
    }

    /// As deep as protobuf lets messages stand in each other.
    fn properties(&mut self, set: &PropertySet) -> Result<Json, SparkplugError> {
        let mut properties = Map::new();
        for (key, of_key) in set.keys.iter().zip(&set.values) {
            let value = of_key.value.as_ref();
            let value = value.filter(|_| of_key.is_null != Some(true));
            let value = value.map(|it| self.property(it, of_key.datatype));
            properties.insert(self.name(key)?, value.transpose()?.unwrap_or_default());
        }
        Ok(properties.into())
    }

    fn property(
        &mut self,
        value: &PropertyValueOf,
        datatype: Option<u32>,
    ) -> Result<Json, SparkplugError> {
        let value = match value {
            PropertyValueOf::Int(it) => Value::Int(*it),
            PropertyValueOf::Long(it) => Value::Long(*it),
            PropertyValueOf::Float(it) => Value::Float(*it),
            PropertyValueOf::Double(it) => Value::Double(*it),
            PropertyValueOf::Boolean(it) => Value::Boolean(*it),
            PropertyValueOf::Text(it) => Value::Text(it),
            PropertyValueOf::Set(set) => return self.properties(set),
            PropertyValueOf::Sets(sets) => {
                return sets.sets.iter().map(|it| self.properties(it)).collect();
            }
        };
        self.scalar(&value, datatype)
    }
}

/// Numbers are read as their type says: those below 64 bits stand as 32 bits without a sign.
fn scalar(value: &Value<'_>, datatype: Option<u32>) -> Json {
    match *value {
        Value::Int(it) => match datatype {
            Some(1) => (it as u8).cast_signed().into(),
            Some(2) => (it as u16).cast_signed().into(),
            Some(3 | 4) => it.cast_signed().into(),
            _ => it.into(),
        },
        Value::Long(it) => match datatype {
            Some(1..=4) => it.cast_signed().into(),
            _ => it.into(),
        },
        Value::Float(it) => float_json(it),
        Value::Double(it) => it.into(),
        Value::Boolean(it) => it.into(),
        Value::Text(it) => it.into(),
        Value::Bytes(it) => datatype
            .and_then(|datatype| array(it, datatype))
            .unwrap_or_else(|| STANDARD.encode(it).into()),
    }
}

/// Elements one after the other, least significant byte first; `None` where the type is no array, or the bytes are none.
fn array(bytes: &[u8], datatype: u32) -> Option<Json> {
    fn each<const N: usize, T: Into<Json>>(bytes: &[u8], of: fn([u8; N]) -> T) -> Option<Json> {
        let (elements, rest) = bytes.as_chunks::<N>();
        let list = || elements.iter().map(|it| of(*it).into()).collect();
        rest.is_empty().then(list).map(Json::Array)
    }
    match datatype {
        22 => each(bytes, i8::from_le_bytes),
        23 => each(bytes, i16::from_le_bytes),
        24 => each(bytes, i32::from_le_bytes),
        25 => each(bytes, i64::from_le_bytes),
        26 => each(bytes, u8::from_le_bytes),
        27 => each(bytes, u16::from_le_bytes),
        28 => each(bytes, u32::from_le_bytes),
        29 | 34 => each(bytes, u64::from_le_bytes),
        30 => each(bytes, |it| float_json(f32::from_le_bytes(it))),
        31 => each(bytes, f64::from_le_bytes),
        32 => booleans(bytes),
        33 => texts(bytes),
        _ => None,
    }
}

/// Their number in 4 bytes, then a bit for each, the first in the highest.
fn booleans(bytes: &[u8]) -> Option<Json> {
    let (count, bits) = bytes.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    (count.div_ceil(8) == bits.len()).then_some(())?;
    let bit = |at: usize| bits.get(at / 8).map(|it| (it << (at % 8)) & 0x80 != 0);
    Some((0..count).filter_map(bit).collect())
}

/// Each ended by a zero.
fn texts(bytes: &[u8]) -> Option<Json> {
    let text = str::from_utf8(bytes).ok()?;
    if text.is_empty() {
        return Some(Json::Array(Vec::new()));
    }
    Some(text.strip_suffix('\0')?.split('\0').collect())
}

fn put(json: &mut Map<String, Json>, name: &str, value: Option<impl Into<Json>>) {
    if let Some(value) = value {
        json.insert(name.into(), value.into());
    }
}

fn type_name(datatype: u32) -> Option<&'static str> {
    const NAMES: [&str; 35] = [
        "Unknown",
        "Int8",
        "Int16",
        "Int32",
        "Int64",
        "UInt8",
        "UInt16",
        "UInt32",
        "UInt64",
        "Float",
        "Double",
        "Boolean",
        "String",
        "DateTime",
        "Text",
        "UUID",
        "DataSet",
        "Bytes",
        "File",
        "Template",
        "PropertySet",
        "PropertySetList",
        "Int8Array",
        "Int16Array",
        "Int32Array",
        "Int64Array",
        "UInt8Array",
        "UInt16Array",
        "UInt32Array",
        "UInt64Array",
        "FloatArray",
        "DoubleArray",
        "BooleanArray",
        "StringArray",
        "DateTimeArray",
    ];
    NAMES.get(datatype as usize).copied()
}
