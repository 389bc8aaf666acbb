pub(super) use kit::time::timestamp;
use prost::Message;
use proto::{
    event::v1::{Context, Event, Location, OrderActivity, Provenance, event::Body, order_activity::Action},
    google::r#type::Money,
    r#type::v1::{Identifier, LineItem},
};

use super::{
    line::MICROS,
    orders::{Order, OrderLine},
    texts::Texts,
};

/// Largest event that is sent; ingestion takes 128 KiB with what it adds.
pub(super) const MAX_EVENT_BYTES: usize = 120 << 10;
/// Longest message id, in characters.
const MAX_MESSAGE_ID_CHARS: usize = 100;
/// Tag and length of a line in its order; room for the lengths around it to grow.
const LINE_OVERHEAD_BYTES: usize = 4;

/// The event of one order.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) event: Event,
    pub(super) bytes: usize,
    pub(super) total_micros: i64,
    /// How many of the order's lines it holds: all, unless the order is larger than an event may be.
    pub(super) lines: usize,
}

/// Makes one event of an order. An order stays one event: one that is too large first loses the names of its products, then
/// its last lines, and their value with them.
pub(super) fn build(order: &Order, lines: &[OrderLine], customer_kind: &str, texts: &Texts) -> Built {
    let whole = assemble(order, lines, order.total_micros, customer_kind, texts, true);
    let bytes = whole.encoded_len();
    if bytes <= MAX_EVENT_BYTES {
        return Built { event: whole, bytes, total_micros: order.total_micros, lines: lines.len() };
    }

    let frame = assemble(order, &[], order.total_micros, customer_kind, texts, false).encoded_len();
    let mut room = MAX_EVENT_BYTES - frame - LINE_OVERHEAD_BYTES;
    let fitting = lines.iter().take_while(|line| {
        let needed = item(order, line, texts, false).encoded_len() + LINE_OVERHEAD_BYTES;
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    let kept = &lines[..fitting.count()];
    let total_micros = kept.iter().map(OrderLine::value_micros).sum();
    let event = assemble(order, kept, total_micros, customer_kind, texts, false);
    Built { bytes: event.encoded_len(), event, total_micros, lines: kept.len() }
}

/// Returns an amount as it goes over the wire.
pub(super) fn money(micros: i64, currency: &str) -> Money {
    let nanos = i32::try_from(micros % MICROS * 1_000).expect("less than one unit");
    Money { currency_code: currency.to_owned(), units: micros / MICROS, nanos }
}

/// Returns the message id of an order: the same in every import of it, so that it is kept once.
pub(super) fn message_id(order_id: &str) -> String {
    let plain = format!("import-{order_id}");
    if plain.chars().count() <= MAX_MESSAGE_ID_CHARS {
        return plain;
    }
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, order_id.as_bytes());
    let head: String = order_id.chars().take(50).collect();
    format!("import-{head}-{hash}")
}

fn assemble(
    order: &Order,
    lines: &[OrderLine],
    total_micros: i64,
    customer_kind: &str,
    texts: &Texts,
    named: bool,
) -> Event {
    let identifier = |kind: &str, value: &str| Identifier { kind: kind.to_owned(), value: value.to_owned() };
    let mut identifiers = vec![identifier(customer_kind, texts.get(order.customer))];
    if order.email != 0 {
        identifiers.push(identifier("email", texts.get(order.email)));
    }
    let country = texts.get(order.country).to_owned();
    let location = (!country.is_empty()).then(|| Location { country, ..Location::default() });
    let order_id = texts.get(order.order_id);
    let action = if order.cancellation { Action::Refunded } else { Action::Completed };
    let activity = OrderActivity {
        action: action.into(),
        order_id: order_id.to_owned(),
        total: Some(money(total_micros, texts.get(order.currency))),
        products: lines.iter().map(|line| item(order, line, texts, named)).collect(),
        ..OrderActivity::default()
    };
    Event {
        message_id: message_id(order_id),
        event_time: Some(timestamp(order.time_us)),
        identifiers,
        // Party and medium are the mapping's, or the source's.
        provenance: Some(Provenance {
            library: concat!("comptoir-import/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Provenance::default()
        }),
        context: location.map(|location| Context { location: Some(location), ..Context::default() }),
        body: Some(Body::OrderActivity(activity)),
        ..Event::default()
    }
}

fn item(order: &Order, line: &OrderLine, texts: &Texts, named: bool) -> LineItem {
    let text = |id| if named { texts.get(id).to_owned() } else { String::new() };
    LineItem {
        product_id: texts.get(line.product).to_owned(),
        name: text(line.name),
        category: text(line.category),
        price: Some(money(line.price_micros, texts.get(order.currency))),
        quantity: line.quantity,
        ..LineItem::default()
    }
}
