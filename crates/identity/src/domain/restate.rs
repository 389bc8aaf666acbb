//! Finding out whose events are, after people came apart.

use uuid::Uuid;

use super::{
    graph::{Graph, Seat, Sighting},
    policy::Policy,
    settle::Spread,
};

/// What becomes of the events of a profile that was spread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reseated {
    /// All of them stay with it; nothing needs to be told.
    Untouched,
    /// Each event, in the order given, now belongs to the person in this seat.
    Moved(Vec<Seat>),
}

impl Graph {
    /// Gives the events of a spread profile to those whose they now are. Identifiers of the events must be in memory.
    pub(crate) fn reseat(
        &mut self,
        spread: &Spread,
        events: &[Sighting],
        policy: &Policy,
        mint: &mut dyn FnMut() -> Uuid,
    ) -> Reseated {
        let own_seat = self.seat_of(spread.anchor).expect("an anchor is in memory");
        let seats: Vec<Seat> =
            events.iter().map(|event| self.route(&event.useful, &policy.rules).unwrap_or(own_seat)).collect();

        let kept = spread.absorbed_by.is_none();
        if kept && seats.iter().all(|seat| *seat == own_seat) {
            let person = self.person_mut(own_seat);
            let meanwhile = std::mem::replace(person, spread.person.clone());
            person.absorb(&meanwhile);
            person.absorbed = meanwhile.absorbed;
            return Reseated::Untouched;
        }
        for (event, seat) in events.iter().zip(&seats) {
            self.person_mut(*seat).fold(&event.sighted, &event.told, &event.answers);
            self.profile_in(*seat, mint);
        }
        Reseated::Moved(seats)
    }

    /// Returns the profile id of the person in a seat, which gets one if it has none.
    pub(crate) fn profile_in(&mut self, seat: Seat, mint: &mut dyn FnMut() -> Uuid) -> Uuid {
        let person = self.person_mut(seat);
        match person.id {
            Some(id) => id,
            None => {
                let id = mint();
                person.id = Some(id);
                self.unsaved.moved_people.insert(id, seat.0);
                id
            }
        }
    }
}
