use super::*;

/// Each PUBLISH that makes no valid event, the attribute at fault and the reason code.
fn faults() -> Vec<(Sent, &'static str, EventProblem, ReasonCode)> {
    let attributes = ReasonCode::ImplementationSpecificError;
    let payload = ReasonCode::PayloadFormatInvalid;
    let declared = |text: &str| Sent::plain(text).content_type("application/cloudevents+json");
    let many: Vec<_> = (0..257)
        .map(|at| (format!("x{at}"), "v".to_owned()))
        .collect();
    vec![
        (
            Sent::plain("x").user(&[("specversion", "1.0")]),
            "id",
            EventProblem::Missing,
            attributes,
        ),
        (
            Sent::binary(&[("specversion", "1.0")], ""),
            "specversion",
            EventProblem::Twice,
            attributes,
        ),
        (
            Sent::plain("x").user(&[("specversion", "0.3")]),
            "specversion",
            EventProblem::Version,
            attributes,
        ),
        (
            Sent::binary(&[("id", "8")], ""),
            "id",
            EventProblem::Twice,
            attributes,
        ),
        (
            Sent::binary(&[("time", "now")], ""),
            "time",
            EventProblem::Timestamp,
            attributes,
        ),
        (
            Sent::binary(&[("subject", "a\n")], ""),
            "subject",
            EventProblem::Control,
            attributes,
        ),
        (
            Sent::plain("x").content_type("json"),
            "datacontenttype",
            EventProblem::MediaType,
            attributes,
        ),
        (
            Sent::plain("x").properties(|it| it.user_properties = many),
            "extensions",
            EventProblem::TooMany,
            attributes,
        ),
        (declared("{"), "event", EventProblem::Document, payload),
        (
            declared("{\"specversion\":\"1.0\"}"),
            "id",
            EventProblem::Missing,
            payload,
        ),
        (
            Sent::plain("{\"specversion\":\"2\"}"),
            "specversion",
            EventProblem::Version,
            payload,
        ),
        (
            Sent::plain([0xff]).properties(|it| it.payload_format_indicator = Some(true)),
            "data",
            EventProblem::NotUtf8,
            payload,
        ),
    ]
}

#[test]
fn what_makes_no_valid_event_is_wrapped_as_opaque_data() {
    let mut ingest = ingest("");
    for (sent, attribute, problem, _) in faults() {
        let accepted = sent
            .accept(&mut ingest, NOON)
            .expect("wrapped, not refused");
        let wrapped = accepted.wrapped.clone().expect("it is no valid event");
        assert_eq!(
            (wrapped.attribute.as_str(), wrapped.problem),
            (attribute, problem)
        );
        let event = sent.view(&accepted.minted);
        assert_eq!(event.r#type, "mqtt.publish.invalid");
        assert_eq!(event.source, "urn:edge-node:gate:pump%207");
        assert_eq!(
            event.datacontenttype.as_deref(),
            Some("application/octet-stream")
        );
        assert_eq!(
            event.data,
            (!sent.payload.is_empty()).then(|| Data::Binary(sent.payload.to_vec()))
        );
        assert_eq!(
            event.extensions.get("invalidreason"),
            Some(&text(&wrapped.to_string()))
        );
        assert_eq!(event.subject.as_deref(), Some("plant/7/temp"));
    }
}

#[test]
fn wrapped_events_have_ids_of_their_own() {
    let mut ingest = ingest("");
    let ids: Vec<_> = faults()
        .iter()
        .map(|fault| fault.0.event_by(&mut ingest).id)
        .collect();
    let expected: Vec<_> = (0..faults().len())
        .map(|at| format!("abababababababababababababababab-{at}"))
        .collect();
    assert_eq!(ids, expected);
}

#[test]
fn what_makes_no_valid_event_is_refused_where_the_operator_wants_it() {
    let mut ingest = ingest("[[ingest]]\ntopic = \"plant/#\"\ninvalid = \"refuse\"");
    for (sent, attribute, problem, reason) in faults() {
        let error = EventError {
            attribute: attribute.to_owned(),
            problem,
        };
        assert_eq!(
            sent.accept(&mut ingest, NOON),
            Err(Refusal { reason, error })
        );
    }
    assert_eq!(
        Sent::plain("x").event_by(&mut ingest).id,
        "abababababababababababababababab-0"
    );
}

#[test]
fn a_configured_attribute_that_comes_out_invalid_makes_no_valid_event() {
    let mut ingest =
        ingest("[[ingest]]\ntopic = \"#\"\ntime = \"{payload:/at}\"\nsubject = \"{topic}\"");
    let sent = Sent::plain("{\"at\":\"noon\"}");
    let accepted = sent.accept(&mut ingest, NOON).expect("wrapped");
    assert_eq!(
        accepted.wrapped.map(|it| (it.attribute, it.problem)),
        Some(("time".to_owned(), EventProblem::Timestamp))
    );
    let event = sent.view(&accepted.minted);
    assert_eq!(event.time.as_deref(), Some("2026-01-01T12:00:00.000Z"));
    let sent = Sent::plain("{}").on("a\u{1}");
    assert_eq!(sent.event_by(&mut ingest).r#type, "mqtt.publish.invalid");
}
