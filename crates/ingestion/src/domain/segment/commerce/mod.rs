//! The e-commerce events: properties become typed fields, and what is not understood stays a property.

mod amounts;
mod line;
mod order;

use proto::event::v1::event::Body;
use proto::event::v1::{
    CartActivity, CheckoutActivity, ConsentChanged, CouponActivity, ProductActivity, ProductListActivity,
    ProductReviewed, PromotionActivity, cart_activity, checkout_activity, coupon_activity, product_activity,
    product_list_activity,
};

use self::amounts::{Amounts, Sign};
use crate::domain::decimal;
use crate::domain::json::{Json, Members};
use crate::domain::problem::Problem;
use crate::domain::vocabulary::Meaning;
use kit::Currency;

/// Reads the properties of an event that we understand.
pub(crate) fn read(
    meaning: Meaning,
    properties: &mut Members<'_>,
    default_currency: Option<Currency>,
) -> Result<Body, Problem> {
    let mut amounts = Amounts::new(properties, default_currency);
    let body = match meaning {
        Meaning::List(action) => list(action, properties, &mut amounts)?,
        Meaning::Product(action) => product(action, properties, &mut amounts)?,
        Meaning::Cart(action) => cart(action, properties, &mut amounts)?,
        Meaning::Checkout(action) => checkout(action, properties, &mut amounts)?,
        Meaning::Order(action) => Body::OrderActivity(order::read(action, properties, &mut amounts)?),
        Meaning::Promotion(action) => Body::PromotionActivity(PromotionActivity {
            action: action.into(),
            promotion_id: properties.take_text(&["promotion_id", "promotionId", "id"]),
            creative: properties.take_text(&["creative"]),
            title: properties.take_text(&["name"]),
            position: properties.take_text(&["position"]),
        }),
        Meaning::Coupon(action) => coupon(action, properties, &mut amounts)?,
        Meaning::Reviewed => review(properties),
        Meaning::ConsentPreference => {
            Body::ConsentChanged(ConsentChanged { origin: properties.take_text(&["origin"]) })
        }
    };
    if amounts.used_given_currency() {
        properties.take("currency");
    }
    Ok(body)
}

fn list(
    action: product_list_activity::Action,
    properties: &mut Members<'_>,
    amounts: &mut Amounts,
) -> Result<Body, Problem> {
    Ok(Body::ProductListActivity(ProductListActivity {
        action: action.into(),
        list_id: properties.take_text(&["list_id", "listId"]),
        category: properties.take_text(&["category"]),
        query: properties.take_text(&["query"]),
        products: line::read_all(properties, amounts)?,
    }))
}

fn product(
    action: product_activity::Action,
    properties: &mut Members<'_>,
    amounts: &mut Amounts,
) -> Result<Body, Problem> {
    Ok(Body::ProductActivity(ProductActivity {
        action: action.into(),
        wishlist_id: properties.take_text(&["wishlist_id", "wishlistId"]),
        product: Some(line::read(properties, amounts)?),
    }))
}

fn cart(action: cart_activity::Action, properties: &mut Members<'_>, amounts: &mut Amounts) -> Result<Body, Problem> {
    let cart_id = properties.take_text(&["cart_id", "cartId"]);
    let changes = matches!(action, cart_activity::Action::Added | cart_activity::Action::Removed);
    let products = if changes { vec![line::read(properties, amounts)?] } else { line::read_all(properties, amounts)? };
    Ok(Body::CartActivity(CartActivity { action: action.into(), cart_id, products }))
}

fn checkout(
    action: checkout_activity::Action,
    properties: &mut Members<'_>,
    amounts: &mut Amounts,
) -> Result<Body, Problem> {
    let step = properties.take_if("step", |json| {
        decimal::whole(&json.scalar()?).and_then(|step| i32::try_from(step).ok()).filter(|step| *step > 0)
    });
    Ok(Body::CheckoutActivity(CheckoutActivity {
        action: action.into(),
        checkout_id: properties.take_text(&["checkout_id", "checkoutId"]),
        order_id: properties.take_text(&["order_id", "orderId"]),
        step: step.unwrap_or_default(),
        value: amounts.take(properties, &["value", "total", "revenue"], Sign::Positive)?,
        products: line::read_all(properties, amounts)?,
        shipping_method: properties.take_text(&["shipping_method", "shippingMethod"]),
        payment_method: properties.take_text(&["payment_method", "paymentMethod"]),
    }))
}

fn coupon(
    action: coupon_activity::Action,
    properties: &mut Members<'_>,
    amounts: &mut Amounts,
) -> Result<Body, Problem> {
    Ok(Body::CouponActivity(CouponActivity {
        action: action.into(),
        coupon_id: properties.take_text(&["coupon_id", "couponId"]),
        coupon_name: properties.take_text(&["coupon_name", "couponName"]),
        order_id: properties.take_text(&["order_id", "orderId"]),
        cart_id: properties.take_text(&["cart_id", "cartId"]),
        discount: amounts.take(properties, &["discount"], Sign::Either)?,
        reason: properties.take_text(&["reason"]),
    }))
}

fn review(properties: &mut Members<'_>) -> Body {
    Body::ProductReviewed(ProductReviewed {
        product_id: properties.take_text(&["product_id", "productId", "id"]),
        review_id: properties.take_text(&["review_id", "reviewId"]),
        text: properties.take_text(&["review_body", "reviewBody"]),
        rating_milli: properties.take_if("rating", rating_milli).unwrap_or_default(),
    })
}

/// Returns a rating ("4.5") in thousandths; words, and what is finer, stay a property.
fn rating_milli(json: Json<'_>) -> Option<i32> {
    let micros = decimal::micros(&json.scalar()?)?;
    let is_whole = micros % 1_000 == 0;
    i32::try_from(micros / 1_000).ok().filter(|rating| *rating >= 0 && is_whole)
}
