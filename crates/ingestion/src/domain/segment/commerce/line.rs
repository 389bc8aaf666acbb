//! Products: one among the properties of an event, or many in its `products`.

use proto::r#type::v1::LineItem;

use super::amounts::{Amounts, Sign};
use crate::domain::decimal;
use crate::domain::json::{Json, Members};
use crate::domain::problem::{Problem, Reason, field_invalid};

/// Takes the fields of one product. `product_id` is empty when the shop gave neither that, nor `id`, nor `sku`.
pub(super) fn read(members: &mut Members<'_>, amounts: &mut Amounts) -> Result<LineItem, Problem> {
    let sku = members.take_text(&["sku"]);
    let product_id = members.take_text(&["product_id", "productId", "id"]);
    let product_id = if product_id.is_empty() { sku.clone() } else { product_id };
    // The typed field cannot tell 0 from nothing: 0 stays a property.
    let position = members.take_if("position", |json| place(json).filter(|at| *at > 0));
    Ok(LineItem {
        product_id,
        sku,
        name: members.take_text(&["name"]),
        category: members.take_text(&["category"]),
        brand: members.take_text(&["brand"]),
        variant: members.take_text(&["variant"]),
        price: amounts.take(members, &["price"], Sign::Positive)?,
        quantity: quantity(members)?,
        coupon: members.take_text(&["coupon"]),
        position: position.unwrap_or_default(),
        url: members.take_text(&["url"]),
        image_url: members.take_text(&["image_url", "imageUrl"]),
    })
}

fn place(json: Json<'_>) -> Option<i32> {
    decimal::whole(&json.scalar()?).and_then(|position| i32::try_from(position).ok())
}

/// Takes `products`. A list in which something is not understood (a product without id, a property of the shop's own)
/// is read as far as it goes, and stays among the properties as well.
pub(super) fn read_all(properties: &mut Members<'_>, amounts: &mut Amounts) -> Result<Vec<LineItem>, Problem> {
    let Some(json) = properties.get("products") else { return Ok(Vec::new()) };
    let items = json.items().ok_or_else(|| field_invalid("products", "must be an array"))?;

    let mut lines = Vec::with_capacity(items.len());
    let mut all_understood = true;
    for mut members in items.into_iter().map(Json::members) {
        let Some(members) = &mut members else {
            all_understood = false;
            continue;
        };
        let mut of_line = amounts.of_line(members);
        let line = read(members, &mut of_line)?;
        amounts.note_used(&of_line);
        // Whoever counts from 0 says no more than the order of the list.
        members.take_if("position", |json| place(json).filter(|at| *at == 0));
        if of_line.used_given_currency() {
            members.take("currency");
        }
        all_understood &= members.nothing_left() && !line.product_id.is_empty();
        if !line.product_id.is_empty() {
            lines.push(line);
        }
    }
    if all_understood {
        properties.take("products");
    }
    Ok(lines)
}

/// Takes the number of pieces; 1 when nobody counted.
fn quantity(members: &mut Members<'_>) -> Result<i64, Problem> {
    let invalid = || Problem::new(Reason::QuantityInvalid, "quantity must be a whole number, not negative");
    let Some(json) = members.take("quantity") else { return Ok(1) };
    let text = json.scalar().ok_or_else(invalid)?;
    if text.trim().is_empty() {
        return Ok(1);
    }
    decimal::whole(&text).filter(|quantity| *quantity >= 0).ok_or_else(invalid)
}
