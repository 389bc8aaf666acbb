//! The texts of an event: every string field, with how long it may be.

use proto::event::v1::event::Body;
use proto::event::v1::{Context, Event, Location};
use proto::r#type::v1::{Identifier, LineItem};

use super::limits::{MAX_EVENT_BYTES, MAX_KEY_CHARS, MAX_NAME_CHARS, MAX_PROOF_CHARS, fits};
use super::problem::{Problem, field_invalid};

/// Texts that only the size of the event bounds.
const FREE: usize = MAX_EVENT_BYTES;

/// Refuses texts that are too long, or hold a NUL character, which PostgreSQL cannot keep.
pub(crate) fn check(event: &Event) -> Result<(), Problem> {
    let mut checker = Checker { problem: None };
    event_texts(event, &mut checker);
    match checker.problem {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

struct Checker {
    problem: Option<Problem>,
}

impl Checker {
    fn see(&mut self, field: &str, text: &str, limit: usize) {
        if self.problem.is_some() {
            return;
        }
        if !fits(text, limit) {
            self.problem = Some(field_invalid(field, &format!("must be at most {limit} characters")));
        } else if text.as_bytes().contains(&0) {
            self.problem = Some(field_invalid(field, "must not hold a NUL character"));
        }
    }
}

fn event_texts(event: &Event, checker: &mut Checker) {
    checker.see("message_id", &event.message_id, FREE);
    checker.see("name", &event.name, MAX_NAME_CHARS);
    for identifier in &event.identifiers {
        identifier_texts(identifier, checker);
    }
    for consent in &event.consents {
        checker.see("consents.proof", &consent.proof, MAX_PROOF_CHARS);
    }
    if let Some(provenance) = &event.provenance {
        checker.see("provenance.library", &provenance.library, MAX_KEY_CHARS);
    }
    if let Some(context) = &event.context {
        context_texts(context, checker);
    }
    if let Some(body) = &event.body {
        body_texts(body, checker);
    }
}

fn identifier_texts(identifier: &Identifier, checker: &mut Checker) {
    checker.see("identifiers.value", &identifier.value, FREE);
}

fn context_texts(context: &Context, checker: &mut Checker) {
    checker.see("context.ip", &context.ip, MAX_KEY_CHARS);
    checker.see("context.user_agent", &context.user_agent, FREE);
    checker.see("context.locale", &context.locale, MAX_KEY_CHARS);
    checker.see("context.timezone", &context.timezone, MAX_KEY_CHARS);
    checker.see("context.session_id", &context.session_id, MAX_KEY_CHARS);
    if let Some(page) = &context.page {
        for text in [&page.url, &page.path, &page.title, &page.referrer, &page.search] {
            checker.see("context.page", text, FREE);
        }
    }
    if let Some(campaign) = &context.campaign {
        for text in [&campaign.name, &campaign.source, &campaign.medium, &campaign.term, &campaign.content] {
            checker.see("context.campaign", text, FREE);
        }
    }
    location_texts("context.location", context.location.as_ref(), checker);
    if let Some(device) = &context.device {
        for text in [&device.id, &device.r#type, &device.manufacturer, &device.model, &device.os] {
            checker.see("context.device", text, FREE);
        }
    }
}

fn location_texts(field: &str, location: Option<&Location>, checker: &mut Checker) {
    let Some(location) = location else { return };
    for text in [&location.country, &location.region, &location.city, &location.postal_code] {
        checker.see(field, text, MAX_KEY_CHARS);
    }
}

fn body_texts(body: &Body, checker: &mut Checker) {
    match body {
        Body::PageViewed(page) => {
            checker.see("title", &page.title, FREE);
            checker.see("category", &page.category, FREE);
        }
        Body::Identified(identified) => {
            for (field, text) in [
                ("first_name", &identified.first_name),
                ("last_name", &identified.last_name),
                ("birth_date", &identified.birth_date),
                ("gender", &identified.gender),
                ("street", &identified.street),
            ] {
                checker.see(field, text, FREE);
            }
            location_texts("address", identified.address.as_ref(), checker);
        }
        Body::Grouped(grouped) => checker.see("group_id", &grouped.group_id, MAX_KEY_CHARS),
        Body::Aliased(aliased) => {
            if let Some(previous) = &aliased.previous {
                identifier_texts(previous, checker);
            }
        }
        Body::ProductListActivity(list) => {
            checker.see("list_id", &list.list_id, MAX_KEY_CHARS);
            checker.see("category", &list.category, FREE);
            checker.see("query", &list.query, FREE);
            products_texts(&list.products, checker);
        }
        Body::ProductActivity(activity) => {
            products_texts(activity.product.as_slice(), checker);
            checker.see("wishlist_id", &activity.wishlist_id, MAX_KEY_CHARS);
        }
        Body::CartActivity(cart) => {
            checker.see("cart_id", &cart.cart_id, MAX_KEY_CHARS);
            products_texts(&cart.products, checker);
        }
        Body::CheckoutActivity(checkout) => {
            checker.see("checkout_id", &checkout.checkout_id, MAX_KEY_CHARS);
            checker.see("order_id", &checkout.order_id, MAX_KEY_CHARS);
            checker.see("shipping_method", &checkout.shipping_method, FREE);
            checker.see("payment_method", &checkout.payment_method, FREE);
            products_texts(&checkout.products, checker);
        }
        Body::OrderActivity(order) => {
            checker.see("order_id", &order.order_id, MAX_KEY_CHARS);
            checker.see("refunded_order_id", &order.refunded_order_id, MAX_KEY_CHARS);
            checker.see("coupon", &order.coupon, FREE);
            checker.see("affiliation", &order.affiliation, FREE);
            products_texts(&order.products, checker);
        }
        Body::PromotionActivity(promotion) => {
            checker.see("promotion_id", &promotion.promotion_id, MAX_KEY_CHARS);
            for text in [&promotion.creative, &promotion.title, &promotion.position] {
                checker.see("promotion", text, FREE);
            }
        }
        Body::CouponActivity(coupon) => {
            checker.see("coupon_id", &coupon.coupon_id, MAX_KEY_CHARS);
            checker.see("order_id", &coupon.order_id, MAX_KEY_CHARS);
            checker.see("cart_id", &coupon.cart_id, MAX_KEY_CHARS);
            checker.see("coupon_name", &coupon.coupon_name, FREE);
            checker.see("reason", &coupon.reason, FREE);
        }
        Body::ProductReviewed(review) => {
            checker.see("product_id", &review.product_id, MAX_KEY_CHARS);
            checker.see("review_id", &review.review_id, MAX_KEY_CHARS);
            checker.see("text", &review.text, FREE);
        }
        Body::MessageActivity(message) => {
            checker.see("message_id", &message.message_id, MAX_KEY_CHARS);
            checker.see("campaign_id", &message.campaign_id, MAX_KEY_CHARS);
            checker.see("channel", &message.channel, MAX_KEY_CHARS);
            checker.see("url", &message.url, FREE);
            checker.see("detail", &message.detail, FREE);
        }
        Body::ConsentChanged(consent) => checker.see("origin", &consent.origin, FREE),
        Body::StoreVisited(visit) => {
            checker.see("store_location_id", &visit.store_location_id, MAX_KEY_CHARS);
            checker.see("method", &visit.method, MAX_KEY_CHARS);
        }
        Body::ContextSignal(signal) => {
            checker.see("kind", &signal.kind, MAX_KEY_CHARS);
            location_texts("place", signal.place.as_ref(), checker);
        }
        Body::Custom(_) => {}
    }
}

fn products_texts(products: &[LineItem], checker: &mut Checker) {
    for product in products {
        checker.see("product_id", &product.product_id, MAX_KEY_CHARS);
        checker.see("sku", &product.sku, MAX_KEY_CHARS);
        for text in [
            &product.name,
            &product.category,
            &product.brand,
            &product.variant,
            &product.coupon,
            &product.url,
            &product.image_url,
        ] {
            checker.see("product", text, FREE);
        }
    }
}
