use kit::{Error, TenantId};
use proto::campaign::v1::{ListMessagesRequest, ListMessagesResponse, message::State as Asked};

use super::{Rpc, page};
use crate::{
    domain::message::State,
    store::listing::{self, Filter, Place},
};

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: ListMessagesRequest,
) -> Result<ListMessagesResponse, Error> {
    let size = page::size(request.page_size, 50, 500)?;
    let after = place(&request.page_token)?;
    let states = states(request.state());
    let filter =
        Filter { campaign_id: request.campaign_id, profile_id: request.profile_id, states, reason: request.reason };
    let mut messages = listing::list(&rpc.engine.db, tenant, &filter, after.as_ref(), size + 1).await?;
    let next_page_token =
        page::cut(&mut messages, size, |message| format!("{}/{}", message.decide_us, message.message_id));
    let messages = messages.into_iter().map(|message| message.shown()).collect();
    Ok(ListMessagesResponse { messages, next_page_token })
}

fn place(token: &str) -> Result<Option<Place>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let text = page::after(token)?;
    let (decide_us, message_id) = text.split_once('/').ok_or_else(page::wrong_token)?;
    let decide_us = decide_us.parse().map_err(|_| page::wrong_token())?;
    Ok(Some((decide_us, message_id.to_owned())))
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
