//! The event log, read as a follower reads it.

use std::time::Duration;

use futures::StreamExt;
use kit::{
    Error,
    channel::{self, ChannelOptions, Credential},
};
use prost::Message;
use proto::{
    event::v1::Event,
    log::v1::{
        Cursor, FollowRequest, ListPartitionsRequest, Partition, RecordList, log_service_client::LogServiceClient,
    },
};

use crate::{Subject, subject::within};

/// How long reading the whole log may take.
const LIMIT: Duration = Duration::from_secs(60);

/// One record of the event log.
#[derive(Debug, Clone)]
pub struct Logged {
    /// Tenant it belongs to.
    pub tenant_id: String,
    /// The event.
    pub event: Event,
    /// The trace it continues; empty when there is none.
    pub traceparent: String,
}

/// Reads the event log of all tenants, from the first record to what is its end now, through the gateway.
pub async fn event_log(subject: &impl Subject) -> Result<Vec<Logged>, Error> {
    within(LIMIT, "the event log is not read to its end", read(subject)).await
}

async fn read(subject: &impl Subject) -> Result<Vec<Logged>, Error> {
    let credential = Credential::service(&subject.authority(), "end-to-end");
    let channel = channel::remote(&subject.url(), ChannelOptions::new(credential).target("ingestion"))?;
    let mut client = LogServiceClient::new(channel).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);

    let ends = client.list_partitions(ListPartitionsRequest {}).await?.into_inner().ends;
    let expected: u64 = ends.iter().map(|end| end.next_offset).sum();
    let mut records = Vec::new();
    if expected == 0 {
        return Ok(records);
    }
    let cursors = ends.into_iter().map(|end| Cursor { next_offset: 0, ..end }).collect();
    let request = FollowRequest { follower: "end-to-end".into(), cursors, ..FollowRequest::default() };
    let mut stream = client.follow(request).await?.into_inner();
    while (records.len() as u64) < expected {
        let Some(batch) = stream.next().await else { break };
        let batch = batch?;
        let Partition { tenant_id, .. } = batch.partition.unwrap_or_default();
        for record in RecordList::decode(batch.records).map_err(Error::internal)?.records {
            let event = Event::decode(record.payload).map_err(Error::internal)?;
            records.push(Logged { tenant_id: tenant_id.clone(), event, traceparent: record.traceparent });
        }
    }
    Ok(records)
}
