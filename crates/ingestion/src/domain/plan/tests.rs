use proto::event::v1::event::Body;
use proto::event::v1::{Custom, Event, Identified, OrderActivity, Provenance, order_activity};
use proto::google::r#type::Money;
use proto::ingestion::v1::tracking_plan::{Mode as WireMode, Rule};
use proto::r#type::v1::{Identifier, LineItem};
use serde_json::{Value, json};

use super::*;

fn plan_of(schema: &Value, mode: WireMode) -> TrackingPlan {
    TrackingPlan {
        source_id: "s-1".into(),
        mode: mode.into(),
        rules: vec![Rule { event_name: "Wheel Spun".into(), schema_json: schema.to_string().into() }],
        ..TrackingPlan::default()
    }
}

fn spun(properties: &str) -> Event {
    Event {
        name: "Wheel Spun".into(),
        body: Some(Body::Custom(Custom {})),
        properties_json: properties.to_owned().into_bytes().into(),
        provenance: Some(Provenance { library: "node/3".into(), ..Provenance::default() }),
        ..Event::default()
    }
}

/// Returns what breaks a schema, as "field rule".
fn broken(schema: &Value, properties: &Value) -> Vec<String> {
    let plan = Plan::compile(&plan_of(schema, WireMode::Warn)).unwrap_or_else(|faults| panic!("{faults:?}"));
    let found = plan.find(&spun(&properties.to_string()));
    found.into_iter().map(|finding| format!("{} {}", finding.field, finding.rule)).collect()
}

#[test]
fn each_keyword_holds_and_breaks() {
    let pass: [&str; 0] = [];
    for (schema, good, bad, told) in [
        (json!({"type": "integer"}), json!(3.0), json!(3.5), "type"),
        (json!({"type": ["string", "null"]}), json!(null), json!(true), "type"),
        (json!({"enum": [1, "a", {"b": [2]}]}), json!({"b": [2.0]}), json!("b"), "enum"),
        (json!({"const": 5}), json!(5.0), json!(6), "const"),
        (json!({"pattern": "^[A-Z]{2}-[0-9]+$"}), json!("AB-12"), json!("ab-12"), "pattern"),
        (json!({"minLength": 2}), json!("éé"), json!("é"), "minLength"),
        (json!({"maxLength": 2}), json!("éé"), json!("ééé"), "maxLength"),
        (json!({"minimum": 0}), json!(0), json!(-0.1), "minimum"),
        (json!({"maximum": 10}), json!(10), json!(10.1), "maximum"),
        (json!({"exclusiveMinimum": 0}), json!(0.1), json!(0), "exclusiveMinimum"),
        (json!({"exclusiveMaximum": 10}), json!(9), json!(10), "exclusiveMaximum"),
        (json!({"minItems": 1}), json!([1]), json!([]), "minItems"),
        (json!({"maxItems": 1}), json!([1]), json!([1, 2]), "maxItems"),
        (json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}), json!(5), json!(4), "anyOf"),
        (json!({"oneOf": [{"minimum": 0}, {"maximum": 10}]}), json!(11), json!(5), "oneOf"),
        (json!({"allOf": [{"type": "number"}, {"minimum": 5}]}), json!(5), json!(4), "minimum"),
        (json!({"format": "date-time"}), json!("2025-06-01T12:00:00Z"), json!("2025-06-01"), "format"),
        (json!({"format": "date"}), json!("2025-06-01"), json!("2025-6-1"), "format"),
        (json!({"format": "email"}), json!("a.b+c@d-e.fr"), json!("a b@c.fr"), "format"),
        (json!({"format": "uri"}), json!("https://x.fr/a?b=1#c"), json!("x.fr/a b"), "format"),
        (json!({"format": "uuid"}), json!("0196f2f0-0000-7000-8000-000000000000"), json!("0196f2f0"), "format"),
        (json!(true), json!(1), json!(1), ""),
        (json!(false), json!(null), json!(1), "false"),
        (json!({"minimum": 5, "title": "T", "default": 1, "$schema": "x"}), json!("text"), json!(4), "minimum"),
    ] {
        let whole = json!({"properties": {"a": schema}});
        if schema != json!(false) {
            assert_eq!(broken(&whole, &json!({"a": good})), pass, "{schema}");
        }
        let expected: Vec<String> = if told.is_empty() { Vec::new() } else { vec![format!("/a {told}")] };
        assert_eq!(broken(&whole, &json!({"a": bad})), expected, "{schema}");
    }
}

#[test]
fn fields_are_told_by_their_place_and_never_by_a_value() {
    let schema = json!({
        "required": ["wheel"],
        "properties": {"wheel": {"type": "string"}, "tries": {"items": {"required": ["at"], "additionalProperties": false,
            "properties": {"at": {"type": "integer"}}}}},
        "additionalProperties": {"type": "number"},
    });

    let found = broken(
        &schema,
        &json!({"tries": [{"at": "x"}, {"at": "y"}, {"by": 1, "ada@example.org": 2}], "extra": "a", "0033612345678": "b"}),
    );

    let mut found = found;
    found.sort();
    assert_eq!(
        found,
        [
            "/* type",
            "/extra type",
            "/tries/*/* additionalProperties",
            "/tries/*/at required",
            "/tries/*/at type",
            "/tries/*/by additionalProperties",
            "/wheel required",
        ]
    );
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let deep = (0..40).fold(json!({}), |schema, _| json!({"items": schema}));
    let wide: Value =
        (0..3_000).map(|number| (format!("p{number}"), json!({}))).collect::<serde_json::Map<_, _>>().into();
    for (schema, told) in [
        (json!({"$ref": "#/x"}), "`$ref` is not understood"),
        (json!({"properties": {"a": {"if": {}}}}), "at /properties/a: the keyword `if`"),
        (json!({"patternProperties": {}}), "`patternProperties`"),
        (json!({"uniqueItems": true}), "`uniqueItems`"),
        (json!({"type": "text"}), "must be a type of JSON"),
        (json!({"items": [{}]}), "one schema for all items"),
        (json!({"pattern": "(?=x)"}), "regular expression"),
        (json!({"pattern": "a{1000}{1000}{1000}"}), "regular expression"),
        (json!({"format": "ipv4"}), "must be date-time, date, email, uri or uuid"),
        (json!({"minLength": -1}), "whole number"),
        (json!({"enum": []}), "not empty"),
        (json!([]), "must be an object"),
        (deep, "at most 32 levels"),
        (json!({"properties": wide}), "at most 2000 schemas"),
    ] {
        let faults = Plan::compile(&plan_of(&schema, WireMode::Warn)).err().unwrap_or_default();
        assert!(faults.iter().any(|(_, fault)| fault.contains(told)), "{told}: {faults:?}");
        assert!(faults.iter().all(|(field, _)| field == "plan.rules[0].schema_json") && faults.len() <= 20);
    }
    let twice = plan_of(&json!({}), WireMode::Warn);
    let twice = TrackingPlan { rules: [twice.rules.clone(), twice.rules].concat(), ..TrackingPlan::default() };
    assert_eq!(Plan::compile(&twice).err().unwrap()[0].0, "plan.rules[1].event_name");
}

#[test]
fn a_large_event_under_a_large_schema_is_given_up() {
    let alternatives: Vec<Value> = (0..1_000).map(|number| json!({"const": number})).collect();
    let schema = json!({"properties": {"list": {"items": {"anyOf": alternatives}}}});
    let list: Vec<Value> = (0..10_000).map(|_| json!("x")).collect();

    let found = broken(&schema, &json!({"list": list}));

    assert_eq!(found, ["/list/* anyOf", " size"]);
}

#[test]
fn the_mode_decides_what_becomes_of_an_event() {
    let schema = json!({"required": ["wheel"]});
    let good = spun(r#"{"wheel":1}"#);
    let strange = Event { name: "Spun".into(), ..spun("{}") };

    let off = Plan::compile(&plan_of(&schema, WireMode::Off)).unwrap();
    assert!(!off.is_on() && off.judge(&spun("{}")).unwrap().is_none());
    let warn = Plan::compile(&plan_of(&schema, WireMode::Warn)).unwrap();
    let findings = warn.judge(&spun("{}")).unwrap().unwrap();
    assert_eq!((findings.event_name.as_str(), findings.library.as_str()), ("Wheel Spun", "node/3"));
    assert!(warn.judge(&good).unwrap().is_none() && warn.judge(&strange).unwrap().is_none());
    let both = TrackingPlan { unplanned_mode: WireMode::Quarantine.into(), ..plan_of(&schema, WireMode::Quarantine) };
    let both = Plan::compile(&both).unwrap();
    assert!(both.judge(&good).unwrap().is_none());
    let problem = both.judge(&spun("{}")).unwrap_err();
    assert_eq!(
        (problem.reason, &*problem.message),
        (Reason::PlanViolated, "/wheel breaks `required` of the tracking plan")
    );
    assert_eq!(both.judge(&strange).unwrap_err().reason, Reason::UnplannedEvent);
}

#[test]
fn the_document_speaks_the_words_of_the_spec() {
    let money = |units, nanos| Some(Money { currency_code: "EUR".into(), units, nanos });
    let line = LineItem { product_id: "p-1".into(), price: money(18, 990_000_000), quantity: 2, ..LineItem::default() };
    let order = OrderActivity {
        action: order_activity::Action::Completed.into(),
        order_id: "o-1".into(),
        total: money(37, 980_000_000),
        tax: money(-1, -500_000_000),
        products: vec![line],
        ..OrderActivity::default()
    };
    let order = Event {
        body: Some(Body::OrderActivity(order)),
        properties_json: r#"{"gift":true,"order_id":"sent"}"#.into(),
        ..Event::default()
    };
    let identified = Event {
        identifiers: vec![Identifier { kind: "email".into(), value: "a@b.fr".into() }],
        body: Some(Body::Identified(Identified {
            first_name: "Ada".into(),
            traits_json: r#"{"vip":1}"#.into(),
            ..Identified::default()
        })),
        ..Event::default()
    };

    assert_eq!(
        document::document(&order),
        json!({"gift": true, "order_id": "o-1", "total": 37.98, "tax": -1.5, "currency": "EUR",
            "products": [{"product_id": "p-1", "price": 18.99, "currency": "EUR", "quantity": 2}]})
    );
    assert_eq!(document::document(&identified), json!({"email": "a@b.fr", "firstName": "Ada", "vip": 1}));
    assert_eq!(document::document(&spun("[1")), json!({}));
}

#[test]
fn a_draft_accepts_what_it_was_drafted_from_and_shows_no_one() {
    let mut draft = Draft::default();
    let events: Vec<Event> = (0..40)
        .map(|number| {
            let colour = if number % 2 == 0 { "red" } else { "blue" };
            let properties = json!({
                "colour": colour, "note": format!("from number {number}"), "to": "ada@example.org", "prize": number,
                "sizes": [number, 0.5], "user_name": "Ada", "ada@example.org": 1, "rare": if number == 7 { json!(1) } else { json!(null) },
            });
            let properties = if number == 3 { json!({}) } else { properties };
            let person = Identifier { kind: "user_id".into(), value: format!("u-{}", number % 20) };
            Event { identifiers: vec![person], ..spun(&properties.to_string()) }
        })
        .collect();
    events.iter().for_each(|event| draft.see(event));

    let drafted = draft.finish("s-1");

    let plan = drafted.plan.unwrap();
    let schema: Value = serde_json::from_slice(&plan.rules[0].schema_json).unwrap();
    let compiled = Plan::compile(&plan).unwrap();
    assert!(!compiled.is_on() && events.iter().all(|event| compiled.find(event).is_empty()), "{schema}");
    assert_eq!(schema["properties"]["colour"], json!({"type": "string", "enum": ["blue", "red"]}));
    assert_eq!(schema["properties"]["sizes"], json!({"type": "array", "items": {"type": "number"}}));
    assert_eq!(schema["properties"]["rare"], json!({"type": ["integer", "null"]}));
    assert!(schema.get("required").is_none(), "one event had nothing: {schema}");
    let shown = format!("{schema} {:?}", drafted.seen);
    assert!(!shown.contains("ada@") && !shown.contains("\"Ada\"") && !shown.contains("number 1"), "{shown}");
    let seen = &drafted.seen[0];
    assert_eq!((seen.event_name.as_str(), seen.count), ("Wheel Spun", 40));
    let prize = seen.fields.iter().find(|field| field.field == "/prize").unwrap();
    assert_eq!((prize.present_milli, prize.range.map(|range| (range.least, range.greatest))), (975, Some((0.0, 39.0))));
}
