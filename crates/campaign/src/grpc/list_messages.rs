use kit::{Error, TenantId, Violations, paging};
use proto::campaign::v1::{ListMessagesRequest, ListMessagesResponse, message::State as Asked};

use super::Rpc;
use crate::{
    domain::message::State,
    store::listing::{self, Filter, Place},
};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: ListMessagesRequest,
) -> Result<ListMessagesResponse, Error> {
    let mut violations = Violations::new();
    let size = paging::size(request.page_size, 50, 500, &mut violations);
    let after = paging::place(&request.page_token, place, &mut violations);
    violations.finish()?;

    let states = states(request.state());
    let filter =
        Filter { campaign_id: request.campaign_id, profile_id: request.profile_id, states, reason: request.reason };
    let mut messages = listing::list(&rpc.engine.db, tenant, &filter, after.as_ref(), size as i64 + 1).await?;
    let next_page_token =
        paging::cut(&mut messages, size, |message| format!("{}/{}", message.decide_us, message.message_id));
    let messages = messages.into_iter().map(|message| message.shown()).collect();
    Ok(ListMessagesResponse { messages, next_page_token })
}

fn place(key: &str) -> Option<Place> {
    let (decide_us, message_id) = key.split_once('/')?;
    Some((decide_us.parse().ok()?, message_id.to_owned()))
}

fn states(asked: Asked) -> Vec<State> {
    let all = [
        State::Scheduled,
        State::Queued,
        State::Handing,
        State::Sent,
        State::Withheld,
        State::Failed,
        State::Uncertain,
    ];
    match asked {
        Asked::Unspecified => Vec::new(),
        asked => all.into_iter().filter(|state| state.shown() == asked).collect(),
    }
}
