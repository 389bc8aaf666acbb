//! Reading ahead: the next records are fetched and decoded while the last ones are folded.

use std::sync::Arc;

use kit::channel::Channel;
use proto::log::v1::log_service_client::LogServiceClient;
use proto::log::v1::{Compression, Cursor, FollowRequest, FollowResponse};
use store::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tonic::Status;

use crate::batch::Packed;
use crate::log::is_redacted;
use crate::record::{LogRecord, PartitionId};

/// Bytes read ahead at most, unpacked. A larger batch is let through alone.
const AHEAD_BYTES: usize = 8 << 20;

/// Partitions in one stream; the publisher takes 10,000 at most.
const STREAM_CURSORS: usize = 5_000;

/// Responses read ahead at most, however small.
const AHEAD_RESPONSES: usize = 1_024;

/// Records of one partition, as they came in one response.
pub(crate) struct Chunk {
    pub(crate) partition: PartitionId,
    pub(crate) first_offset: u64,
    pub(crate) next_offset: u64,
    pub(crate) records: Vec<LogRecord>,
    /// Gives the room back when the records are done with.
    _room: OwnedSemaphorePermit,
}

/// Why no more records come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    #[error("the publisher cannot be followed")]
    Refused(#[source] Box<Status>),
    #[error("the publisher has ended the stream")]
    Ended,
    #[error("a response cannot be read")]
    Unreadable(#[source] Error),
    #[error("a response names no known partition")]
    Nameless(#[source] kit::Error),
}

/// Streams of records that are read ahead by tasks of their own, which end with this value.
pub(crate) struct Incoming {
    chunks: mpsc::Receiver<Result<Chunk, Interrupted>>,
    _reading: JoinSet<()>,
}

impl Incoming {
    pub(crate) fn open(source: &Channel, follower: &str, cursors: &[(PartitionId, u64)]) -> Self {
        let (ahead, chunks) = mpsc::channel(AHEAD_RESPONSES);
        let room = Arc::new(Semaphore::new(AHEAD_BYTES));
        let mut reading = JoinSet::new();
        for cursors in cursors.chunks(STREAM_CURSORS) {
            let (source, room, ahead) = (source.clone(), Arc::clone(&room), ahead.clone());
            let request = request(follower, cursors);
            reading.spawn(async move {
                if let Err(interrupted) = read(source, request, &room, &ahead).await {
                    // Nobody listens when the lane has turned to other streams.
                    let _ = ahead.send(Err(interrupted)).await;
                }
            });
        }
        Self { chunks, _reading: reading }
    }

    /// Waits for the next records; none when all readers are gone.
    pub(crate) async fn next(&mut self) -> Option<Result<Chunk, Interrupted>> {
        self.chunks.recv().await
    }

    /// Returns the next records when they are there already.
    pub(crate) fn try_next(&mut self) -> Option<Result<Chunk, Interrupted>> {
        self.chunks.try_recv().ok()
    }
}

fn request(follower: &str, cursors: &[(PartitionId, u64)]) -> FollowRequest {
    let cursor = |(partition, next_offset): &(PartitionId, u64)| Cursor {
        partition: Some(partition.to_wire()),
        next_offset: *next_offset,
    };
    FollowRequest {
        follower: follower.to_owned(),
        cursors: cursors.iter().map(cursor).collect(),
        accepted_compressions: vec![Compression::Lz4.into()],
        max_records: 0,
    }
}

/// Reads until the lane stops listening; a stream that ends is an interruption like any other.
async fn read(
    source: Channel,
    request: FollowRequest,
    room: &Arc<Semaphore>,
    ahead: &mpsc::Sender<Result<Chunk, Interrupted>>,
) -> Result<(), Interrupted> {
    let refused = |status: Status| Interrupted::Refused(Box::new(status));
    let mut client = LogServiceClient::new(source).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
    let mut responses = client.follow(request).await.map_err(refused)?.into_inner();
    while let Some(response) = responses.message().await.map_err(refused)? {
        let chunk = unpack(response, room).await?;
        if ahead.send(Ok(chunk)).await.is_err() {
            return Ok(());
        }
    }
    Err(Interrupted::Ended)
}

async fn unpack(response: FollowResponse, room: &Arc<Semaphore>) -> Result<Chunk, Interrupted> {
    let partition = PartitionId::from_wire(response.partition.as_ref()).map_err(Interrupted::Nameless)?;
    let append_time = response.append_time.unwrap_or_default();
    let compression = response.compression();
    let packed = Packed {
        first_offset: response.first_offset,
        count: response.count,
        append_time_us: kit::time::micros(&append_time),
        compression,
        crc32: response.crc32,
        records: response.records,
    };
    let unpacked = packed.unpack().map_err(Interrupted::Unreadable)?;
    let bytes = u32::try_from(unpacked.weight().clamp(1, AHEAD_BYTES)).expect("the room fits 32 bits");
    let permit = Arc::clone(room).acquire_many_owned(bytes).await.expect("the semaphore is never closed");

    let mut records = Vec::with_capacity(unpacked.len());
    for offset in packed.first_offset..packed.next_offset() {
        let record = unpacked.record(&partition, offset).map_err(Interrupted::Unreadable)?;
        if !is_redacted(&record.record) {
            records.push(record);
        }
    }
    Ok(Chunk {
        partition,
        first_offset: packed.first_offset,
        next_offset: packed.next_offset(),
        records,
        _room: permit,
    })
}
