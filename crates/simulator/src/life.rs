//! A person's intentions played out as events on devices, at the till and in the customer file.

use crate::basket::next_product;
use crate::catalogue::{Catalogue, category_of};
use crate::config::WorldConfig;
use crate::dice::Dice;
use crate::person::{Device, Person, Relation};
use crate::plan::{Intent, SECOND, plan};
use crate::signal::{Act, DeviceRef, Flaw, Ids, Journal, Origin, Signal, SourceKind, Visit};

/// What is the same for everybody.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) config: &'a WorldConfig,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) people: &'a [Person],
    pub(crate) kiosks: &'a [Device],
}

/// Plays one person's whole life into the journal.
pub(crate) fn live(stage: Stage<'_>, number: u32, journal: &mut Journal) {
    let person = &stage.people[number as usize];
    let intents = plan(stage.config, stage.catalogue, person, number, &mut journal.carts);
    let mut actor = Actor {
        stage,
        number,
        person,
        dice: Dice::new(stage.config.seed, "life", u64::from(number)),
        journal,
        signed_in: vec![false; person.devices.len()],
        introduced: false,
        events: 0,
        clock: 0,
        visit: Vec::new(),
        seat: Seat { device: DeviceRef::Own(0), source: SourceKind::Site, user: false, known: false, spoilt: None },
    };
    for (at, intent) in intents {
        actor.play(at, intent);
    }
}

/// Where the person sits during one visit, and what the device knows of them.
pub(crate) struct Seat {
    pub(crate) device: DeviceRef,
    pub(crate) source: SourceKind,
    /// The device sends the account's id with every event.
    pub(crate) user: bool,
    /// The person gave a name during this visit or is signed in.
    pub(crate) known: bool,
    /// A page that sends this as everybody's user id.
    pub(crate) spoilt: Option<&'static str>,
}

pub(crate) struct Actor<'a> {
    pub(crate) stage: Stage<'a>,
    pub(crate) number: u32,
    pub(crate) person: &'a Person,
    pub(crate) dice: Dice,
    pub(crate) journal: &'a mut Journal,
    /// Per device: the account stays signed in between visits.
    signed_in: Vec<bool>,
    /// The person has given a name at least once, online.
    introduced: bool,
    events: u32,
    pub(crate) clock: i64,
    visit: Vec<Signal>,
    pub(crate) seat: Seat,
}

impl Actor<'_> {
    fn play(&mut self, at: i64, intent: Intent) {
        match intent {
            Intent::Browse => self.browse(at),
            Intent::Fill { cart } => self.fill(at, cart),
            Intent::Abandon { cart } => self.abandon(at, cart),
            Intent::Buy { cart, filled } => self.buy(at, cart, filled),
            Intent::PayAtTill { cart } => self.pay_at_till(at, cart),
            Intent::Kiosk => self.kiosk(at),
            Intent::Registered => self.registered(at),
            Intent::Withdraw => self.withdraw(at),
        }
    }

    fn browse(&mut self, at: i64) {
        self.sit_down(at);
        self.arrive();
        for _ in 0..1 + self.dice.index(3) {
            self.look_around();
        }
        let joins = match self.person.relation {
            Relation::Account => 0.25,
            Relation::Guest => 0.05,
            _ => 0.0,
        };
        if !self.seat.known && self.dice.chance(joins) {
            self.introduce();
            self.look_around();
        }
        self.leave();
    }

    fn fill(&mut self, at: i64, cart: u32) {
        self.sit_down(at);
        self.arrive();
        self.fill_cart(cart);
        self.leave();
    }

    fn abandon(&mut self, at: i64, cart: u32) {
        self.sit_down(at);
        self.arrive();
        self.fill_cart(cart);
        if self.dice.chance(0.5) {
            self.emit(Act::CartView { cart });
        }
        let may_sign_in = self.person.relation == Relation::Account;
        if may_sign_in && (self.seat.known || self.dice.chance(0.35)) {
            self.sign_in_unless_known();
            self.emit(Act::Checkout { cart });
        }
        self.leave();
    }

    fn kiosk(&mut self, at: i64) {
        let kiosk = self.dice.index(self.stage.kiosks.len()) as u8;
        self.clock = at;
        self.seat =
            Seat { device: DeviceRef::Kiosk(kiosk), source: SourceKind::Site, user: false, known: false, spoilt: None };
        self.emit(Act::Page("/kiosk"));
        self.look_around();
        if self.person.relation == Relation::Account && self.dice.chance(0.4) {
            self.introduce();
            self.look_around();
        }
        self.leave();
    }

    fn registered(&mut self, at: i64) {
        let Some([email, phone, user]) = self.person.traits.crm else {
            return;
        };
        let ids = Ids {
            card: true,
            email: email && self.person.email.is_some(),
            phone: phone && self.person.phone.is_some(),
            user: user && self.person.user_id.is_some(),
            ..Ids::default()
        };
        self.lone_event(at, Origin::Crm, ids, Act::Identify);
    }

    fn withdraw(&mut self, at: i64) {
        if !self.introduced || self.person.relation != Relation::Account {
            return;
        }
        self.sit_down(at);
        self.sign_in_unless_known();
        self.emit(Act::Consent);
        self.leave();
    }

    /// Takes a device, mostly the favourite.
    pub(crate) fn sit_down(&mut self, at: i64) {
        let count = self.person.devices.len();
        let place = if self.dice.chance(0.6) { 0 } else { self.dice.index(count) };
        self.sit_at(at, place);
    }

    fn sit_at(&mut self, at: i64, place: usize) {
        let device = &self.person.devices[place];
        if self.dice.chance(0.15) {
            self.signed_in[place] = false;
        }
        let user = self.signed_in[place];
        let spoilt = (!user && self.dice.chance(self.stage.config.noise.garbage))
            .then(|| *self.dice.pick(&["undefined", "null"]));
        self.clock = at;
        self.seat = Seat { device: DeviceRef::Own(place as u8), source: device.source, user, known: user, spoilt };
    }

    pub(crate) fn arrive(&mut self) {
        let campaign = self.dice.chance(0.3).then(|| self.dice.index(4) as u8);
        self.emit(Act::Page("/"));
        if let Some(first) = self.visit.first_mut() {
            first.campaign = campaign;
        }
    }

    /// A list or a search, then a product or two of it.
    pub(crate) fn look_around(&mut self) {
        let category = *self.dice.pick(&self.person.traits.tastes);
        if self.dice.chance(0.3) {
            let word = self.dice.index(5) as u8;
            self.emit(Act::Search { category: category as u8, word });
        } else {
            let products = std::array::from_fn(|_| self.stage.catalogue.draw(&mut self.dice, category) as u32);
            self.emit(Act::List { category: category as u8, products });
        }
        for _ in 0..=self.dice.index(2) {
            let product = next_product(&mut self.dice, self.stage.catalogue, &self.person.traits.tastes, &[]);
            self.emit(Act::View { product: product as u32 });
        }
    }

    pub(crate) fn fill_cart(&mut self, cart: u32) {
        let lines = self.journal.carts[cart as usize].basket.lines.clone();
        for line in lines {
            if self.dice.chance(0.4) {
                let category = category_of(line.product);
                let other = self.stage.catalogue.draw(&mut self.dice, category) as u32;
                self.emit(Act::View { product: other });
            }
            self.emit(Act::View { product: line.product as u32 });
            self.emit(Act::Add { line, cart });
        }
    }

    pub(crate) fn sign_in_unless_known(&mut self) {
        if !self.seat.known {
            self.introduce();
        }
    }

    /// The identify call of a login, a new account, or a guest's e-mail address at the checkout.
    fn introduce(&mut self) {
        let person = self.person;
        let account = person.relation == Relation::Account;
        let mut ids = Ids {
            device: Some(self.seat.device),
            user: account,
            email: true,
            phone: account && person.phone.is_some(),
            card: person.traits.card_in_account,
            receipt: None,
        };
        let flaw = self.draw_flaw(&ids);
        match flaw {
            Some(Flaw::GarbageUser(_)) => ids.user = false,
            Some(Flaw::GarbageEmail) => ids.email = false,
            Some(Flaw::GarbagePhone) => ids.phone = false,
            _ => {}
        }
        self.push(Origin::Client, ids, Act::Identify, flaw);
        self.seat.known = true;
        self.seat.user = account;
        if let DeviceRef::Own(place) = self.seat.device {
            let place = usize::from(place);
            self.signed_in[place] = account && !person.devices[place].shared;
        }
        if !self.introduced {
            self.introduced = true;
            self.emit(Act::Consent);
        }
    }

    fn draw_flaw(&mut self, ids: &Ids) -> Option<Flaw> {
        let noise = &self.stage.config.noise;
        if self.dice.chance(noise.garbage) {
            return Some(match self.dice.index(4) {
                0 if ids.user => Flaw::GarbageUser("undefined"),
                1 if ids.user => Flaw::GarbageUser("null"),
                2 if ids.phone => Flaw::GarbagePhone,
                _ => Flaw::GarbageEmail,
            });
        }
        if self.dice.chance(noise.untidy) {
            return Some(match self.dice.index(4) {
                0 => Flaw::SpacedEmail,
                1 if ids.phone && self.person.country == "FR" => Flaw::NationalPhone,
                2 if ids.phone => Flaw::SpacedPhone,
                _ => Flaw::UpperEmail,
            });
        }
        None
    }

    pub(crate) fn lone_event(&mut self, at: i64, origin: Origin, ids: Ids, act: Act) {
        self.clock = at;
        self.push(origin, ids, act, None);
        let source = match origin {
            Origin::Till => SourceKind::Till,
            Origin::Crm => SourceKind::Crm,
            _ => SourceKind::Site,
        };
        self.journal.visits.push(Visit { source, signals: std::mem::take(&mut self.visit) });
    }

    /// An event of the device the person sits at.
    pub(crate) fn emit(&mut self, act: Act) {
        let tells_email = self.seat.known
            && self.person.email.is_some()
            && matches!(act, Act::Checkout { .. } | Act::Order { .. } | Act::Consent);
        let ids = Ids { device: Some(self.seat.device), user: self.seat.user, email: tells_email, ..Ids::default() };
        let flaw = self.seat.spoilt.filter(|_| !ids.user).map(Flaw::GarbageUser);
        self.push(Origin::Client, ids, act, flaw);
    }

    fn push(&mut self, origin: Origin, ids: Ids, act: Act, flaw: Option<Flaw>) {
        self.visit.push(Signal {
            at: self.clock,
            person: self.number,
            number: self.events,
            origin,
            ids,
            act,
            flaw,
            campaign: None,
        });
        self.events += 1;
        self.clock += self.dice.between(3 * SECOND, 75 * SECOND);
    }

    pub(crate) fn leave(&mut self) {
        let signals = std::mem::take(&mut self.visit);
        if !signals.is_empty() {
            self.journal.visits.push(Visit { source: self.seat.source, signals });
        }
    }
}
