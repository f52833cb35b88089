use super::*;

#[test]
fn rules_apply_in_their_order_and_route_together() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "counts"
        [[rule]]
        name = "hot"
        pattern = '{"data": {"temperature": [{"numeric": [">", 60]}]}}'
        sinks = ["site"]
        lane = "alarm"
        [[rule]]
        name = "by type"
        sql = "type = 'reading'"
        sinks = ["cloud"]
        [[rule]]
        name = "elsewhere"
        topic = "other/+"
        drop = true
        [[rule]]
        name = "last lane"
        filter = { prefix = { source = "/p" } }
        lane = "bulk"
        "#,
    );
    let ruling = bench.publish(0, &degrees(1, 61.0));
    assert_eq!(
        bench.names(&ruling),
        ["counts", "hot", "by type", "last lane"]
    );
    assert_eq!((sinks(&ruling), ruling.lane), (Some(vec![0, 1]), Some(2)));
    let ruling = bench.publish(0, &degrees(2, 59.0));
    assert_eq!((sinks(&ruling), ruling.lane), (Some(vec![0]), Some(2)));
    let untouched = bench.publish(0, &reading(3, "{}"));
    let Fate::Owed(owed) = untouched.fate else {
        panic!()
    };
    assert_eq!(owed.common, Form::default());
}

#[test]
fn drop_ends_it_whatever_came_before() {
    let mut bench = Bench::new(
        r#"
        [[rule]]
        name = "routes"
        sinks = ["cloud"]
        [[rule]]
        name = "drops"
        drop = true
        [[rule]]
        name = "never asked"
        "#,
    );
    let ruling = bench.publish(0, &degrees(1, 0.0));
    assert_eq!(bench.names(&ruling), ["routes", "drops"]);
    let Fate::Dropped { rule, step, cause } = ruling.fate else {
        panic!()
    };
    assert_eq!(
        (bench.rules.name(rule), step, cause),
        (Some("drops"), None, Cause::Rule)
    );
}

#[test]
fn a_rule_is_not_asked_about_what_it_made() {
    let bench = Bench::new(MINUTES);
    let event = degrees(1, 1.0);
    let arrival = Arrival {
        at: Moment(0),
        derived_by: &["per minute".to_owned()],
    };
    let mut memory = RuleMemory::new(&bench.rules);
    let view = EventView::of(&event, None);
    let ruling = bench.rules.judge(
        &mut memory,
        &mut Scratch::default(),
        &view,
        || event.clone(),
        &arrival,
    );
    assert!(ruling.matched.is_empty());
}
