use std::collections::{BTreeSet, VecDeque};

use futures::Stream;
use kit::Violations;
use proto::log::v1::{Compression, Cursor, FollowRequest, FollowResponse};
use tonic::Status;

use super::LogRpc;
use crate::batch::Packed;
use crate::record::PartitionId;
use crate::store::{batches, partitions};

/// Most partitions in one stream.
const MAX_CURSORS: usize = 10_000;
/// Records in a response when the caller does not say.
const DEFAULT_RECORDS: u32 = 4_096;
/// Batches read with one statement: enough to amortise it, few enough to hold in memory.
const BATCHES_AT_ONCE: u32 = 4;

/// Streams what is there from the cursors on, then waits for what comes.
///
/// Everything happens when the caller takes a response: a slow caller slows it, and a caller that leaves ends it.
/// Partitions with records take turns, so that one with a backlog does not hold back the others.
pub(super) fn follow(
    rpc: LogRpc,
    request: FollowRequest,
) -> Result<impl Stream<Item = Result<FollowResponse, Status>> + Send + 'static, kit::Error> {
    let mut violations = Violations::new();
    check_follower(&mut violations, &request.follower);
    let mut cursors = parse_cursors(&mut violations, &request.cursors);
    violations.check(!request.cursors.is_empty(), "cursors", "must not be empty");
    violations.check(request.cursors.len() <= MAX_CURSORS, "cursors", "must be at most 10,000");
    violations.finish()?;

    let accepts_lz4 = request.accepted_compressions.contains(&i32::from(Compression::Lz4));
    let max_records = if request.max_records == 0 { DEFAULT_RECORDS } else { request.max_records };

    Ok(async_stream::try_stream! {
        let log = &rpc.log.inner;
        // Subscribed before the first look, so that nothing falls between the two.
        let waker = log.heads.subscribe(cursors.iter().map(|(partition, _)| partition));
        for (partition, end) in partitions::list(&log.db, log.name).await.map_err(status)? {
            log.heads.advance(&partition, end);
        }
        let has_more = |(partition, next_offset): &(PartitionId, u64)| log.heads.end(partition) > *next_offset;
        let mut ready: VecDeque<usize> =
            (0..cursors.len()).filter(|&index| has_more(&cursors[index])).collect();

        for (partition, next_offset) in cursors.iter().filter(|cursor| log.heads.end(&cursor.0) < cursor.1) {
            tracing::error!(
                log.name = log.name,
                log.follower = %request.follower,
                log.partition = partition.partition,
                log.offset = next_offset,
                "a follower is ahead of the log: records that it has seen are lost"
            );
        }

        loop {
            while let Some(index) = ready.pop_front() {
                let (partition, next_offset) = &mut cursors[index];
                let stored = batches::read(&log.db, log.name, partition, *next_offset, BATCHES_AT_ONCE);
                let stored = stored.await.map_err(status)?;
                // Nothing stored below a known end: retention dropped it all, and there is nothing to send.
                let is_drained = stored.is_empty();
                for batch in stored {
                    while *next_offset < batch.next_offset() {
                        let fitted = batch.clone().fit(*next_offset, max_records, accepts_lz4).map_err(status)?;
                        *next_offset = fitted.next_offset();
                        yield response(partition, fitted);
                    }
                }
                if !is_drained && log.heads.end(partition) > *next_offset {
                    ready.push_back(index);
                }
            }
            let moved = waker.moved().await;
            ready.extend(moved.into_iter().filter(|&index| has_more(&cursors[index])));
        }
    })
}

fn response(partition: &PartitionId, batch: Packed) -> FollowResponse {
    FollowResponse {
        partition: Some(partition.to_wire()),
        first_offset: batch.first_offset,
        count: batch.count,
        append_time: Some(kit::time::timestamp(batch.append_time_us)),
        compression: batch.compression.into(),
        records: batch.records,
        crc32: batch.crc32,
    }
}

pub(super) fn check_follower(violations: &mut Violations, follower: &str) {
    let is_named = (1..=64).contains(&follower.len());
    violations.check(is_named, "follower", "must be 1 to 64 characters");
}

pub(super) fn parse_cursors(violations: &mut Violations, cursors: &[Cursor]) -> Vec<(PartitionId, u64)> {
    let mut parsed = Vec::with_capacity(cursors.len());
    let mut seen = BTreeSet::new();
    for (index, cursor) in cursors.iter().enumerate() {
        let field = format!("cursors[{index}].partition");
        let partition = PartitionId::from_wire(cursor.partition.as_ref());
        let Some(partition) = violations.take(partition, &field) else {
            continue;
        };
        if violations.check(seen.insert(partition.clone()), field, "must not be named twice") {
            parsed.push((partition, cursor.next_offset));
        }
    }
    parsed
}

fn status(error: store::Error) -> Status {
    kit::Error::from(error).into()
}
