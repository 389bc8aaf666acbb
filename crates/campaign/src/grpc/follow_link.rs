use kit::Error;
use proto::{
    campaign::v1::{FollowLinkRequest, FollowLinkResponse},
    event::v1::message_activity::{Action, Actor},
};

use super::{Rpc, link};
use crate::{
    domain::token::Purpose,
    engine::feedback::Told,
    store::listing::{Reaction, react},
};

pub(super) async fn handle(rpc: &Rpc, request: FollowLinkRequest) -> Result<FollowLinkResponse, Error> {
    let found = link::find(rpc, &request.token, Purpose::Click).await?;
    let url = found.message.links.get(usize::from(found.token.link)).cloned();
    let url = url.ok_or_else(|| Error::not_found("LINK_UNKNOWN", "the link is not valid"))?;

    let engine = &rpc.engine;
    let now_us = engine.clock.now_us();
    let actor = link::actor(&request.user_agent);
    let mut tx = engine.db.begin().await?;
    if actor == Actor::Human {
        react(&mut tx, &found.tenant, &found.message.message_id, Reaction::Clicked, now_us).await?;
    }
    if let Some(person) = found.contact(&mut tx).await? {
        let what = link::name(&format!("clicked:{}", found.token.link), actor, now_us);
        let told = Told {
            action: Action::Clicked,
            what: &what,
            actor,
            detail: "",
            url: &url,
            user_agent: &request.user_agent,
        };
        found.tell(&mut tx, &person, &told, now_us, |_| {}).await?;
    }
    tx.commit().await?;
    engine.wake.feedback();
    Ok(FollowLinkResponse { url })
}
