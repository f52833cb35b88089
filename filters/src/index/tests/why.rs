use crate::{
    DataView, EventView, Pattern, TopicFilter,
    index::{Budget, IndexBuilder, Rule, Scratch, When},
};

#[test]
fn the_conditions_that_hold_are_said_of_the_branch_that_does() {
    let mut event = EventView {
        topic: Some("plant/7"),
        data: DataView::Json(
            br#"{"t": 61, "unit": "C", "list": [{"a": 1, "b": 2}, {"a": 2, "b": 2}]}"#,
        ),
        ..EventView::default()
    };
    event.attributes.push("type", "reading");
    let topic: TopicFilter = "plant/+".parse().unwrap();
    for (topic, pattern, expected) in [
        (
            None,
            r#"{"type": ["alarm", "reading"], "data": {"t": [{"numeric": [">", 60]}, 3]}}"#,
            Some(r#"type "reading" and data.t numeric > 60"#),
        ),
        (
            Some(&topic),
            r#"{"type": ["reading"]}"#,
            Some(r#"topic plant/+ and type "reading""#),
        ),
        (
            None,
            r#"{"data": {"$or": [{"t": [1]}, {"unit": ["C"]}, {"t": [61]}]}}"#,
            Some(r#"data.unit "C""#),
        ),
        (
            None,
            r#"{"data": {"gone": [{"exists": false}], "unit": [{"anything-but": ["F"]}]}}"#,
            Some(r#"data.gone exists false and data.unit anything-but "F""#),
        ),
        (
            None,
            r#"{"data": {"list": {"a": [2], "b": [2]}}}"#,
            Some("data.list.a 2 and data.list.b 2"),
        ),
        (None, r#"{"data": {"list": {"a": [3]}}}"#, None),
        (None, r#"{"type": ["alarm"]}"#, None),
    ] {
        let pattern = Pattern::parse(pattern).unwrap();
        let mut builder = IndexBuilder::new(Budget::default());
        // A rule before it, so that its entries are not the first.
        builder.add(&Rule::default()).unwrap();
        let when = When::Pattern(&pattern);
        let id = builder.add(&Rule { topic, when }).unwrap();
        let why = builder.build().why(id, &event, &mut Scratch::default());
        assert_eq!(why.as_deref(), expected, "{pattern:?}");
    }
}
