//! How the whole is doing.

use std::collections::BTreeMap;

use kit::{
    Error, TenantId,
    auth::{AuthContext, scope},
    channel::{Channel, Credential},
};
use proto::gateway::v1::{
    ListFollowerLagsRequest, ListFollowerLagsResponse, list_follower_lags_response::FollowerLag,
    operations_service_server::OperationsService,
};
use proto::log::v1::{ListLagsRequest, list_lags_response::Lag, log_service_client::LogServiceClient};
use tonic::{Request, Response, Status, metadata::MetadataValue};

use crate::upstreams::Upstreams;

/// Answers `OperationsService`.
pub(crate) struct OperationsHandler {
    pub(crate) upstreams: Upstreams,
    /// The gateway's own credential: only services may ask for lags.
    pub(crate) service: Credential,
}

#[tonic::async_trait]
impl OperationsService for OperationsHandler {
    async fn list_follower_lags(
        &self,
        request: Request<ListFollowerLagsRequest>,
    ) -> Result<Response<ListFollowerLagsResponse>, Status> {
        let tenant = admin(&request)?;
        let mut response = ListFollowerLagsResponse::default();
        for (publisher, channel) in self.upstreams.publishers() {
            match self.lags(channel).await {
                Ok(lags) => response.lags.extend(sum(publisher, lags, tenant.as_ref())),
                Err(status) => {
                    tracing::warn!(
                        publisher,
                        error.message = status.message(),
                        "a log could not be asked for its lags"
                    );
                    response.unreachable.push(publisher.to_owned());
                }
            }
        }
        Ok(Response::new(response))
    }
}

impl OperationsHandler {
    async fn lags(&self, channel: &Channel) -> Result<Vec<Lag>, Status> {
        let mut request = Request::new(ListLagsRequest {});
        if let Some(token) = self.service.header()
            && let Ok(token) = MetadataValue::try_from(token.as_bytes())
        {
            request.metadata_mut().insert("authorization", token);
        }
        let mut client = LogServiceClient::new(channel.clone()).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
        Ok(client.list_lags(request).await?.into_inner().lags)
    }
}

/// Returns the tenant whose lags the caller may see; `None` for those of all.
fn admin<T>(request: &Request<T>) -> Result<Option<TenantId>, Error> {
    let context = request
        .extensions()
        .get::<AuthContext>()
        .ok_or_else(|| Error::unauthenticated("CREDENTIAL_MISSING", "the call carries no credential"))?;
    if !context.allows(scope::ADMIN) {
        return Err(Error::permission_denied("SCOPE_MISSING", "the credential lacks the scope admin"));
    }
    Ok(context.tenant.clone())
}

/// Adds up the lags of each follower over the partitions that may be seen. A follower of which nothing may be seen is there, and not
/// behind: an empty list would look like a log that nobody follows.
fn sum(publisher: &str, lags: Vec<Lag>, tenant: Option<&TenantId>) -> Vec<FollowerLag> {
    let mut by_follower: BTreeMap<String, (FollowerLag, u64)> = BTreeMap::new();
    for lag in lags {
        let of = lag.cursor.as_ref().and_then(|cursor| cursor.partition.as_ref());
        let is_seen = tenant.is_none_or(|tenant| of.is_some_and(|partition| partition.tenant_id == tenant.as_str()));
        let (sum, most) = by_follower.entry(lag.follower.clone()).or_default();
        sum.follower = lag.follower;
        sum.publisher = publisher.to_owned();
        if !is_seen {
            continue;
        }
        sum.records += lag.records;
        sum.partitions_behind += u32::from(lag.records > 0);
        if sum.report_time.is_none() || lag.records > *most {
            sum.report_time = lag.report_time;
            *most = lag.records;
        }
    }
    by_follower.into_values().map(|(sum, _)| sum).collect()
}

#[cfg(test)]
mod tests {
    use proto::log::v1::{Cursor, Partition};

    use super::*;

    fn lag(follower: &str, tenant: &str, partition: u32, records: u64, seconds: i64) -> Lag {
        let partition = Partition { tenant_id: tenant.into(), partition };
        Lag {
            follower: follower.into(),
            cursor: Some(Cursor { partition: Some(partition), next_offset: 1 }),
            records,
            report_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        }
    }

    #[test]
    fn lags_are_added_up_for_those_who_may_see_them() {
        let lags = vec![
            lag("identity", "shop", 0, 0, 10),
            lag("identity", "shop", 1, 5, 20),
            lag("identity", "rival", 0, 100, 30),
            lag("copy", "shop", 0, 1, 40),
        ];

        let shop: TenantId = "shop".parse().unwrap();
        let own = sum("ingestion", lags.clone(), Some(&shop));
        let new = sum("ingestion", lags.clone(), Some(&"new".parse().unwrap()));
        let all = sum("ingestion", lags, None);

        let short = |lag: &FollowerLag| {
            let report = lag.report_time.unwrap().seconds;
            (lag.follower.clone(), lag.records, lag.partitions_behind, report)
        };
        assert_eq!(
            own.iter().map(short).collect::<Vec<_>>(),
            [("copy".into(), 1, 1, 40), ("identity".into(), 5, 1, 20)]
        );
        assert_eq!(
            all.iter().map(short).collect::<Vec<_>>(),
            [("copy".into(), 1, 1, 40), ("identity".into(), 105, 2, 30)]
        );
        assert!(new.iter().all(|lag| lag.records == 0 && lag.report_time.is_none()));
        assert_eq!(new.iter().map(|lag| lag.follower.as_str()).collect::<Vec<_>>(), ["copy", "identity"]);
        assert!(own.iter().all(|lag| lag.publisher == "ingestion"));
    }
}
