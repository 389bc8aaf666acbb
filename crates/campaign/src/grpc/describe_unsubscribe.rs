use kit::Error;
use proto::campaign::v1::{Channel, DescribeUnsubscribeRequest, DescribeUnsubscribeResponse};

use super::{Rpc, link};
use crate::{
    domain::{message::EMAIL, token::Purpose},
    store::suppressions,
};

pub(super) async fn handle(
    rpc: &Rpc,
    request: DescribeUnsubscribeRequest,
) -> Result<DescribeUnsubscribeResponse, Error> {
    let found = link::find(rpc, &request.token, Purpose::Unsubscribe).await?;
    let hash = &found.message.address_hash;
    let suppressed = suppressions::find(&rpc.engine.db, &found.tenant, EMAIL, hash).await?.is_some();
    Ok(DescribeUnsubscribeResponse {
        purpose: found.message.purpose.clone(),
        channel: Channel::Email.into(),
        unsubscribed: suppressed || found.message.unsubscribe_us != 0,
    })
}
