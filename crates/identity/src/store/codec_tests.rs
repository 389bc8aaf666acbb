use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn sighted(time_us: i64, source: &str) -> Sighted {
    Sighted { time_us, event_id: Uuid::from_u128(time_us as u128), source: Arc::from(source) }
}

fn node(number: u32, place: Place) -> Node {
    Node {
        key: u128::from(number) << 99 | 7,
        kind: "email".into(),
        value: format!("p{number}@shop.example").into(),
        original: (number.is_multiple_of(2)).then(|| "P@Shop.Example".into()),
        first_us: -5,
        last: sighted(i64::from(number), "till"),
        cluster: if place == Place::Inside { number } else { NO_CLUSTER },
        place,
    }
}

fn component() -> Component {
    let person = Person {
        id: Some(Uuid::from_u128(9)),
        absorbed: vec![Uuid::from_u128(1), Uuid::from_u128(2)],
        first_us: i64::MIN,
        last_us: i64::MAX,
        events: 300,
        traits: vec![Trait { name: "city".into(), value: "Évry".into(), said: true, told: sighted(3, "crm") }],
        consents: vec![Answer {
            purpose: "marketing".into(),
            channel: "".into(),
            granted: true,
            decided_us: 8,
            proof: "form".into(),
        }],
        timeline: Timeline {
            head: vec![Pointer { time_us: 40, offset: 9 }, Pointer { time_us: -3, offset: u64::MAX }],
            stored_chunks: 4,
            full: Vec::new(),
        },
        published: u64::MAX,
    };
    Component {
        id: 5,
        cut: Cut { shared: true, blocked: false },
        nodes: vec![node(0, Place::Inside), node(1, Place::Inside), node(2, Place::Cut), node(3, Place::Worthless)],
        edges: vec![Edge { a: 0, b: 1, first: sighted(1, "till"), observations: 1 << 40, declared: true }],
        people: vec![person, Person::default()],
        counted: Counts { profiles: 1, identified: -1, identifiers: 2, refused: 3 },
    }
}

#[test]
fn a_component_comes_back_as_it_was() {
    let bytes = encode_component(&component());

    assert_eq!(decode_component(5, &bytes).unwrap(), component());
}

#[test]
fn a_cut_off_component_is_damaged_and_never_panics() {
    let bytes = encode_component(&component());

    for length in 0..bytes.len() {
        assert!(decode_component(5, &bytes[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_component(1, &bytes);
        if let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        let _ = decode_component(1, &bytes);
        let _ = decode_pointers(&bytes);
    }

    #[test]
    fn pointers_come_back_as_they_were(pointers in prop::collection::vec((any::<i64>(), any::<u64>()), 0..70)) {
        let pointers: Vec<Pointer> =
            pointers.into_iter().map(|(time_us, offset)| Pointer { time_us, offset }).collect();

        prop_assert_eq!(decode_pointers(&encode_pointers(&pointers)).unwrap(), pointers);
    }
}
