use super::*;
use crate::domain::DAY_US;
use crate::domain::state::{CONSENTS, CURRENCY, EVENTS, ORDERS, RFM, TRAITS};

const NOW_US: i64 = 20_000 * DAY_US;

fn person() -> State {
    let mut state = sample();
    state.stats.orders_us = Some(Span { first_us: NOW_US - 400 * DAY_US, last_us: NOW_US - 61 * DAY_US });
    state.traits.insert("city".into(), "Lyon".into());
    state.traits.insert("age".into(), "42".into());
    state.consents.insert("marketing".into(), true);
    state.consents.insert("marketing:email".into(), false);
    state
}

fn holds(expression: &str) -> bool {
    holds_for(expression, &person())
}

fn holds_for(expression: &str, state: &State) -> bool {
    let rfm = Some(Cell { recency: 5, frequency: 4, monetary: 3 });
    let view = View { state, now_us: NOW_US, rfm, currency: "EUR" };
    Rule::compile(expression).unwrap().matches(&view)
}

fn refusal(expression: &str) -> String {
    Rule::compile(expression).unwrap_err().to_string()
}

#[test]
fn rules_read_every_variable() {
    for expression in [
        "stats.order_count >= 2 && stats.days_since_last_order > 60",
        "stats['order_count'] == 3",
        "stats.days_since_first_order == 400 && stats.days_since_last_order == 61",
        "stats.net_value > 80 && stats.net_value < 90.5 && stats.refunded_value == 10.0",
        "stats.average_order_value == 30.0 && stats.currency == 'EUR'",
        "stats.net_values['EUR'] == 90.0 && 'GBP' in stats.refunded_values == false",
        "traits.city == 'Lyon' && traits['city'].startsWith('L') && int(traits.age) > 40",
        "has(traits.city) && !has(traits.phone) && 'city' in traits",
        "consents.marketing && !consents['marketing:email']",
        "rfm.recency == 5 && rfm.frequency + rfm.monetary == 7 && rfm.segment == 'champions'",
        "now > timestamp('2024-01-01T00:00:00Z') && now - duration('24h') < now",
        "['Paris', 'Lyon'].exists(city, city == traits.city)",
        "traits.exists(name, traits[name] == 'Lyon') && traits.city in ['Lyon', 'Nice']",
        "stats.order_count > 5 ? false : traits.city.size() == 4",
    ] {
        assert!(holds(expression), "{expression}");
    }
}

#[test]
fn what_is_missing_never_matches_and_never_hides_what_is_there() {
    assert!(!holds("traits.phone == '1'"));
    assert!(!holds("traits.phone != '1'"));
    assert!(!holds("!consents['sms']"));
    assert!(!holds_for("stats.days_since_last_order > 10", &State::new()));
    assert!(holds("traits.phone == '1' || stats.order_count == 3"));
    assert!(holds_for("stats.order_count == 0 || stats.days_since_last_order > 60", &State::new()));
}

#[test]
fn unknown_names_are_refused_with_their_place() {
    assert_eq!(
        refusal("stats.order_count > 1 &&\n  stat.order_count > 2"),
        "reads the unknown variable \"stat\"; there are traits, stats, rfm, consents, now (line 2, column 3)"
    );
    assert!(refusal("stats.orders > 1").starts_with("reads the unknown field stats.orders; stats has order_count, "));
    assert!(refusal("stats['orders'] > 1").contains("unknown field stats.orders"));
    assert!(refusal("rfm.score > 1").contains("rfm has recency, frequency, monetary, segment"));
    assert!(refusal("now.year > 1").contains("now has no fields"));
    assert!(refusal("size(traits) > 1 && matches(traits.city, 'L.*')").contains("unknown function \"matches\""));
    assert!(refusal("stats.order_count >").starts_with("cannot be parsed: "));
}

#[test]
fn what_could_never_match_is_refused() {
    assert!(refusal("stats.order_count").contains("must yield true or false, and yields a value of type int"));
    assert!(refusal("stats.order_count > 'two'").contains("can never be evaluated"));
    assert!(refusal("stats.net_value / 2 > 10.0").contains("can never be evaluated"));
    assert!(refusal("   ").contains("must not be empty"));
}

#[test]
fn what_a_rule_reads_is_known() {
    let inputs = |expression: &str| Rule::compile(expression).unwrap().inputs();

    assert_eq!(inputs("stats.order_count > 1"), ORDERS);
    assert_eq!(inputs("stats.days_since_last_event > 1 && traits.city == 'x'"), EVENTS | TRAITS);
    assert_eq!(inputs("consents.marketing && rfm.segment == 'x'"), CONSENTS | RFM);
    assert_eq!(inputs("stats.net_value > 1.0"), ORDERS | CURRENCY);
    assert_eq!(inputs("['a'].exists(stats, stats == 'a')"), 0);
}

#[test]
fn instants_at_which_time_alone_may_turn_an_answer_are_known() {
    let next = |expression: &str| Rule::compile(expression).unwrap().next_change_us(&person(), NOW_US);

    assert_eq!(next("stats.order_count > 1"), None);
    assert_eq!(next("stats.days_since_last_order > 60"), None);
    assert_eq!(next("stats.days_since_last_order > 90"), Some(NOW_US + 29 * DAY_US));
    assert_eq!(
        next("120 <= stats.days_since_last_order || stats.days_since_last_order == 70"),
        Some(NOW_US + 9 * DAY_US)
    );
    assert_eq!(next("stats.days_since_last_order * 2 > 180"), Some(NOW_US + DAY_US));
    assert_eq!(next("stats.days_since_last_order in [90, 120]"), Some(NOW_US + DAY_US));
    assert_eq!(next("now > timestamp('2030-01-01T00:00:00Z')"), Some(NOW_US + DAY_US));
    assert_eq!(next("rfm.segment == 'at_risk'"), Some(NOW_US + DAY_US));
}

#[test]
fn hostile_expressions_are_refused_quickly_and_nothing_panics() {
    let deep_list = "[".repeat(2_000);
    let deep_group = format!("{}true{}", "(".repeat(2_000), ")".repeat(2_000));
    let within_limit = format!("{}true{}", "(".repeat(24), ")".repeat(24));
    let long_sum = format!("{}1 > 0", "1+".repeat(2_000));
    let long_index = format!("traits{}", "[0]".repeat(1_300));
    let long_select = format!("traits{} == 'a'", ".a".repeat(2_000));
    let ternaries = format!("{}true", "true?true:".repeat(400));
    let unary = format!("{}true", "!".repeat(4_000));
    let minus = format!("{}1 > 0", "-".repeat(4_000));
    let nested = "[1,2].exists(a, [1,2].exists(b, [1,2].exists(c, a == b && b == c)))".to_owned();
    let doubling = "['x'].map(a, a + a).map(a, a + a).map(a, a + a) == []".to_owned();
    let much_work = format!("[{}0].exists(x, {}x == 1)", "1,".repeat(900), "x == 2 || ".repeat(200));
    for hostile in [
        deep_list,
        deep_group,
        long_sum,
        long_index,
        long_select,
        ternaries,
        minus,
        nested,
        doubling,
        much_work,
        "a".repeat(5_000),
        "\"\\u".into(),
        "'\u{0}'".into(),
        "b'\\xff' == b'a'".into(),
        "é.ü == 'ß'".into(),
        "{'a': 1, 'a': 2}".into(),
        "1 / 0 == 1 && traits".into(),
        "traits{a: 1}".into(),
        ".stats.order_count".into(),
    ] {
        let started = std::time::Instant::now();
        let _ = Rule::compile(&hostile).map(|rule| rule.inputs());
        assert!(started.elapsed().as_secs() < 10, "{} took {:?}", &hostile[..hostile.len().min(40)], started.elapsed());
    }
    assert!(Rule::compile(&within_limit).is_ok());
    assert!(Rule::compile(&unary).is_ok() || !refusal(&unary).is_empty());
    assert!(!holds("9223372036854775807 + stats.order_count > 0"));
    assert!(!holds("stats.order_count / (stats.order_count - 3) > 0"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, ..Default::default() })]

    #[test]
    fn no_text_panics(text in "[a-z\\.\\[\\]\\(\\)\\{\\}0-9'\" <>=!&|?:,+*/%é\\\\-]{0,40}") {
        let _ = Rule::compile(&text);
    }
}
