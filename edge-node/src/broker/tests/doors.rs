//! One topic space: what comes through other doors, as MQTT clients meet it.

use filters::{Data, Event};

use super::harness::*;
use crate::{
    mqtt::packet::{Connect, QoS, Version},
    node::handle::Incoming,
};

#[test]
fn an_event_over_http_is_its_data_to_clients_of_3_1_1_and_an_event_in_binary_mode_to_those_of_5() {
    let mut node = TestNode::new();
    let mut new = node.connect(v5("new"));
    let mut old = node.connect(Connect {
        clean_start: true,
        ..Connect::new(Version::V311, "old")
    });
    for client in [&mut new, &mut old] {
        node.subscribe(client, "plant/+", QoS::AtLeastOnce);
    }
    let event = Event::builder("7", "/meter", "reading")
        .datacontenttype("text/plain")
        .data(Data::Text("21.5".to_owned()));
    let incoming = Incoming::on("plant/7".to_owned(), event.build().unwrap());
    node.post(vec![incoming]).unwrap();
    node.settle();

    let [to_old, to_new] = [&mut old, &mut new].map(|client| {
        let mut got = client.publishes(&mut node);
        assert_eq!(got.len(), 1);
        got.remove(0)
    });
    for publish in [&to_old, &to_new] {
        assert_eq!(publish.topic.as_str(), "plant/7");
        assert_eq!(&publish.payload[..], b"21.5");
    }
    assert!(to_old.properties.set().is_none());
    let properties = to_new.properties.set().unwrap();
    assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", "7"),
        ("source", "/meter"),
        ("type", "reading"),
    ] {
        let own = (name.to_owned(), value.to_owned());
        assert!(properties.user_properties.contains(&own), "{properties:?}");
    }
}
