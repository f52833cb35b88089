use serde_json::{Value as Json, json};

use super::*;
use crate::decode::sparkplug::payload::{
    DataSet, Element, ElementValue, Parameter, PropertySet, PropertyValue, PropertyValueOf, Row,
    Template,
};

/// What one metric of this type and value is shown as.
fn shown(datatype: u32, value: MetricValue) -> Json {
    let data = payload(Some(1), &[metric("m", 1, datatype, value)]);
    let data = Sparkplug::default()
        .decode_at(&topic("spBv1.0/g/NDATA/n"), &data, 1)
        .unwrap();
    let shown = json(&data);
    assert_eq!(shown["metrics"][0]["value"], shown["values"]["m"]);
    shown["values"]["m"].clone()
}

#[test]
fn every_type_has_its_form() {
    use MetricValue::{Boolean, Bytes, Double, Float, Int, Long, Text};
    for (datatype, value, expected) in [
        (1, Int(0xFF), json!(-1)),
        (1, Int(0xFFFF_FF80), json!(-128)),
        (2, Int(0xFFFF_FFFE), json!(-2)),
        (3, Int(u32::MAX), json!(-1)),
        (4, Long(u64::MAX), json!(-1)),
        (5, Int(255), json!(255)),
        (6, Int(65_535), json!(65_535)),
        (7, Int(u32::MAX), json!(u32::MAX)),
        (7, Long(u64::from(u32::MAX)), json!(u32::MAX)),
        (8, Long(u64::MAX), json!(u64::MAX)),
        (9, Float(0.1), json!(0.1)),
        (10, Double(0.1), json!(0.1)),
        (10, Double(f64::NAN), Json::Null),
        (9, Float(f32::INFINITY), Json::Null),
        (11, Boolean(true), json!(true)),
        (12, Text("é\"".into()), json!("é\"")),
        (13, Long(1_486_144_502_122), json!(1_486_144_502_122_u64)),
        (17, Bytes(vec![255, 0]), json!("/wA=")),
        (22, Bytes(vec![0xE9, 0x7B]), json!([-23, 123])),
        (
            23,
            Bytes(vec![0x30, 0x8A, 0x30, 0x75]),
            json!([-30_160, 30_000]),
        ),
        (24, Bytes(vec![0xFF; 4]), json!([-1])),
        (25, Bytes(vec![0xFF; 8]), json!([-1])),
        (26, Bytes(vec![0x17, 0xFA]), json!([23, 250])),
        (27, Bytes(vec![0x1E, 0x00, 0x88, 0xFF]), json!([30, 65_416])),
        (28, Bytes(vec![0xFF; 4]), json!([u32::MAX])),
        (29, Bytes(vec![0xFF; 8]), json!([u64::MAX])),
        (30, Bytes(1.23_f32.to_le_bytes().to_vec()), json!([1.23])),
        (31, Bytes(0.1_f64.to_le_bytes().to_vec()), json!([0.1])),
        (
            32,
            Bytes(vec![12, 0, 0, 0, 0x34, 0xD0]),
            json!([
                false, false, true, true, false, true, false, false, true, true, false, true
            ]),
        ),
        (33, Bytes(b"ABC\0hello\0".to_vec()), json!(["ABC", "hello"])),
        (33, Bytes(Vec::new()), json!([])),
        (34, Bytes(1_u64.to_le_bytes().to_vec()), json!([1])),
        // What is no array of its type is shown as bytes.
        (24, Bytes(vec![1]), json!("AQ==")),
        (32, Bytes(vec![9, 0, 0, 0, 0]), json!("CQAAAAA=")),
    ] {
        assert_eq!(
            shown(datatype, value.clone()),
            expected,
            "{datatype}: {value:?}"
        );
    }
}

#[test]
fn null_is_null_and_of_several_values_the_last_that_is_not_historical_counts() {
    let null = Metric {
        is_null: Some(true),
        ..metric("gone", 2, DOUBLE, MetricValue::Double(1.0))
    };
    let old = Metric {
        is_historical: Some(true),
        timestamp: Some(5),
        ..metric("t", 1, DOUBLE, MetricValue::Double(9.0))
    };
    let now = |value| metric("t", 1, DOUBLE, MetricValue::Double(value));
    let data = payload(Some(1), &[now(1.5), now(2.5), old, null]);
    let data = Sparkplug::default()
        .decode_at(&topic("spBv1.0/g/DDATA/n/d"), &data, 1)
        .unwrap();
    let shown = json(&data);
    assert_eq!(shown["values"], json!({"t": 2.5, "gone": null}));
    assert_eq!(
        shown["metrics"][2],
        json!({"name": "t", "alias": 1, "timestamp": 5, "type": "Double", "historical": true, "value": 9.0})
    );
    assert_eq!(
        (
            &shown["group"],
            &shown["message"],
            &shown["node"],
            &shown["device"],
            &shown["seq"]
        ),
        (
            &json!("g"),
            &json!("DDATA"),
            &json!("n"),
            &json!("d"),
            &json!(1)
        )
    );
}

#[test]
fn data_sets_are_rows_and_templates_and_properties_are_objects() {
    let cell = |value| Element { value: Some(value) };
    let set = DataSet {
        columns: vec!["a".into(), "b".into()],
        types: vec![1, 12],
        rows: vec![Row {
            elements: vec![
                cell(ElementValue::Int(0xFF)),
                cell(ElementValue::Text("x".into())),
            ],
        }],
    };
    assert_eq!(
        shown(16, MetricValue::DataSet(set)),
        json!([{"a": -1, "b": "x"}])
    );

    let template = Template {
        template_ref: Some("Motor".into()),
        metrics: vec![metric("rpm", 3, 7, MetricValue::Int(1480)).encode_to_vec()],
        parameters: vec![Parameter {
            name: Some("index".into()),
            datatype: Some(3),
            value: Some(PropertyValueOf::Int(u32::MAX)),
        }],
        ..Template::default()
    };
    assert_eq!(
        shown(19, MetricValue::Template(template)),
        json!({"template": "Motor", "parameters": {"index": -1}, "values": {"rpm": 1480},
               "metrics": [{"name": "rpm", "alias": 3, "type": "UInt32", "value": 1480}]})
    );

    let value = |value, is_null| PropertyValue {
        datatype: Some(3),
        is_null,
        value: Some(value),
    };
    let inner = PropertySet {
        keys: vec!["unit".into()],
        values: vec![value(PropertyValueOf::Text("°C".into()), None)],
    };
    let mut with_properties = metric("m", 1, DOUBLE, MetricValue::Double(1.0));
    with_properties.properties = Some(PropertySet {
        keys: vec!["Quality".into(), "of".into(), "no".into()],
        values: vec![
            value(PropertyValueOf::Int(192), None),
            value(PropertyValueOf::Set(inner), None),
            value(PropertyValueOf::Int(1), Some(true)),
        ],
    });
    let data = payload(None, &[with_properties]);
    let data = Sparkplug::default().decode_at(&topic("spBv1.0/g/NDATA/n"), &data, 1);
    assert_eq!(
        json(&data.unwrap())["metrics"][0]["properties"],
        json!({"Quality": 192, "of": {"unit": "°C"}, "no": null})
    );
}

#[test]
fn templates_in_templates_end_somewhere() {
    let mut inner = metric("leaf", 1, 3, MetricValue::Int(1));
    for _ in 0..40 {
        let template = Template {
            metrics: vec![inner.encode_to_vec()],
            ..Template::default()
        };
        inner = metric("t", 1, 19, MetricValue::Template(template));
    }
    let data = payload(None, &[inner]);
    let error = Sparkplug::default()
        .decode_at(&topic("spBv1.0/g/NDATA/n"), &data, 1)
        .unwrap_err();
    assert_eq!(error, SparkplugError::TooDeep);
}

#[test]
fn what_stands_for_long_names_is_not_decoded_beyond_the_bound_and_changes_nothing() {
    let set = |rows: usize| {
        let element = Element {
            value: Some(ElementValue::Int(1)),
        };
        let row = Row {
            elements: vec![element],
        };
        MetricValue::DataSet(DataSet {
            columns: vec!["c".repeat(128 << 10)],
            types: vec![3],
            rows: vec![row; rows],
        })
    };
    let mut plant = Sparkplug::default();
    let mut say = |kind: &str, position, metrics: &[Metric]| {
        let name = format!("spBv1.0/plant/{kind}/gateway");
        let bytes = payload(Some(position), metrics);
        assert!(bytes.len() <= MAX_PAYLOAD_BYTES);
        let now = Moment(0);
        let seen = plant.handle_message(&topic(&name), &bytes, position, now, false);
        seen.map(|it| it.decoded.json().len())
    };
    let table = |rows| [metric("t", 1, 16, set(rows))];
    assert_eq!(
        say("NDATA", 1, &table(10_000)),
        Err(SparkplugError::TooMuch)
    );
    // A value stands there twice.
    let shown = say("NDATA", 1, &table(15)).unwrap();
    assert!(
        (30 * (128 << 10)..=MAX_RESULT_BYTES).contains(&shown),
        "{shown}"
    );
    assert_eq!(say("NDATA", 1, &table(16)), Err(SparkplugError::TooMuch));

    let long = "n".repeat(250_000);
    let birth = metric(&long, 7, INT64, MetricValue::Long(1));
    say("NBIRTH", 2, &[birth]).unwrap();
    let aliases = |count| vec![by_alias(7, MetricValue::Long(1)); count];
    assert_eq!(
        say("NDATA", 3, &aliases(30_000)),
        Err(SparkplugError::TooMuch)
    );
    assert_eq!(say("NDATA", 3, &aliases(9)), Err(SparkplugError::TooMuch));
    assert!(say("NDATA", 3, &aliases(8)).is_ok());
    assert_eq!(
        plant.counts(),
        SparkplugCounts {
            unborn: 1,
            ..SparkplugCounts::default()
        }
    );
}
