use kit::Error;
use proto::{
    campaign::v1::{RecordOpenRequest, RecordOpenResponse},
    event::v1::message_activity::{Action, Actor},
};

use super::{Rpc, link};
use crate::{
    domain::{message::EMAIL_NAME, token::Purpose},
    engine::feedback::Told,
    store::listing::{Reaction, react},
};

/// Records nothing of a person who does not agree to it now, whatever held when the message was sent.
pub(super) async fn handle(rpc: &Rpc, request: RecordOpenRequest) -> Result<RecordOpenResponse, Error> {
    let found = link::find(rpc, &request.token, Purpose::Open).await?;
    let engine = &rpc.engine;
    let now_us = engine.clock.now_us();
    let actor = link::actor(&request.user_agent);

    let mut tx = engine.db.begin().await?;
    let Some(person) = found.contact(&mut tx).await? else { return Ok(RecordOpenResponse {}) };
    if !person.1.consents("tracking_pixel", EMAIL_NAME) {
        return Ok(RecordOpenResponse {});
    }
    if actor == Actor::Human {
        react(&mut tx, &found.tenant, &found.message.message_id, Reaction::Opened, now_us).await?;
    }
    let what = link::name("opened", actor, now_us);
    let told =
        Told { action: Action::Opened, what: &what, actor, detail: "", url: "", user_agent: &request.user_agent };
    found.tell(&mut tx, &person, &told, now_us, |_| {}).await?;
    tx.commit().await?;
    engine.wake.feedback();
    Ok(RecordOpenResponse {})
}
