//! Adding to an event what its circumstances tell.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use proto::event::v1::{Client, Event};

use super::address;
use super::client;
use super::geography::GeoTable;
use super::touchpoint;
use crate::domain::bot;

/// User agents that are remembered: shops see some thousands a day, and the common ones all day.
const MAX_CLIENTS: usize = 8_192;
/// Longer user agents are read each time.
const MAX_REMEMBERED_BYTES: usize = 512;

/// Adds to events; shared by all doors.
#[derive(Default)]
pub(crate) struct Enricher {
    places: RwLock<Option<Arc<GeoTable>>>,
    clients: Mutex<HashMap<Box<str>, Arc<Visitor>>>,
}

/// What a user agent says.
struct Visitor {
    client: Option<Client>,
    bot: bool,
}

impl fmt::Debug for Enricher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Enricher").finish_non_exhaustive()
    }
}

impl Enricher {
    /// Takes another database of places.
    pub(crate) fn use_places(&self, table: GeoTable) {
        *self.places.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(table));
    }

    /// Fills what is set here, and cuts the address. Returns whether the sender looks like a machine.
    pub(crate) fn enrich(&self, event: &mut Event) -> bool {
        address::cut(event);
        let mut bot = false;
        if let Some(context) = &mut event.context {
            // The same for an address that was cut before, as that of a dead letter is.
            context.geography = address::parse(&context.ip).and_then(|address| self.place(address));
            let visitor = self.visitor(&context.user_agent);
            context.client.clone_from(&visitor.client);
            bot = visitor.bot;
        }
        touchpoint::tell(event);
        bot
    }

    /// Returns the country of an address, if the database knows it.
    pub(crate) fn country(&self, ip: &str) -> Option<String> {
        let cut = address::parse(&address::cut_text(ip))?;
        self.place(cut).map(|place| place.country)
    }

    fn place(&self, address: std::net::IpAddr) -> Option<proto::event::v1::Geography> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner).clone();
        places?.find(address)
    }

    fn visitor(&self, user_agent: &str) -> Arc<Visitor> {
        if user_agent.len() > MAX_REMEMBERED_BYTES {
            return Arc::new(Visitor::read(user_agent));
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(user_agent) {
            return Arc::clone(known);
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let visitor = Arc::new(Visitor::read(user_agent));
        clients.insert(user_agent.into(), Arc::clone(&visitor));
        visitor
    }
}

impl Visitor {
    fn read(user_agent: &str) -> Self {
        let bot = bot::is_machine(user_agent);
        Self { client: client::parse(user_agent, bot), bot }
    }
}

#[cfg(test)]
mod tests {
    use proto::event::v1::{Context, DeviceClass};

    use super::*;
    use crate::mmdb;

    fn event(ip: &str, user_agent: &str) -> Event {
        let context = Context { ip: ip.into(), user_agent: user_agent.into(), ..Context::default() };
        Event { context: Some(context), ..Event::default() }
    }

    #[test]
    fn an_event_is_told_its_place_and_its_software_and_loses_its_address() {
        let enricher = Enricher::default();
        let mut first = event("203.0.113.77", "Googlebot/2.1");
        assert!(enricher.enrich(&mut first), "a machine");
        let context = first.context.unwrap();
        assert_eq!((context.ip.as_str(), context.geography), ("203.0.113.0", None));
        assert_eq!(context.client.unwrap().device_class(), DeviceClass::Bot);

        let place = mmdb::Value::place("FR", "", "Paris", 48.85, 2.35, "");
        enricher.use_places(GeoTable::open(mmdb::database(&[("203.0.113.0/24", place)])).unwrap());
        for _ in 0..2 {
            let mut later = event("203.0.113.77", "");
            later.context.as_mut().unwrap().client = Some(Client::default());
            assert!(!enricher.enrich(&mut later));
            let context = later.context.unwrap();
            assert_eq!(context.geography.unwrap().city, "Paris");
            assert_eq!(context.client, None, "what the sender claims is not kept");
        }
    }

    #[test]
    fn user_agents_do_not_pile_up() {
        let enricher = Enricher::default();
        for number in 0..2 * MAX_CLIENTS {
            enricher.visitor(&format!("agent {number}"));
        }
        enricher.visitor(&"x".repeat(100_000));

        assert!(enricher.clients.lock().unwrap().len() <= MAX_CLIENTS);
    }
}
