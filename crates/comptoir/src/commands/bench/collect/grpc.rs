//! Sending batches by gRPC, as bytes that were made before.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::{
    Code, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{
    bodies::{Template, first_id},
    generate::{Args, Lane, Pace},
};

const COLLECT: &str = "/comptoir.ingestion.v1.IngestionService/Collect";
/// Lanes that share one connection.
const LANES_PER_CONNECTION: usize = 4;
/// Pause after the door said that it cannot take more for the moment.
const PAUSE: Duration = Duration::from_millis(20);

/// Messages as they go over the wire.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Opens a channel for each lane; a few share a connection.
pub(super) async fn connect(args: &Args, lanes: usize) -> anyhow::Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for _ in 0..lanes.div_ceil(LANES_PER_CONNECTION) {
        let endpoint = Endpoint::from_shared(format!("http://{}", args.address))?
            .tcp_nodelay(true)
            .initial_connection_window_size(8 << 20)
            .initial_stream_window_size(2 << 20);
        channels.push(endpoint.connect().await.context("the door cannot be reached")?);
    }
    Ok((0..lanes).map(|lane| channels[lane / LANES_PER_CONNECTION].clone()).collect())
}

pub(super) async fn send(
    args: &Args,
    channels: Vec<Channel>,
    shares: Vec<Vec<Template>>,
    pace: &Pace,
) -> anyhow::Result<Vec<Lane>> {
    let mut authorization: MetadataValue<Ascii> = args.authorization.parse().context("the credential is no header")?;
    authorization.set_sensitive(true);
    let lanes = channels
        .into_iter()
        .zip(shares)
        .enumerate()
        .map(|(number, (channel, share))| lane(channel, &authorization, share, first_id(args.run, number), pace));
    futures::future::try_join_all(lanes).await
}

async fn lane(
    channel: Channel,
    authorization: &MetadataValue<Ascii>,
    mut templates: Vec<Template>,
    mut next_id: u64,
    pace: &Pace,
) -> anyhow::Result<Lane> {
    let mut client = Grpc::new(channel).max_decoding_message_size(kit::MAX_MESSAGE_BYTES);
    let mut lane = Lane::default();
    let count = templates.len();
    for turn in 0.. {
        let template = &mut templates[turn % count];
        template.renew(&mut next_id);
        let Some(due) = pace.due() else { break };
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let bytes = Bytes::copy_from_slice(&template.bytes);
        loop {
            let mut request = tonic::Request::new(bytes.clone());
            request.metadata_mut().insert("authorization", authorization.clone());
            client.ready().await?;
            let answer: Result<tonic::Response<Bytes>, Status> =
                client.unary(request, PathAndQuery::from_static(COLLECT), Raw).await;
            match answer {
                Ok(_) => {
                    lane.answered(template, due);
                    break;
                }
                Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                    lane.refused += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(status) => return Err(status.into()),
            }
        }
    }
    Ok(lane)
}
