//! Orders.

use proto::event::v1::OrderActivity;
use proto::event::v1::order_activity::Action;
use proto::google::r#type::Money;
use proto::r#type::v1::LineItem;

use super::amounts::{Amounts, Sign, micros};
use super::line;
use crate::domain::json::Members;
use crate::domain::problem::{Problem, Reason};

/// Reads an order, or what became of one.
pub(super) fn read(
    action: Action,
    properties: &mut Members<'_>,
    amounts: &mut Amounts,
) -> Result<OrderActivity, Problem> {
    let money_goes_back = matches!(action, Action::Refunded | Action::Cancelled);
    let sign = if money_goes_back { Sign::Either } else { Sign::Positive };
    let mut order = OrderActivity {
        action: action.into(),
        order_id: properties.take_text(&["order_id", "orderId"]),
        refunded_order_id: properties.take_text(&["refunded_order_id", "refundedOrderId"]),
        total: amounts.take(properties, &["total"], sign)?,
        subtotal: amounts.take(properties, &["subtotal"], sign)?,
        revenue: amounts.take(properties, &["revenue"], sign)?,
        shipping: amounts.take(properties, &["shipping"], sign)?,
        tax: amounts.take(properties, &["tax"], sign)?,
        discount: amounts.take(properties, &["discount"], Sign::Either)?,
        coupon: properties.take_text(&["coupon"]),
        affiliation: properties.take_text(&["affiliation"]),
        products: line::read_all(properties, amounts)?,
    };
    if order.total.is_none() && !money_goes_back {
        order.total = match total_of_parts(&order)? {
            Some(micros) => Some(amounts.money(micros)?),
            None => amounts.take(properties, &["value"], sign)?,
        };
    }
    Ok(order)
}

/// Returns what the customer pays in all, in millionths, where the shop only told the parts: revenue (which leaves out
/// shipping and tax), or the goods less the discount, and what comes on top.
fn total_of_parts(order: &OrderActivity) -> Result<Option<i64>, Problem> {
    let part = |money: &Option<Money>| money.as_ref().and_then(micros).unwrap_or_default();
    let goods = if order.revenue.is_some() {
        part(&order.revenue)
    } else if order.subtotal.is_some() {
        part(&order.subtotal).saturating_sub(part(&order.discount))
    } else if let Some(lines) = total_of_lines(&order.products) {
        lines.saturating_sub(part(&order.discount))
    } else {
        return Ok(None);
    };

    let total = goods.checked_add(part(&order.shipping)).and_then(|sum| sum.checked_add(part(&order.tax)));
    match total {
        Some(total) if total >= 0 => Ok(Some(total)),
        _ => Err(Problem::new(Reason::AmountInvalid, "the parts of the order add up to no amount")),
    }
}

/// Returns price by quantity over all lines; `None` when one has no price, or another currency.
fn total_of_lines(lines: &[LineItem]) -> Option<i64> {
    let currency = &lines.first()?.price.as_ref()?.currency_code;
    lines.iter().try_fold(0_i64, |sum, line| {
        let price = line.price.as_ref().filter(|price| price.currency_code == *currency)?;
        sum.checked_add(micros(price)?.checked_mul(line.quantity)?)
    })
}
