//! What a plan looks at: the properties of an event in the words of the e-commerce spec v2.

use proto::event::v1::event::Body;
use proto::event::v1::{Event, Identified};
use proto::google::r#type::Money;
use proto::r#type::v1::LineItem;
use serde_json::{Map, Number, Value};

/// Returns the document of an event. Only what the event says is in it: empty texts and unset amounts are not.
pub(crate) fn document(event: &Event) -> Value {
    let carried = match &event.body {
        Some(Body::Identified(identified)) => &identified.traits_json,
        Some(Body::Grouped(grouped)) => &grouped.traits_json,
        _ => &event.properties_json,
    };
    let members = match serde_json::from_slice(carried) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut document = Document(members);
    if let Some(body) = &event.body {
        document.body(body, event);
    }
    Value::Object(document.0)
}

struct Document(Map<String, Value>);

impl Document {
    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.0.insert(name.to_owned(), Value::String(text.to_owned()));
        }
    }

    fn number(&mut self, name: &str, number: i64) {
        self.0.insert(name.to_owned(), Value::Number(number.into()));
    }

    fn money(&mut self, name: &str, money: Option<&Money>) {
        let Some(money) = money else { return };
        if let Some(number) = decimal(money) {
            self.0.insert(name.to_owned(), Value::Number(number));
            self.text("currency", &money.currency_code);
        }
    }

    fn products(&mut self, products: &[LineItem]) {
        // The currency beside a list is that of its prices.
        let price = products.iter().find_map(|product| product.price.as_ref());
        if let Some(price) = price.filter(|_| !self.0.contains_key("currency")) {
            self.text("currency", &price.currency_code);
        }
        // A list that was not understood as a whole is among the carried properties, complete.
        if !products.is_empty() && !self.0.contains_key("products") {
            let items = products.iter().map(|product| {
                let mut item = Document(Map::new());
                item.product(product);
                Value::Object(item.0)
            });
            self.0.insert("products".to_owned(), Value::Array(items.collect()));
        }
    }

    fn product(&mut self, product: &LineItem) {
        for (name, text) in [
            ("product_id", &product.product_id),
            ("sku", &product.sku),
            ("name", &product.name),
            ("category", &product.category),
            ("brand", &product.brand),
            ("variant", &product.variant),
            ("coupon", &product.coupon),
            ("url", &product.url),
            ("image_url", &product.image_url),
        ] {
            self.text(name, text);
        }
        self.money("price", product.price.as_ref());
        self.number("quantity", product.quantity);
        if product.position > 0 {
            self.number("position", i64::from(product.position));
        }
    }

    fn body(&mut self, body: &Body, event: &Event) {
        match body {
            Body::PageViewed(page) => {
                self.text("name", &page.title);
                self.text("category", &page.category);
            }
            Body::Identified(identified) => self.identified(identified, event),
            Body::Grouped(_) | Body::Aliased(_) | Body::Custom(_) => {}
            Body::ProductListActivity(list) => {
                self.text("list_id", &list.list_id);
                self.text("category", &list.category);
                self.text("query", &list.query);
                self.products(&list.products);
            }
            Body::ProductActivity(activity) => {
                self.text("wishlist_id", &activity.wishlist_id);
                activity.product.iter().for_each(|product| self.product(product));
            }
            Body::CartActivity(cart) => {
                use proto::event::v1::cart_activity::Action;
                self.text("cart_id", &cart.cart_id);
                let changes = matches!(cart.action(), Action::Added | Action::Removed);
                match cart.products.as_slice() {
                    [product] if changes => self.product(product),
                    products => self.products(products),
                }
            }
            Body::CheckoutActivity(checkout) => {
                self.text("checkout_id", &checkout.checkout_id);
                self.text("order_id", &checkout.order_id);
                self.text("shipping_method", &checkout.shipping_method);
                self.text("payment_method", &checkout.payment_method);
                if checkout.step > 0 {
                    self.number("step", i64::from(checkout.step));
                }
                self.money("value", checkout.value.as_ref());
                self.products(&checkout.products);
            }
            Body::OrderActivity(order) => {
                self.text("order_id", &order.order_id);
                self.text("refunded_order_id", &order.refunded_order_id);
                self.text("coupon", &order.coupon);
                self.text("affiliation", &order.affiliation);
                for (name, money) in [
                    ("total", &order.total),
                    ("subtotal", &order.subtotal),
                    ("revenue", &order.revenue),
                    ("shipping", &order.shipping),
                    ("tax", &order.tax),
                    ("discount", &order.discount),
                ] {
                    self.money(name, money.as_ref());
                }
                self.products(&order.products);
            }
            Body::PromotionActivity(promotion) => {
                self.text("promotion_id", &promotion.promotion_id);
                self.text("creative", &promotion.creative);
                self.text("name", &promotion.title);
                self.text("position", &promotion.position);
            }
            Body::CouponActivity(coupon) => {
                self.text("coupon_id", &coupon.coupon_id);
                self.text("coupon_name", &coupon.coupon_name);
                self.text("order_id", &coupon.order_id);
                self.text("cart_id", &coupon.cart_id);
                self.money("discount", coupon.discount.as_ref());
                self.text("reason", &coupon.reason);
            }
            Body::ProductReviewed(review) => {
                self.text("product_id", &review.product_id);
                self.text("review_id", &review.review_id);
                self.text("review_body", &review.text);
                if let Some(rating) = Number::from_f64(f64::from(review.rating_milli) / 1_000.0) {
                    self.0.entry("rating").or_insert(Value::Number(rating));
                }
            }
            Body::MessageActivity(message) => {
                self.text("message_id", &message.message_id);
                self.text("campaign_id", &message.campaign_id);
                self.text("channel", &message.channel);
                self.text("url", &message.url);
                self.text("detail", &message.detail);
            }
            Body::ConsentChanged(consent) => self.text("origin", &consent.origin),
            Body::StoreVisited(visit) => {
                self.text("store_location_id", &visit.store_location_id);
                self.text("method", &visit.method);
            }
            Body::ContextSignal(signal) => self.text("kind", &signal.kind),
        }
    }

    fn identified(&mut self, identified: &Identified, event: &Event) {
        for kind in ["email", "phone"] {
            if let Some(identifier) = event.identifiers.iter().find(|identifier| identifier.kind == kind) {
                self.text(kind, &identifier.value);
            }
        }
        self.text("firstName", &identified.first_name);
        self.text("lastName", &identified.last_name);
        self.text("birthday", &identified.birth_date);
        self.text("gender", &identified.gender);
        let mut address = Document(Map::new());
        address.text("street", &identified.street);
        if let Some(place) = &identified.address {
            address.text("country", &place.country);
            address.text("state", &place.region);
            address.text("city", &place.city);
            address.text("postalCode", &place.postal_code);
        }
        if !address.0.is_empty() {
            self.0.entry("address").or_insert(Value::Object(address.0));
        }
    }
}

/// Returns an amount as the number that its decimal text stands for.
fn decimal(money: &Money) -> Option<Number> {
    let sign = if money.units < 0 || money.nanos < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:09}", money.units.unsigned_abs(), money.nanos.unsigned_abs());
    if money.nanos == 0 {
        return Some(Number::from(money.units));
    }
    text.parse().ok().and_then(Number::from_f64)
}
