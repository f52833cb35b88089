//! Configurations on their way to devices.

use super::*;

#[test]
fn a_configuration_goes_to_the_device_until_it_works_with_it() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    pump.came(&mut node);
    assert_eq!(configure(&mut node, b"fast"), Ok(1));
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(pump.came(&mut node), [], "not before the commit");
    node.commit();
    let fast = Came::Configure(1, b"fast".to_vec());
    assert_eq!(pump.came(&mut node), std::slice::from_ref(&fast));
    let mut node = node.crash();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(8));
    assert_eq!(pump.came(&mut node), [fast]);
    say_configured(&mut node, &mut pump, 1, Configured::Applied);
    assert_eq!(wanted(&node).state, ConfigurationState::Applied);
    assert_eq!(configure(&mut node, b"slow"), Ok(2));
    node.settle();
    assert_eq!(pump.came(&mut node), [Came::Configure(2, b"slow".to_vec())]);
    say_configured(&mut node, &mut pump, 1, Configured::Applied);
    assert_eq!(
        wanted(&node).state,
        ConfigurationState::Waiting,
        "said of another"
    );
}

#[test]
fn a_configuration_that_the_device_undid_is_not_sent_again() {
    for outcome in [Configured::Undone, Configured::Malformed] {
        let mut node = node();
        let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
        configure(&mut node, b"fast").unwrap();
        node.settle();
        say_configured(&mut node, &mut pump, 1, outcome);
        let mut node = node.crash();
        assert_eq!(wanted(&node).state, outcome.into());
        let mut pump = Pump::ready(&mut node, "pump-7", &birth(8));
        assert_eq!(pump.came(&mut node), []);
    }
}

fn say_configured(node: &mut TestNode, pump: &mut Pump, version: u32, outcome: Configured) {
    let mut bytes = [0; 16];
    let said = encode_configured(version, outcome, &mut bytes).unwrap();
    pump.send(node, "b/pump-7", said.to_vec());
    node.settle();
}

/// A device that went back from version 3 of another node, or of this one before it was removed, knows that version for one
/// that it does not work with.
#[test]
fn a_configuration_has_a_version_above_all_that_the_device_has_named() {
    let works_with = |configuration| Birth {
        configuration,
        ..birth(7)
    };
    for is_covered in [false, true] {
        let mut node = node();
        let mut pump = Pump::ready(&mut node, "pump-7", &works_with(2));
        say_configured(&mut node, &mut pump, 3, Configured::Undone);
        let mut node = match is_covered {
            true => {
                node.checkpoint();
                node.restart()
            }
            false => node.crash(),
        };
        assert_eq!(configure(&mut node, b"fast"), Ok(4));
        let mut pump = Pump::ready(&mut node, "pump-7", &works_with(2));
        assert_eq!(pump.came(&mut node), [Came::Configure(4, b"fast".to_vec())]);
        say_configured(&mut node, &mut pump, 3, Configured::Undone);
        assert_eq!(wanted(&node).state, ConfigurationState::Waiting);
    }
}

#[test]
fn what_a_device_worked_with_before_counts_too() {
    let mut node = node();
    for configuration in [5, 2] {
        let works_with = Birth {
            configuration,
            ..birth(7)
        };
        drop(Pump::born(&mut node, "pump-7", &works_with));
    }
    assert_eq!(configure(&mut node, b"fast"), Ok(6));
    let mut node = node.crash();
    let device = "pump-7".to_owned();
    let removed = ask(&mut node, |reply| DeviceRequest::Remove { device, reply });
    assert!(removed.is_ok(), "{removed:?}");
    drop(Pump::born(&mut node, "pump-7", &birth(7)));
    assert_eq!(
        configure(&mut node, b"fast"),
        Ok(1),
        "nothing is left of one that was removed"
    );
}

#[test]
fn what_a_device_says_again_of_another_configuration_is_not_written() {
    let mut node = node();
    let mut pump = Pump::ready(&mut node, "pump-7", &birth(7));
    say_configured(&mut node, &mut pump, 3, Configured::Undone);
    let appended = node.core.spool().appended();
    for version in [3, 2] {
        say_configured(&mut node, &mut pump, version, Configured::Undone);
    }
    assert_eq!(node.core.spool().appended(), appended);
}
