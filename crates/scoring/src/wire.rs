//! Between the contracts and the domain.

use kit::time::{timestamp, valid_micros};
use proto::event::v1 as event;
use proto::google::r#type::Money;
use proto::r#type::v1::{Consent, ConsentState, LineItem};

use crate::domain::event::{Amount, Event, OrderAction, OrderTold, What};
use crate::domain::rfm::Cell;
use crate::domain::state::Stats;
use proto::scoring::v1::{Rfm, Statistics};

/// Returns an amount as money.
pub(crate) fn money(currency: &str, amount_micros: i64) -> Money {
    Money {
        currency_code: currency.to_owned(),
        units: amount_micros / 1_000_000,
        nanos: i32::try_from(amount_micros % 1_000_000 * 1_000).unwrap_or_default(),
    }
}

/// Returns money as an amount. What is finer than a micro is dropped; ingestion lets nothing finer through.
pub(crate) fn amount(money: &Money) -> Amount {
    let micros = money.units.saturating_mul(1_000_000).saturating_add(i64::from(money.nanos / 1_000));
    Amount { micros, currency: money.currency_code.clone() }
}

/// Returns what scoring takes in of an event; `record_time_us` stands in where the event has no time.
pub(crate) fn domain_event(event: &event::Event, record_time_us: i64) -> Event {
    Event {
        time_us: event.event_time.as_ref().and_then(valid_micros).unwrap_or(record_time_us),
        id: event_number(&event.event_id),
        what: what(event),
    }
}

fn what(event: &event::Event) -> What {
    match &event.body {
        Some(event::event::Body::OrderActivity(activity)) => order(event, activity).map_or(What::Other, What::Order),
        Some(event::event::Body::ProductActivity(activity))
            if activity.action() == event::product_activity::Action::Viewed =>
        {
            What::ProductViewed
        }
        Some(event::event::Body::CartActivity(activity))
            if activity.action() == event::cart_activity::Action::Added =>
        {
            What::CartAdded(activity.products.len().max(1) as u64)
        }
        _ => What::Other,
    }
}

fn order(event: &event::Event, activity: &event::OrderActivity) -> Option<OrderTold> {
    let action = match activity.action() {
        event::order_activity::Action::Completed => OrderAction::Completed,
        event::order_activity::Action::Updated => OrderAction::Updated,
        event::order_activity::Action::Refunded => OrderAction::Refunded,
        event::order_activity::Action::Cancelled => OrderAction::Cancelled,
        event::order_activity::Action::Unspecified => return None,
    };
    let location = event.context.as_ref().and_then(|context| context.location.as_ref());
    Some(OrderTold {
        action,
        order_id: activity.order_id.clone(),
        refunded_order_id: activity.refunded_order_id.clone(),
        // Of a refund only the total is an amount: without one the whole order goes back.
        value: match action {
            OrderAction::Refunded => activity.total.as_ref().map(amount),
            _ => order_value(activity),
        },
        country: location.map(|location| location.country.clone()).unwrap_or_default(),
    })
}

/// Returns the total, else the revenue, else the subtotal, else the sum of the lines; none when nothing is told.
fn order_value(activity: &event::OrderActivity) -> Option<Amount> {
    let told = activity.total.as_ref().or(activity.revenue.as_ref()).or(activity.subtotal.as_ref());
    told.map(amount).or_else(|| sum_of_lines(&activity.products))
}

/// Lines without a price, or in another currency than the first, cannot be added up and are left out.
fn sum_of_lines(lines: &[LineItem]) -> Option<Amount> {
    let mut sum: Option<Amount> = None;
    for line in lines {
        let Some(price) = &line.price else { continue };
        let price = amount(price);
        let value = price.micros.saturating_mul(line.quantity.max(1));
        match &mut sum {
            None => sum = Some(Amount { micros: value, currency: price.currency }),
            Some(sum) if sum.currency == price.currency => sum.micros = sum.micros.saturating_add(value),
            Some(_) => {}
        }
    }
    sum
}

/// Returns an event id as a number that orders as the id does.
fn event_number(event_id: &str) -> u128 {
    if let Ok(id) = uuid::Uuid::try_parse(event_id) {
        return id.as_u128();
    }
    event_id.bytes().take(16).fold(0, |number, byte| number << 8 | u128::from(byte))
}

/// Returns a consent as the key that rules know it by, and the answer; none when it was never given.
pub(crate) fn consent(consent: &Consent) -> Option<(String, bool)> {
    let answer = match consent.state() {
        ConsentState::Granted => true,
        ConsentState::Denied => false,
        ConsentState::Unspecified => return None,
    };
    let key = match consent.channel.as_str() {
        "" => consent.purpose.clone(),
        channel => format!("{}:{channel}", consent.purpose),
    };
    Some((key, answer))
}

/// Returns statistics as they are shown.
pub(crate) fn statistics(stats: &Stats) -> Statistics {
    Statistics {
        order_count: stats.order_count,
        first_order_time: stats.orders_us.map(|span| timestamp(span.first_us)),
        last_order_time: stats.orders_us.map(|span| timestamp(span.last_us)),
        net_values: stats.values.iter().map(|(currency, value)| money(currency, value.net_micros)).collect(),
        refunded_values: stats
            .values
            .iter()
            .filter(|(_, value)| value.refunded_micros != 0)
            .map(|(currency, value)| money(currency, value.refunded_micros))
            .collect(),
        event_count: stats.event_count,
        first_event_time: stats.events_us.map(|span| timestamp(span.first_us)),
        last_event_time: stats.events_us.map(|span| timestamp(span.last_us)),
        product_view_count: stats.product_view_count,
        cart_add_count: stats.cart_add_count,
    }
}

/// Returns a cell as it is shown.
pub(crate) fn rfm(cell: Cell) -> Rfm {
    Rfm {
        recency: i32::from(cell.recency),
        frequency: i32::from(cell.frequency),
        monetary: i32::from(cell.monetary),
        segment: cell.segment().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_comes_back_as_it_was() {
        for micros_told in [0, 1, -1, 12_345_678, -12_345_678, i64::MAX, i64::MIN] {
            assert_eq!(amount(&money("EUR", micros_told)).micros, micros_told);
        }
    }

    #[test]
    fn an_order_is_worth_its_total_or_what_comes_nearest() {
        let line = |units: i64, quantity| LineItem {
            price: Some(money("EUR", units * 1_000_000)),
            quantity,
            ..LineItem::default()
        };
        let mut activity =
            event::OrderActivity { products: vec![line(2, 3), line(1, 0), LineItem::default()], ..Default::default() };
        let value = |activity: &event::OrderActivity| order_value(activity).map(|amount| amount.micros / 1_000_000);

        assert_eq!(value(&activity), Some(7));
        activity.subtotal = Some(money("EUR", 6_000_000));
        assert_eq!(value(&activity), Some(6));
        activity.revenue = Some(money("EUR", 5_000_000));
        assert_eq!(value(&activity), Some(5));
        activity.total = Some(money("EUR", 4_000_000));
        assert_eq!(value(&activity), Some(4));
        assert_eq!(value(&event::OrderActivity::default()), None);
    }

    #[test]
    fn event_ids_order_as_text_does() {
        let ids = ["0190b4a0-0000-7000-8000-000000000000", "0190b4a0-0000-7000-8000-000000000001"];
        assert!(event_number(ids[0]) < event_number(ids[1]));
        assert!(event_number("a-1") < event_number("a-2"));
    }
}
