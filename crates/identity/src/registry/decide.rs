//! Decisions of people about identifiers.

use store::{Error, Tx};
use uuid::Uuid;

use super::{Registry, minter, publish::Outbox};
use crate::{
    domain::identifier::{Ident, Key},
    store::{self as sql, Decision},
};

/// What came of parting two identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Separated {
    /// The profiles of the first and of the second.
    Apart(Uuid, Uuid),
    /// One of them was never seen.
    Unknown,
}

/// What came of blocking or freeing an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocking {
    /// Profiles that were computed again, by id.
    pub(crate) profiles: Vec<Uuid>,
}

impl Registry {
    /// Parts two identifiers for good and computes their people again. Repeating it changes nothing.
    pub(crate) async fn separate(
        &mut self,
        tx: &mut Tx,
        first: &Ident,
        second: &Ident,
        decision: &Decision<'_>,
    ) -> Result<Separated, Error> {
        self.begin(tx).await?;
        self.load(tx, vec![first.key, second.key]).await?;
        if self.graph.home(first.key).is_none() || self.graph.home(second.key).is_none() {
            return Ok(Separated::Unknown);
        }
        sql::separate(tx, &self.tenant, first.key, second.key, decision).await?;
        self.policy.separations.add(first.key, second.key);
        self.graph.touch(first.key);
        self.graph.touch(second.key);
        let mut outbox = Outbox::default();
        self.recompute(tx, false, &mut outbox).await?;

        let (one, other) = (self.profile_of(first.key), self.profile_of(second.key));
        self.publish_and_save(tx, outbox).await?;
        Ok(Separated::Apart(one, other))
    }

    /// Blocks an identifier, so that it joins nobody, or frees it, with all evidence that came meanwhile.
    pub(crate) async fn set_blocked(
        &mut self,
        tx: &mut Tx,
        ident: &Ident,
        blocked: bool,
        decision: &Decision<'_>,
    ) -> Result<Blocking, Error> {
        self.begin(tx).await?;
        sql::block(tx, &self.tenant, ident.key, blocked, decision).await?;
        let was_blocked = self.policy.is_blocked(ident.key);
        self.policy.overrides.insert(ident.key, blocked);
        self.load(tx, vec![ident.key]).await?;
        let mut outbox = Outbox::default();
        if was_blocked != blocked {
            let neighbours = self.graph.home(ident.key).map(|home| home.neighbours()).unwrap_or_default();
            if blocked {
                self.graph.touch(ident.key);
            } else {
                self.load(tx, neighbours).await?;
                self.graph.reopen(ident.key);
            }
            // What a freed identifier says of events counts again, even where nobody's identifiers change.
            self.recompute(tx, !blocked, &mut outbox).await?;
        }
        let profiles = self.touched_profiles();
        self.publish_and_save(tx, outbox).await?;
        Ok(Blocking { profiles })
    }

    async fn recompute(&mut self, tx: &mut Tx, reroute: bool, outbox: &mut Outbox) -> Result<(), Error> {
        let settlement = self.graph.settle(&self.policy, reroute);
        self.move_events(tx, settlement, outbox).await
    }

    /// Returns the profile of an identifier in memory, which gets one even if it has no event of its own.
    fn profile_of(&mut self, key: Key) -> Uuid {
        let seat = self.graph.seat_of(key).expect("the identifier is in memory and its people are computed");
        self.graph.profile_in(seat, &mut minter(&self.shared.clock))
    }

    fn touched_profiles(&self) -> Vec<Uuid> {
        let touched = self.graph.unsaved.components.iter().filter_map(|id| self.graph.component(*id));
        let mut profiles: Vec<Uuid> =
            touched.flat_map(|home| home.people.iter().filter_map(|person| person.id)).collect();
        profiles.sort_unstable();
        profiles
    }
}
