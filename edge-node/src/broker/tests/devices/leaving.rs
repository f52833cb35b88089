//! Devices whose connections end.

use super::*;

const DEVICES_THAT_LEAVE: usize = 20;

#[test]
fn of_devices_that_go_each_is_shown_once_and_none_tries_the_log_again_though_it_is_full() {
    let terms = [v5, durable];
    for (terms, is_full) in terms.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut node = full_log::small();
        let mut local = node.connect(v5("local"));
        node.subscribe(&mut local, &format!("{DEVICES}/b/+"), QoS::AtMostOnce);
        let devices = (0..DEVICES_THAT_LEAVE).map(|number| {
            let name = format!("pump-{number}");
            let topic = format!("{DEVICES}/b/{name}");
            node.connect(with_will(terms(&name), &topic, 0))
        });
        let devices: Vec<_> = devices.collect();
        if is_full {
            full_log::fill(&node);
        }
        node.settle();
        for device in &devices {
            node.hang_up(device);
        }
        node.settle();
        let appended = node.core.spool().appended();
        for _ in 0..5 {
            node.pass(1_000);
        }
        assert_eq!(node.core.spool().appended(), appended, "none tries again");
        full_log::make_room(&node);
        node.pass(1_000);
        assert_eq!(
            node.core.spool().appended(),
            appended,
            "nor where there is room"
        );
        let shown = take_publishes(&mut node, &mut local);
        assert_eq!(shown.len(), DEVICES_THAT_LEAVE, "full: {is_full}");
    }
}

#[test]
fn a_device_whose_session_ends_with_its_connection_leaves_no_record() {
    let mut node = node();
    let topic = format!("{DEVICES}/b/pump-7");
    let device = node.connect(with_will(v5("pump-7"), &topic, 0));
    node.settle();
    let appended = node.core.spool().appended();
    node.drop_connection(device);
    assert_eq!(node.core.spool().appended(), appended);
}
