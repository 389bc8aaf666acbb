//! The log, read back to its end and held against the ledger.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use futures::StreamExt;
use kit::{
    auth::Authority,
    channel::{self, ChannelOptions, Credential},
};
use prost::Message;
use proto::{
    event::v1::Event,
    ingestion::v1::{CollectRequest, verdict::Outcome},
    log::v1::{Cursor, FollowRequest, ListPartitionsRequest, RecordList, log_service_client::LogServiceClient},
};
use serde::Serialize;

use super::ledger::{BATCH, Fate, Ledger};
use crate::commands::bench::host::{Host, Keys};

/// How long the log may be silent before its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the log holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::commands::bench) struct Found {
    /// Events that were acknowledged.
    pub(in crate::commands::bench) acknowledged: u64,
    /// Records of the log.
    pub(in crate::commands::bench) in_log: u64,
    /// Events in the log that no answer came for: allowed, once each.
    pub(in crate::commands::bench) unanswered_in_log: u64,
    /// Acknowledged events that the log does not hold.
    pub(in crate::commands::bench) lost: u64,
    /// Events that the log holds more than once.
    pub(in crate::commands::bench) doubled: u64,
    /// Records that nobody sent.
    pub(in crate::commands::bench) invented: u64,
    /// Records that do not say what was sent.
    pub(in crate::commands::bench) altered: u64,
    /// Places where offsets do not follow on each other.
    pub(in crate::commands::bench) gaps: u64,
    /// Batches of which the log holds a part only.
    pub(in crate::commands::bench) torn: u64,
    /// Acknowledged events that were taken for new when they were told once more.
    pub(in crate::commands::bench) forgotten: u64,
}

impl Found {
    /// Whether every promise was kept.
    pub(in crate::commands::bench) fn is_sound(&self) -> bool {
        let faults = [self.lost, self.doubled, self.invented, self.altered, self.gaps, self.torn, self.forgotten];
        faults.iter().all(|count| *count == 0)
    }

    /// Counts what is wrong with how often each event stands in the log.
    fn settle(&mut self, fates: &[Fate], seen: &[u8]) {
        for (fate, events) in fates.iter().zip(seen.chunks(BATCH as usize)) {
            let present = events.iter().filter(|count| **count > 0).count() as u64;
            self.doubled += events.iter().filter(|count| **count > 1).count() as u64;
            self.torn += u64::from(present > 0 && present < BATCH);
            match fate {
                Fate::Acknowledged => {
                    self.acknowledged += BATCH;
                    self.lost += BATCH - present;
                }
                Fate::Unknown => self.unanswered_in_log += present,
            }
        }
    }
}

/// Tells again what was acknowledged, then reads the whole log as a follower does, past every cache, and compares.
pub(in crate::commands::bench) async fn audit(host: &Host, keys: &Keys, ledger: &Ledger) -> anyhow::Result<Found> {
    let fates = ledger.fates();
    let mut seen = vec![0_u8; fates.len() * BATCH as usize];
    let mut found = Found { forgotten: tell_again(host, keys, ledger, &fates).await?, ..Found::default() };
    let read = read_log(&host.gateway_url(), &host.authority(), |event| {
        match ledger.number_of(event).filter(|number| *number < seen.len() as u64) {
            Some(number) => {
                let count = &mut seen[number as usize];
                *count = count.saturating_add(1);
                found.altered += u64::from(!Ledger::is_whole(event, number));
            }
            None => found.invented += 1,
        }
    })
    .await?;
    (found.in_log, found.gaps) = (read.records, read.gaps);
    found.settle(&fates, &seen);
    Ok(found)
}

/// Sends every acknowledged event once more; returns how many were not known.
async fn tell_again(host: &Host, keys: &Keys, ledger: &Ledger, fates: &[Fate]) -> anyhow::Result<u64> {
    /// Batches in one request.
    const TOGETHER: usize = 100;
    let mut client = host.api(&keys.api_key)?.ingestion();
    let known = (0..).zip(fates).filter(|(_, fate)| **fate == Fate::Acknowledged);
    let known: Vec<u64> = known.map(|(batch, _)| batch).collect();
    let mut forgotten = 0;
    for batches in known.chunks(TOGETHER) {
        let events = batches.iter().flat_map(|batch| ledger.events(*batch)).collect();
        let request = CollectRequest { events, source_id: keys.source_id.clone() };
        let verdicts = client.collect(request).await?.into_inner().verdicts;
        forgotten += verdicts.iter().filter(|verdict| verdict.outcome() != Outcome::Duplicate).count() as u64;
    }
    Ok(forgotten)
}

/// What reading the log came to.
#[derive(Debug, Default)]
pub(in crate::commands::bench) struct Read {
    pub(in crate::commands::bench) records: u64,
    /// Places where offsets do not follow on each other.
    pub(in crate::commands::bench) gaps: u64,
}

/// Reads the log to its end through the gateway at `url`, and hands over every event.
pub(in crate::commands::bench) async fn read_log(
    url: &str,
    authority: &Authority,
    mut each: impl FnMut(&Event),
) -> anyhow::Result<Read> {
    let credential = Credential::service(authority, "audit");
    let channel = channel::remote(url, ChannelOptions::new(credential).target("ingestion"))?;
    let mut client = LogServiceClient::new(channel).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
    let ends = client.list_partitions(ListPartitionsRequest {}).await?.into_inner().ends;
    let expected: u64 = ends.iter().map(|end| end.next_offset).sum();

    let mut read = Read::default();
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    if expected == 0 {
        return Ok(read);
    }
    let cursors = ends.into_iter().map(|end| Cursor { next_offset: 0, ..end }).collect();
    let request = FollowRequest { follower: "audit".into(), cursors, ..FollowRequest::default() };
    let mut stream = client.follow(request).await?.into_inner();
    while read.records < expected {
        let batch = tokio::time::timeout(PATIENCE, stream.next()).await.context("the log does not end")?;
        let batch = batch.context("the log broke off")??;
        let partition = batch.partition.unwrap_or_default().partition;
        let records = RecordList::decode(batch.records)?.records;
        let wanted = next.insert(partition, batch.first_offset + records.len() as u64).unwrap_or(0);
        read.gaps += u64::from(wanted != batch.first_offset);
        read.records += records.len() as u64;
        for record in records {
            each(&Event::decode(record.payload)?);
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_is_counted() {
        let fates = [Fate::Acknowledged, Fate::Acknowledged, Fate::Unknown, Fate::Unknown];
        let mut seen = vec![1; 4 * BATCH as usize];
        let mut sound = Found::default();
        sound.settle(&fates, &seen);
        assert!(sound.is_sound());
        assert_eq!((sound.acknowledged, sound.unanswered_in_log), (2 * BATCH, 2 * BATCH));

        seen[0] = 0;
        seen[BATCH as usize] = 2;
        seen[2 * BATCH as usize..3 * BATCH as usize].fill(0);
        seen[3 * BATCH as usize] = 0;
        let mut broken = Found::default();
        broken.settle(&fates, &seen);
        assert!(!broken.is_sound());
        assert_eq!((broken.lost, broken.doubled, broken.torn), (1, 1, 2));
    }
}
