//! Steps that are modules of WebAssembly.

use super::*;

/// Masks pins.
const MASK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/rules/mask.wasm");
const ENTRY: &str = r#"{"door":3,"pin":"4711"}"#;

fn rules(module: &std::path::Path, fuel: u32, rest: &str) -> String {
    let module = module.display();
    format!(
        "[[rule]]\nname = \"mask\"\n{rest}\n[[rule.step]]\nwasm = {{ file = '{module}', fuel = {fuel} }}\n"
    )
}

fn data(node: &TestNode) -> Vec<String> {
    let given = given(node).into_iter();
    given
        .map(|it| String::from_utf8_lossy(it.event.data_bytes()).into_owned())
        .collect()
}

#[test]
fn what_a_module_made_stays_when_its_file_is_another_and_the_node_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("m.wasm");
    std::fs::copy(MASK, &module).unwrap();
    let mut node = node_with_sink();
    let mut device = node.connect(v5("device"));
    node.set_rules(&rules(&module, 100_000, ""));
    node.publish(&mut device, "t", ENTRY, QoS::AtLeastOnce, 1);
    let seen = br#""pin""#;
    let other: Vec<u8> = std::fs::read(MASK).unwrap();
    let place = other.windows(seen.len()).position(|it| it == seen).unwrap();
    let other = [&other[..place], br#""pim""#, &other[place + seen.len()..]].concat();
    std::fs::write(&module, other).unwrap();
    node.set_rules(&rules(&module, 100_000, ""));
    node.publish(&mut device, "t", ENTRY, QoS::AtLeastOnce, 2);
    let mut node = node.crash();
    node.set_rules("");
    assert_eq!(data(&node), [r#"{"door":3,"pin":"****"}"#, ENTRY]);
}

#[test]
fn a_module_without_fuel_leaves_the_event_or_drops_it_as_the_rule_says() {
    let mut node = node_with_sink();
    let mut device = node.connect(v5("device"));
    let mask = std::path::Path::new(MASK);
    node.set_rules(&rules(mask, 10, ""));
    node.publish(&mut device, "t", ENTRY, QoS::AtLeastOnce, 1);
    node.set_rules(&rules(mask, 10, "on-error = \"drop\""));
    node.publish(&mut device, "t", ENTRY, QoS::AtLeastOnce, 2);
    assert_eq!(data(&node), [ENTRY]);
    assert_eq!(node.core.broker().rules().status()[0].errors, 2);
    assert_eq!(counts(&node), [("mask".to_owned(), 2, 1)]);
}
