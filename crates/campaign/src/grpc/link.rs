//! What the handlers of links share: the message behind a token, and the person behind the message.

use ::store::Tx;
use kit::{Error, TenantId};
use proto::event::v1::{Event, message_activity::Actor};

use super::Rpc;
use crate::{
    domain::{
        agent::is_machine,
        contact::Contact,
        message::Message,
        token::{Purpose, Token},
    },
    engine::feedback::{Told, event},
    store::{contacts, feedback, feedback::Outgoing, gone, messages},
};

/// Hours are told apart: whoever opens a message again the next day opens it again.
const HOUR_US: i64 = 3_600_000_000;

/// A message with the token that led to it.
pub(super) struct Found {
    pub(super) tenant: TenantId,
    pub(super) token: Token,
    pub(super) message: Message,
}

/// Returns the message behind a token. Whatever is wrong with the token, the answer is the same.
pub(super) async fn find(rpc: &Rpc, token: &str, purpose: Purpose) -> Result<Found, Error> {
    let unknown = || Error::not_found("LINK_UNKNOWN", "the link is not valid");
    let token = rpc.engine.keys.verify(token, purpose).ok_or_else(unknown)?;
    let message_id = token.message_id.to_string();
    let message = messages::find(&rpc.engine.db, &token.tenant, &message_id).await?.ok_or_else(unknown)?;
    Ok(Found { tenant: token.tenant.clone(), token, message })
}

/// Returns who acts by the User-Agent.
pub(super) fn actor(user_agent: &str) -> Actor {
    if is_machine(user_agent) { Actor::Machine } else { Actor::Human }
}

/// Names a reaction among the events of a message: told twice within an hour it counts once.
pub(super) fn name(what: &str, actor: Actor, now_us: i64) -> String {
    format!("{what}:{}:{}", actor.as_str_name(), now_us.div_euclid(HOUR_US))
}

impl Found {
    /// Returns the person the message went to, or who remains of them; none when erased or unknown.
    pub(super) async fn contact(&self, tx: &mut Tx) -> Result<Option<(String, Contact)>, Error> {
        let asked = self.message.profile_id.as_str();
        let mut survivors = gone::resolve(tx, &self.tenant, &[asked]).await?;
        let profile_id = survivors.remove(asked).unwrap_or_else(|| asked.to_owned());
        let mut found = contacts::find_many(tx, &self.tenant, &[&profile_id]).await?;
        Ok(found.remove(&profile_id).map(|contact| (profile_id, contact)))
    }

    /// Keeps an event about the message for ingestion; `with` completes it. Nothing is told of a person without address.
    pub(super) async fn tell(
        &self,
        tx: &mut Tx,
        person: &(String, Contact),
        told: &Told<'_>,
        now_us: i64,
        with: impl FnOnce(&mut Event),
    ) -> Result<(), Error> {
        let (profile_id, contact) = person;
        if contact.email.is_empty() {
            return Ok(());
        }
        let mut event = event(&self.tenant, &self.message, &contact.email, told, now_us);
        with(&mut event);
        let outgoing =
            Outgoing { tenant: self.tenant.clone(), profile_id: profile_id.clone(), create_us: now_us, event };
        Ok(feedback::put(tx, &[outgoing]).await?)
    }
}
