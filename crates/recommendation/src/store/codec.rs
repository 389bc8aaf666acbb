//! How state is packed into one value of a row: protobuf, private to this crate.
//!
//! Fields may be added; a number is never used again.

use prost::Message;
use store::Error;

use crate::domain::{
    history::{DayCounts, History},
    item::Item,
    neighbours::Neighbours,
    order::{EventKey, Line, Order, OrderKey, Return},
    profile::{Glance, Glances, Profile},
};

/// Columns of numbers: what ascends is kept as differences, so most take one byte.
#[derive(Clone, PartialEq, Message)]
struct ItemState {
    #[prost(uint64, tag = "1")]
    orders: u64,
    #[prost(uint64, tag = "2")]
    views: u64,
    #[prost(sint32, repeated, tag = "3")]
    day_steps: Vec<i32>,
    #[prost(uint32, repeated, tag = "4")]
    day_views: Vec<u32>,
    #[prost(uint32, repeated, tag = "5")]
    day_carts: Vec<u32>,
    #[prost(uint32, repeated, tag = "6")]
    day_purchases: Vec<u32>,
    #[prost(uint32, repeated, tag = "7")]
    bought_steps: Vec<u32>,
    #[prost(uint32, repeated, tag = "8")]
    bought_counts: Vec<u32>,
    #[prost(uint32, repeated, tag = "9")]
    viewed_steps: Vec<u32>,
    #[prost(uint32, repeated, tag = "10")]
    viewed_counts: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct OrderState {
    #[prost(int64, optional, tag = "1")]
    first_us: Option<i64>,
    #[prost(int64, tag = "2")]
    told_us: i64,
    #[prost(bytes = "vec", tag = "3")]
    told_by: Vec<u8>,
    #[prost(string, repeated, tag = "4")]
    products: Vec<String>,
    #[prost(bool, tag = "5")]
    cancelled: bool,
    #[prost(bool, tag = "6")]
    sealed: bool,
    /// Only within a profile; a row of its own has it as key.
    #[prost(bytes = "vec", tag = "7")]
    key: Vec<u8>,
    /// Pieces of each product; none when it is one of each.
    #[prost(uint32, repeated, tag = "8")]
    quantities: Vec<u32>,
    #[prost(message, repeated, tag = "9")]
    returns: Vec<ReturnState>,
}

#[derive(Clone, PartialEq, Message)]
struct ReturnState {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int64, tag = "2")]
    time_us: i64,
    #[prost(string, repeated, tag = "3")]
    products: Vec<String>,
    #[prost(uint32, repeated, tag = "4")]
    quantities: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct GlanceState {
    #[prost(int64, tag = "1")]
    time_us: i64,
    #[prost(string, tag = "2")]
    product_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct ProfileState {
    #[prost(message, repeated, tag = "1")]
    views: Vec<GlanceState>,
    #[prost(message, repeated, tag = "2")]
    carts: Vec<GlanceState>,
    #[prost(message, repeated, tag = "3")]
    orders: Vec<OrderState>,
    #[prost(bool, tag = "4")]
    denies_personalisation: bool,
}

pub(super) fn pack_item(item: &Item) -> Vec<u8> {
    let days = item.history.days();
    let mut last_day = 0;
    let mut day_steps = Vec::with_capacity(days.len());
    for counts in days {
        day_steps.push(counts.day.wrapping_sub(last_day));
        last_day = counts.day;
    }
    let (bought_steps, bought_counts) = pack_pairs(item.bought.pairs());
    let (viewed_steps, viewed_counts) = pack_pairs(item.viewed.pairs());
    ItemState {
        orders: item.orders,
        views: item.views,
        day_steps,
        day_views: days.iter().map(|counts| counts.views).collect(),
        day_carts: days.iter().map(|counts| counts.carts).collect(),
        day_purchases: days.iter().map(|counts| counts.purchases).collect(),
        bought_steps,
        bought_counts,
        viewed_steps,
        viewed_counts,
    }
    .encode_to_vec()
}

pub(super) fn unpack_item(product_id: &str, version: i64, bytes: &[u8]) -> Result<Item, Error> {
    let state = ItemState::decode(bytes).map_err(|_| damaged("an item"))?;
    let columns = [&state.day_views, &state.day_carts, &state.day_purchases];
    if columns.iter().any(|column| column.len() != state.day_steps.len()) {
        return Err(damaged("the days of an item"));
    }
    let mut day = 0i32;
    let mut days = Vec::with_capacity(state.day_steps.len());
    for (index, step) in state.day_steps.iter().enumerate() {
        day = day.wrapping_add(*step);
        let (views, carts) = (state.day_views[index], state.day_carts[index]);
        days.push(DayCounts { day, views, carts, purchases: state.day_purchases[index] });
    }
    Ok(Item {
        product_id: product_id.into(),
        version,
        orders: state.orders,
        views: state.views,
        history: History::from_days(days),
        bought: unpack_pairs(&state.bought_steps, &state.bought_counts)?,
        viewed: unpack_pairs(&state.viewed_steps, &state.viewed_counts)?,
    })
}

pub(super) fn pack_order(order: &Order) -> Vec<u8> {
    order_state(None, order).encode_to_vec()
}

pub(super) fn unpack_order(bytes: &[u8]) -> Result<Order, Error> {
    let state = OrderState::decode(bytes).map_err(|_| damaged("an order"))?;
    order(state)
}

pub(super) fn pack_profile(profile: &Profile) -> Vec<u8> {
    let orders = profile.orders.iter().map(|(key, order)| order_state(Some(key), order)).collect();
    ProfileState {
        views: pack_glances(&profile.views),
        carts: pack_glances(&profile.carts),
        orders,
        denies_personalisation: profile.denies_personalisation,
    }
    .encode_to_vec()
}

pub(super) fn unpack_profile(bytes: &[u8]) -> Result<Profile, Error> {
    let state = ProfileState::decode(bytes).map_err(|_| damaged("a profile"))?;
    let mut orders = Vec::with_capacity(state.orders.len());
    for mut state in state.orders {
        let key = unpack_key(&std::mem::take(&mut state.key))?;
        orders.push((key, order(state)?));
    }
    Ok(Profile {
        views: unpack_glances(state.views),
        carts: unpack_glances(state.carts),
        orders,
        denies_personalisation: state.denies_personalisation,
    })
}

pub(super) fn unpack_key(bytes: &[u8]) -> Result<OrderKey, Error> {
    OrderKey::try_from(bytes).map_err(|_| damaged("the key of an order"))
}

fn pack_pairs(pairs: &[(u32, u32)]) -> (Vec<u32>, Vec<u32>) {
    let mut last = 0;
    let mut steps = Vec::with_capacity(pairs.len());
    for &(number, _) in pairs {
        steps.push(number - last);
        last = number;
    }
    (steps, pairs.iter().map(|&(_, count)| count).collect())
}

fn unpack_pairs(steps: &[u32], counts: &[u32]) -> Result<Neighbours, Error> {
    if steps.len() != counts.len() {
        return Err(damaged("the neighbours of an item"));
    }
    let mut number = 0u32;
    let mut pairs = Vec::with_capacity(steps.len());
    for (step, count) in steps.iter().zip(counts) {
        number = number.wrapping_add(*step);
        pairs.push((number, *count));
    }
    Ok(Neighbours::from_pairs(pairs))
}

fn order_state(key: Option<&OrderKey>, order: &Order) -> OrderState {
    let (told_us, told_by) = order.told.map_or((0, Vec::new()), |(told_us, told_by)| (told_us, told_by.to_vec()));
    let (products, quantities) = pack_lines(&order.lines);
    OrderState {
        first_us: order.first_us,
        told_us,
        told_by,
        products,
        cancelled: order.cancelled,
        sealed: order.sealed,
        key: key.map_or(Vec::new(), |key| key.to_vec()),
        quantities,
        returns: order.returns.iter().map(return_state).collect(),
    }
}

fn return_state(returned: &Return) -> ReturnState {
    let (products, quantities) = pack_lines(&returned.lines);
    ReturnState { key: returned.key.to_vec(), time_us: returned.time_us, products, quantities }
}

fn returned(state: ReturnState) -> Result<Return, Error> {
    let key = EventKey::try_from(state.key).map_err(|_| damaged("a return"))?;
    Ok(Return { key, time_us: state.time_us, lines: unpack_lines(state.products, &state.quantities)? })
}

fn pack_lines(lines: &[Line]) -> (Vec<String>, Vec<u32>) {
    let products = lines.iter().map(|line| line.product_id.clone()).collect();
    let is_plain = lines.iter().all(|line| line.quantity == 1);
    let quantities = if is_plain { Vec::new() } else { lines.iter().map(|line| line.quantity).collect() };
    (products, quantities)
}

fn unpack_lines(products: Vec<String>, quantities: &[u32]) -> Result<Vec<Line>, Error> {
    if !quantities.is_empty() && quantities.len() != products.len() {
        return Err(damaged("the lines of an order"));
    }
    let quantity = |index: usize| quantities.get(index).copied().unwrap_or(1);
    let lines = products.into_iter().enumerate();
    Ok(lines.map(|(index, product_id)| Line { product_id, quantity: quantity(index) }).collect())
}

fn order(state: OrderState) -> Result<Order, Error> {
    let told = match state.told_by.is_empty() {
        true => None,
        false => {
            let told_by = EventKey::try_from(state.told_by).map_err(|_| damaged("the telling of an order"))?;
            Some((state.told_us, told_by))
        }
    };
    Ok(Order {
        first_us: state.first_us,
        told,
        lines: unpack_lines(state.products, &state.quantities)?,
        returns: state.returns.into_iter().map(returned).collect::<Result<_, _>>()?,
        cancelled: state.cancelled,
        sealed: state.sealed,
    })
}

fn pack_glances(glances: &Glances) -> Vec<GlanceState> {
    let pack = |glance: &Glance| GlanceState { time_us: glance.time_us, product_id: glance.product_id.clone() };
    glances.newest_first().iter().map(pack).collect()
}

fn unpack_glances(states: Vec<GlanceState>) -> Glances {
    let unpack = |state: GlanceState| Glance { time_us: state.time_us, product_id: state.product_id };
    Glances::from_newest_first(states.into_iter().map(unpack).collect())
}

fn damaged(what: &str) -> Error {
    Error::Damaged(format!("{what} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{history::Tally, order::Telling};

    #[test]
    fn items_profiles_and_orders_come_back_as_they_were() {
        let mut item = Item::new("a".into());
        item.version = 3;
        item.orders = 2;
        item.history.count(20_000, Tally::Cart);
        item.history.count(-4, Tally::View);
        item.history.count(19_990, Tally::Purchase);
        for other in [7, 700_000, 7, 0] {
            item.bought.count(other);
            item.viewed.count(other + 1);
        }
        let mut profile = Profile::default();
        profile.view(10, "a");
        profile.carts.add(-3, "b");
        let lines = vec![Line { product_id: "a".into(), quantity: 1 }, Line { product_id: "b".into(), quantity: 12 }];
        let back = Return { key: [4; 16], time_us: -6, lines: lines.clone() };
        profile.tell([7; 16], Telling::Placed { time_us: 5, event: [9; 16], lines });
        profile.tell([7; 16], Telling::Returned(back));
        profile.tell([8; 16], Telling::Cancelled);
        profile.denies_personalisation = true;

        assert_eq!(unpack_item("a", 3, &pack_item(&item)).unwrap(), item);
        assert_eq!(unpack_profile(&pack_profile(&profile)).unwrap(), profile);
        let order = &profile.orders[0].1;
        assert_eq!(&unpack_order(&pack_order(order)).unwrap(), order);
    }

    #[test]
    fn damaged_bytes_are_told() {
        assert!(unpack_item("a", 1, &[0xff]).is_err());
        assert!(unpack_profile(&[0x0a, 0x05]).is_err());
        assert!(unpack_key(&[1, 2]).is_err());
    }
}
