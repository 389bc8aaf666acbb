//! Orders and what comes after them: the server's copy, the refund, the review.

use chrono::DateTime;

use crate::basket::Line;
use crate::life::{Actor, Seat};
use crate::plan::{DAY, HOUR, SECOND};
use crate::signal::{Act, DeviceRef, Ids, Order, Origin, SourceKind};

impl Actor<'_> {
    pub(crate) fn buy(&mut self, at: i64, cart: u32, filled: bool) {
        self.sit_down(at);
        self.arrive();
        if filled {
            self.look_around();
        } else {
            self.fill_cart(cart);
        }
        self.emit(Act::CartView { cart });
        self.sign_in_unless_known();
        self.emit(Act::Checkout { cart });
        let order = self.order(self.seat.source, cart, true);
        self.emit(Act::Order { order });
        self.emit(Act::Page("/thank-you"));
        let (device, source, placed) = (self.seat.device, self.seat.source, self.clock);
        self.leave();
        if self.dice.chance(self.stage.config.noise.server_copy) {
            self.journal.orders[order as usize].sent_twice = true;
            let later = placed + self.dice.between(2, 30) * SECOND;
            self.server_event(later, device, Act::Order { order });
        }
        self.refund(order, placed, move |actor, later, act| actor.server_event(later, device, act));
        self.review(order, placed, device, source);
    }

    pub(crate) fn pay_at_till(&mut self, at: i64, cart: u32) {
        self.clock = at;
        let shown = self.person.loyalty_card.is_some() && self.dice.chance(self.stage.config.habits.card_shown);
        let order = self.order(SourceKind::Till, cart, shown);
        let ids = Ids { card: shown, receipt: (!shown).then_some(order), ..Ids::default() };
        self.lone_event(at, Origin::Till, ids, Act::Order { order });
        self.refund(order, at, move |actor, later, act| actor.lone_event(later, Origin::Till, ids, act));
    }

    fn order(&mut self, source: SourceKind, cart: u32, identified: bool) -> u32 {
        let basket = self.journal.carts[cart as usize].basket.clone();
        self.journal.orders.push(Order {
            order_id: String::new(),
            person: self.number as usize,
            time: DateTime::from_timestamp_millis(self.clock).expect("the world's times are valid"),
            source,
            currency: self.person.currency.clone(),
            basket,
            refunded_micros: 0,
            sent_twice: false,
            identified,
            cart: (source != SourceKind::Till).then_some(cart),
        });
        self.journal.orders.len() as u32 - 1
    }

    /// Perhaps gives the order back some days later: all of it, or one piece of one line.
    fn refund(&mut self, order: u32, placed: i64, tell: impl FnOnce(&mut Self, i64, Act)) {
        if !self.dice.chance(self.stage.config.habits.refund) {
            return;
        }
        let at = placed + self.dice.between(3 * DAY, 20 * DAY);
        let whole = self.dice.chance(0.6);
        let basket = &self.journal.orders[order as usize].basket;
        let piece = Line { quantity: 1, ..basket.lines[0] };
        let partial = !whole && piece.price_cents < basket.total_cents();
        let cents = if partial { piece.price_cents } else { basket.total_cents() };
        if at >= self.last_call() {
            return;
        }
        self.journal.orders[order as usize].refunded_micros = cents * 10_000;
        tell(self, at, Act::Refund { order, lines: partial.then(|| vec![piece]), cents });
    }

    fn review(&mut self, order: u32, placed: i64, device: DeviceRef, source: SourceKind) {
        let at = placed + self.dice.between(5 * DAY, 25 * DAY);
        if !self.dice.chance(self.stage.config.habits.review) || at >= self.last_call() {
            return;
        }
        let product = self.journal.orders[order as usize].basket.lines[0].product;
        let quality = self.stage.catalogue.products[product].quality;
        let stars = (quality + 2.4 * (self.dice.unit() - 0.5)).round().clamp(1.0, 5.0) as u8;
        let body = self.dice.index(4) as u8;
        let user = self.person.user_id.is_some();
        self.clock = at;
        self.seat = Seat { device, source, user, known: user, spoilt: None };
        self.emit(Act::View { product: product as u32 });
        self.emit(Act::Review { product: product as u32, stars, body });
        self.leave();
    }

    /// An hour before the end nothing new begins, so that every visit ends inside the world.
    fn last_call(&self) -> i64 {
        self.stage.config.end().timestamp_millis() - HOUR
    }

    /// An event of the shop's own server about an order placed on `device`: it knows the account, or for a guest the
    /// anonymous id and the e-mail address of the checkout.
    fn server_event(&mut self, at: i64, device: DeviceRef, act: Act) {
        let account = self.person.user_id.is_some();
        let ids = Ids { user: account, email: true, device: (!account).then_some(device), ..Ids::default() };
        self.lone_event(at, Origin::Server, ids, act);
    }
}
