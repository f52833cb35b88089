mod births;
mod values;

use super::{
    payload::{Metric, MetricValue, Payload},
    *,
};

const INT64: u32 = 4;
const DOUBLE: u32 = 10;

fn topic(text: &str) -> Topic<'_> {
    Topic::parse(text).unwrap()
}

fn metric(name: &str, alias: u64, datatype: u32, value: MetricValue) -> Metric {
    Metric {
        name: Some(name.to_owned()),
        alias: Some(alias),
        datatype: Some(datatype),
        value: Some(value),
        ..Metric::default()
    }
}

/// As data names a metric once its birth is known.
fn by_alias(alias: u64, value: MetricValue) -> Metric {
    Metric {
        alias: Some(alias),
        value: Some(value),
        ..Metric::default()
    }
}

fn bd_seq_is(number: u64) -> Metric {
    Metric {
        name: Some("bdSeq".to_owned()),
        datatype: Some(INT64),
        value: Some(MetricValue::Long(number)),
        ..Metric::default()
    }
}

fn payload(seq: Option<u64>, metrics: &[Metric]) -> Vec<u8> {
    let metrics = metrics.iter().map(Metric::encode_to_vec).collect();
    let payload = Payload {
        timestamp: Some(1_486_144_502_122),
        metrics,
        seq,
        ..Payload::default()
    };
    payload.encode_to_vec()
}

fn json(decoded: &Decoded) -> serde_json::Value {
    serde_json::from_slice(decoded.json()).unwrap()
}

#[test]
fn topics_name_group_message_node_and_device() {
    let data = topic("spBv1.0/plant/DDATA/gateway/press");
    assert_eq!((data.group, data.node), ("plant", "gateway"));
    assert_eq!(
        (data.message, data.device),
        (Message::DeviceData, Some("press"))
    );
    assert_eq!(topic("spBv1.0/plant/NBIRTH/gateway").device, None);
    for other in [
        "spBv1.0/STATE/scada",
        "spBv1.0/plant/DDATA/gateway",
        "spBv1.0/plant/NDATA/gateway/press",
        "spBv1.0/plant/DDATA/gateway/press/more",
        "spBv1.0/plant/XDATA/gateway",
        "spAv1.0/plant/NDATA/gateway",
        "spBv1.0",
    ] {
        assert_eq!(Topic::parse(other), None, "{other}");
    }
}

#[test]
fn a_command_asks_for_rebirth_as_the_specification_writes_it() {
    let rebirth = Rebirth {
        topic: "spBv1.0/plant/NCMD/gateway".to_owned(),
    };
    let payload = rebirth.payload(EventTime(1_486_144_502_122));
    let shown = Sparkplug::default()
        .decode_at(&topic(&rebirth.topic), &payload, 1)
        .unwrap();
    let shown = json(&shown);
    assert_eq!(shown["timestamp"], 1_486_144_502_122_u64);
    assert_eq!(
        shown["values"],
        serde_json::json!({"Node Control/Rebirth": true})
    );
    assert_eq!(shown["metrics"][0]["type"], "Boolean");
}

#[test]
fn what_is_no_payload_is_refused_and_moves_nothing() {
    let mut sparkplug = Sparkplug::default();
    let birth = topic("spBv1.0/plant/NBIRTH/gateway");
    let broken_metric = [0x12, 2, 0x0A, 5];
    for bytes in [&[0x12, 5, 1][..], &[0xFF], &broken_metric] {
        let error = sparkplug
            .handle_message(&birth, bytes, 1, Moment(0), true)
            .unwrap_err();
        assert!(matches!(error, SparkplugError::Malformed(_)), "{error}");
    }
    let large = vec![0; MAX_PAYLOAD_BYTES + 1];
    let error = sparkplug.apply(&birth, &large, 1).unwrap_err();
    assert_eq!(error, SparkplugError::TooLarge(large.len()));
    assert_eq!(sparkplug.births().count(), 0);
    assert_eq!(sparkplug.counts(), SparkplugCounts::default());
}

#[test]
fn random_bytes_never_panic() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut sparkplug = Sparkplug::default();
    let mut decoded = 0;
    for position in 1..50_000 {
        let bytes: Vec<u8> = (0..random.usize(0..24))
            .map(|_| match random.u8(0..4) {
                0 => random.u8(..),
                1 => random.u8(0..8),
                _ => [0x12, 0x0A, 0x08, 0x10, 0x52, 0x92, 0x4A][random.usize(0..7)],
            })
            .collect();
        let name = ["NBIRTH", "NDATA", "NDEATH"][random.usize(0..3)];
        let name = format!("spBv1.0/g/{name}/n");
        let seen = sparkplug.handle_message(&topic(&name), &bytes, position, Moment(0), true);
        decoded += usize::from(seen.is_ok());
    }
    assert!(decoded > 1000, "{decoded}");
}
