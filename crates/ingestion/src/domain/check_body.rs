//! The rules of each kind of body, the same for every door.

use proto::event::v1::event::Body;
use proto::event::v1::{ContextSignal, OrderActivity};
use proto::event::v1::{
    cart_activity::Action as Cart, checkout_activity::Action as Checkout, coupon_activity::Action as Coupon,
    message_activity::Action as Message, order_activity::Action as Order, product_activity::Action as Product,
    product_list_activity::Action as List, promotion_activity::Action as Promotion,
};
use proto::google::r#type::Money;
use proto::r#type::v1::LineItem;

use super::check::check_identifier;
use super::instant;
use super::limits::{MAX_LISTED_PRODUCTS, MAX_PLACE_CHARS, MAX_SIGNAL_KIND_CHARS, fits};
use super::problem::{Problem, Reason, field_invalid};
use kit::Currency;

/// Checks a body and completes it: amounts without a currency take the source's, pieces that nobody counted are one.
pub(crate) fn check(body: &mut Body, default_currency: Option<Currency>) -> Result<(), Problem> {
    let rules = Rules { default_currency };
    match body {
        Body::PageViewed(_) | Body::Identified(_) | Body::ConsentChanged(_) | Body::Custom(_) => Ok(()),
        Body::Grouped(grouped) => given("group_id", &grouped.group_id),
        Body::Aliased(aliased) => match &aliased.previous {
            Some(previous) => check_identifier(previous),
            None => Err(field_invalid("previous", "must be given")),
        },
        Body::ProductListActivity(list) => {
            done(list.action() != List::Unspecified)?;
            if list.products.len() > MAX_LISTED_PRODUCTS {
                let message = format!("a list holds at most {MAX_LISTED_PRODUCTS} products");
                return Err(Problem::new(Reason::TooManyProducts, message));
            }
            rules.products(&mut list.products)
        }
        Body::ProductActivity(activity) => {
            done(activity.action() != Product::Unspecified)?;
            let product = activity.product.as_mut().ok_or_else(product_id_missing)?;
            rules.product(product)
        }
        Body::CartActivity(cart) => {
            done(cart.action() != Cart::Unspecified)?;
            let changes = matches!(cart.action(), Cart::Added | Cart::Removed);
            if changes && cart.products.is_empty() {
                return Err(product_id_missing());
            }
            rules.products(&mut cart.products)
        }
        Body::CheckoutActivity(checkout) => {
            done(checkout.action() != Checkout::Unspecified)?;
            rules.money("value", &mut checkout.value)?;
            rules.products(&mut checkout.products)
        }
        Body::OrderActivity(order) => rules.order(order),
        Body::PromotionActivity(promotion) => done(promotion.action() != Promotion::Unspecified),
        Body::CouponActivity(coupon) => {
            done(coupon.action() != Coupon::Unspecified)?;
            rules.money("discount", &mut coupon.discount)
        }
        Body::ProductReviewed(review) if review.product_id.is_empty() => Err(product_id_missing()),
        Body::ProductReviewed(review) if review.rating_milli < 0 => {
            Err(field_invalid("rating_milli", "must not be negative"))
        }
        Body::ProductReviewed(_) => Ok(()),
        Body::MessageActivity(message) => {
            done(message.action() != Message::Unspecified)?;
            given("message_id of the body", &message.message_id)
        }
        Body::StoreVisited(visit) => given("store_location_id", &visit.store_location_id),
        Body::ContextSignal(signal) => check_signal(signal),
    }
}

struct Rules {
    default_currency: Option<Currency>,
}

impl Rules {
    fn order(&self, order: &mut OrderActivity) -> Result<(), Problem> {
        done(order.action() != Order::Unspecified)?;
        if order.order_id.is_empty() {
            return Err(Problem::new(Reason::OrderIdMissing, "an order must have an order_id"));
        }
        if order.action() == Order::Completed && order.total.is_none() {
            return Err(Problem::new(Reason::AmountMissing, "a completed order must say its total"));
        }
        for (field, amount) in [
            ("total", &mut order.total),
            ("subtotal", &mut order.subtotal),
            ("revenue", &mut order.revenue),
            ("shipping", &mut order.shipping),
            ("tax", &mut order.tax),
            ("discount", &mut order.discount),
        ] {
            self.money(field, amount)?;
        }
        self.products(&mut order.products)
    }

    fn products(&self, products: &mut [LineItem]) -> Result<(), Problem> {
        products.iter_mut().try_for_each(|product| self.product(product))
    }

    fn product(&self, product: &mut LineItem) -> Result<(), Problem> {
        if product.product_id.is_empty() {
            return Err(product_id_missing());
        }
        if product.quantity < 0 {
            return Err(Problem::new(Reason::QuantityInvalid, "a quantity must not be negative"));
        }
        if product.position < 0 {
            return Err(field_invalid("position", "must not be negative"));
        }
        self.money("price", &mut product.price)
    }

    fn money(&self, field: &'static str, amount: &mut Option<Money>) -> Result<(), Problem> {
        let Some(money) = amount else { return Ok(()) };
        let currency = match money.currency_code.as_str() {
            "" => self.default_currency.ok_or_else(currency_missing)?,
            code => Currency::parse(code).ok_or_else(currency_unknown)?,
        };
        if money.currency_code != currency.code() {
            money.currency_code = currency.code().to_owned();
        }

        let same_sign = money.units == 0 || money.nanos == 0 || (money.units < 0) == (money.nanos < 0);
        let well_formed = same_sign && (-999_999_999..=999_999_999).contains(&money.nanos);
        let whole_micros = money.nanos % 1_000 == 0;
        let fits = money.units.checked_mul(1_000_000).is_some_and(|micros| micros.checked_add(1_000_000).is_some());
        let negative = money.units < 0 || money.nanos < 0;
        if negative || !well_formed || !whole_micros || !fits {
            let rule = "must not be negative, finer than a millionth, or larger than 64 bits of millionths";
            return Err(Problem::new(Reason::AmountInvalid, format!("{field} {rule}")));
        }
        Ok(())
    }
}

pub(crate) fn currency_missing() -> Problem {
    Problem::new(Reason::CurrencyMissing, "an amount has no currency and the source has no default")
}

pub(crate) fn currency_unknown() -> Problem {
    Problem::new(Reason::CurrencyUnknown, "a currency must be an active code of ISO 4217")
}

pub(crate) fn product_id_missing() -> Problem {
    Problem::new(Reason::ProductIdMissing, "a product must have a product_id")
}

fn check_signal(signal: &ContextSignal) -> Result<(), Problem> {
    given("kind", &signal.kind)?;
    // They are the key by which signals are kept, and no engine indexes a key of any length.
    let place = signal.place.iter().flat_map(|place| {
        [&place.country, &place.region, &place.city, &place.postal_code].map(|part| ("place", part, MAX_PLACE_CHARS))
    });
    for (field, text, limit) in place.chain([("kind", &signal.kind, MAX_SIGNAL_KIND_CHARS)]) {
        if !fits(text, limit) {
            return Err(field_invalid(field, &format!("must be at most {limit} characters")));
        }
    }
    let start_us = signal.start_time.as_ref().map(instant::from_timestamp).transpose()?;
    let end_us = signal.end_time.as_ref().map(instant::from_timestamp).transpose()?;
    match (start_us, end_us) {
        (Some(start_us), Some(end_us)) if end_us < start_us => {
            Err(field_invalid("end_time", "must not lie before start_time"))
        }
        _ => Ok(()),
    }
}

fn done(is_given: bool) -> Result<(), Problem> {
    if is_given { Ok(()) } else { Err(field_invalid("action", "must be given")) }
}

fn given(field: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() { Err(field_invalid(field, "must be given")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(total: Money) -> Body {
        let action = Order::Completed.into();
        Body::OrderActivity(OrderActivity { action, order_id: "o-1".into(), total: Some(total), ..Default::default() })
    }

    fn money(currency: &str, units: i64, nanos: i32) -> Money {
        Money { currency_code: currency.into(), units, nanos }
    }

    #[test]
    fn amounts_follow_their_rules() {
        let reason = |total| check(&mut order(total), None).unwrap_err().reason;

        assert_eq!(check(&mut order(money("EUR", 19, 990_000_000)), None), Ok(()));
        assert_eq!(reason(money("EUX", 1, 0)), Reason::CurrencyUnknown);
        assert_eq!(reason(money("", 1, 0)), Reason::CurrencyMissing);
        assert_eq!(reason(money("EUR", -1, 0)), Reason::AmountInvalid);
        assert_eq!(reason(money("EUR", 1, -1_000)), Reason::AmountInvalid);
        assert_eq!(reason(money("EUR", 1, 1)), Reason::AmountInvalid);
        assert_eq!(reason(money("EUR", 1, 1_000_000_000)), Reason::AmountInvalid);
        assert_eq!(reason(money("EUR", i64::MAX, 0)), Reason::AmountInvalid);
    }

    #[test]
    fn the_currency_of_the_source_completes_an_amount() {
        let mut body = order(money("", 5, 0));

        check(&mut body, Currency::parse("GBP")).unwrap();

        assert_eq!(body, order(money("GBP", 5, 0)));
    }

    #[test]
    fn an_order_needs_its_id_and_a_completed_one_its_total() {
        let bare = |action: Order, order_id: &str| {
            let order = OrderActivity { action: action.into(), order_id: order_id.into(), ..Default::default() };
            check(&mut Body::OrderActivity(order), None).map_err(|problem| problem.reason)
        };

        assert_eq!(bare(Order::Completed, ""), Err(Reason::OrderIdMissing));
        assert_eq!(bare(Order::Completed, "o-1"), Err(Reason::AmountMissing));
        assert_eq!(bare(Order::Refunded, "o-1"), Ok(()));
        assert_eq!(bare(Order::Unspecified, "o-1"), Err(Reason::FieldInvalid));
    }
}
