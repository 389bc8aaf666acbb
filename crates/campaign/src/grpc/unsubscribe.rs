use kit::Error;
use proto::{
    campaign::v1::{Channel, UnsubscribeRequest, UnsubscribeResponse},
    event::v1::message_activity::{Action, Actor},
    r#type::v1::{Consent, ConsentState},
};

use super::{Rpc, link};
use crate::{
    domain::{
        message::{EMAIL, EMAIL_NAME},
        time::timestamp,
        token::Purpose,
    },
    engine::feedback::Told,
    store::{
        listing::{Reaction, react},
        suppressions,
    },
};

/// The address is suppressed in the transaction that answers, so that nothing more leaves; the refusal goes to the person's
/// profile as an event.
pub(super) async fn handle(rpc: &Rpc, request: UnsubscribeRequest) -> Result<UnsubscribeResponse, Error> {
    let found = link::find(rpc, &request.token, Purpose::Unsubscribe).await?;
    let engine = &rpc.engine;
    let now_us = engine.clock.now_us();
    let (tenant, message) = (&found.tenant, &found.message);

    let mut tx = engine.db.begin().await?;
    if !message.address_hash.is_empty() {
        suppressions::add(&mut tx, tenant, EMAIL, &message.address_hash, "unsubscribed", now_us).await?;
    }
    let is_first = react(&mut tx, tenant, &message.message_id, Reaction::Unsubscribed, now_us).await?;
    if let Some(person) = found.contact(&mut tx).await?
        && is_first
    {
        let told = Told {
            action: Action::Unsubscribed,
            what: "unsubscribed",
            actor: Actor::Human,
            detail: "",
            url: "",
            user_agent: "",
        };
        let refusal = Consent {
            purpose: message.purpose.clone(),
            channel: EMAIL_NAME.to_owned(),
            state: ConsentState::Denied.into(),
            decided_time: Some(timestamp(now_us)),
            proof: format!("unsubscribed through message {}", message.message_id),
        };
        found.tell(&mut tx, &person, &told, now_us, |event| event.consents.push(refusal)).await?;
    }
    tx.commit().await?;
    engine.wake.feedback();
    Ok(UnsubscribeResponse { purpose: message.purpose.clone(), channel: Channel::Email.into() })
}
