//! What templates see.

use proto::campaign::v1::PreviewTemplateRequest;
use proto::google::r#type::Money;
use proto::recommendation::v1::recommend_response::Item;
use serde_json::{Value, json};

use super::{
    basket,
    campaign::{Definition, Trigger},
    contact::{Contact, Product},
    message::Message,
};

/// Products to fill in when a preview does not say how many.
const PREVIEW_PRODUCTS: i32 = 4;
const MOST_PREVIEW_PRODUCTS: i32 = 20;

/// Returns what is at hand when a message is set off: the basket's content, the order's lines.
pub(crate) fn products_at_hand<'c>(campaign: &Definition, message: &Message, contact: &'c Contact) -> Vec<&'c Product> {
    match campaign.trigger {
        Trigger::AbandonedBasket { .. } => basket::content(contact, message.as_of_us),
        Trigger::PostPurchase { .. } => {
            let order_id = message.cause.strip_prefix("order:").unwrap_or_default();
            contact
                .standing_order(order_id, message.as_of_us)
                .map_or_else(Vec::new, |order| order.products.iter().collect())
        }
        Trigger::SegmentEntered { .. } => Vec::new(),
    }
}

/// Returns the values of a message.
pub(crate) fn values(
    campaign: &Definition,
    message: &Message,
    contact: &Contact,
    recommended: &[Item],
    unsubscribe_url: &str,
) -> Value {
    let kind = match campaign.trigger {
        Trigger::AbandonedBasket { .. } => "abandoned_basket",
        Trigger::PostPurchase { .. } => "post_purchase",
        Trigger::SegmentEntered { .. } => "segment_entered",
    };
    let at_hand: Vec<Value> = products_at_hand(campaign, message, contact).into_iter().map(at_hand).collect();
    let segment_id = match &campaign.trigger {
        Trigger::SegmentEntered { segment_id, .. } => segment_id.as_str(),
        _ => "",
    };
    let time = chrono::DateTime::from_timestamp_micros(message.trigger_us).map(|time| time.to_rfc3339());
    json!({
        "profile": profile(&message.profile_id, contact),
        "traits": contact.traits,
        "products": recommended.iter().map(recommendation).collect::<Vec<_>>(),
        "trigger": {"kind": kind, "time": time, "products": at_hand, "segment_id": segment_id},
        "campaign": {"campaign_id": campaign.campaign_id, "name": campaign.name},
        "unsubscribe_url": unsubscribe_url,
    })
}

/// Returns the values of a preview.
pub(crate) fn preview_values(
    profile_id: &str,
    contact: &Contact,
    recommended: &[Item],
    unsubscribe_url: &str,
) -> Value {
    let in_basket: Vec<Value> = basket::content(contact, i64::MAX).into_iter().map(at_hand).collect();
    json!({
        "profile": profile(profile_id, contact),
        "traits": contact.traits,
        "products": recommended.iter().map(recommendation).collect::<Vec<_>>(),
        "trigger": {"kind": "preview", "time": "", "products": in_basket, "segment_id": ""},
        "campaign": {"campaign_id": "preview", "name": "Preview"},
        "unsubscribe_url": unsubscribe_url,
    })
}

/// Returns how many products a preview fills in.
pub(crate) fn preview_count(request: &PreviewTemplateRequest) -> i32 {
    match request.product_count {
        0 => PREVIEW_PRODUCTS,
        count => count.clamp(0, MOST_PREVIEW_PRODUCTS),
    }
}

fn profile(profile_id: &str, contact: &Contact) -> Value {
    json!({"profile_id": profile_id, "email": contact.email})
}

fn at_hand(product: &Product) -> Value {
    let title = if product.name.is_empty() { &product.product_id } else { &product.name };
    json!({
        "product_id": product.product_id,
        "title": title,
        "url": product.url,
        "image_url": product.image_url,
    })
}

fn recommendation(item: &Item) -> Value {
    let product = item.product.clone().unwrap_or_default();
    let currency = product.price.as_ref().map_or("", |price| price.currency_code.as_str());
    json!({
        "product_id": product.product_id,
        "title": product.title,
        "category": product.category,
        "brand": product.brand,
        "price": product.price.as_ref().map(amount),
        "currency": currency,
        "url": product.url,
        "image_url": product.image_url,
        "reason": item.reason,
    })
}

/// Returns an amount with two decimals, or with as many as the price has.
fn amount(money: &Money) -> String {
    let micros = i128::from(money.units) * 1_000_000 + i128::from(money.nanos / 1_000);
    let (sign, micros) = if micros < 0 { ("-", -micros) } else { ("", micros) };
    let (units, fraction) = (micros / 1_000_000, micros % 1_000_000);
    if fraction % 10_000 == 0 {
        return format!("{sign}{units}.{:02}", fraction / 10_000);
    }
    format!("{sign}{units}.{}", format!("{fraction:06}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_decimals_or_as_many_as_they_need() {
        let written = |units, nanos| amount(&Money { currency_code: "EUR".into(), units, nanos });

        assert_eq!([written(12, 500_000_000), written(0, 0), written(-1, -250_000_000)], ["12.50", "0.00", "-1.25"]);
        assert_eq!(written(1, 2_500_000), "1.0025");
    }
}
