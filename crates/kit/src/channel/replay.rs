use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt};
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use tonic::{Status, body::Body};

/// Largest request body that is kept for a retry, in bytes.
const MAX_KEPT_BYTES: usize = crate::MAX_MESSAGE_BYTES;

/// A request body, sorted by whether it can be sent again.
pub(super) enum RequestBody {
    /// A unary request: all of it is in memory.
    Whole(Bytes),
    /// A stream of requests, or one too large to keep.
    Stream(Body),
}

impl RequestBody {
    /// Sorts `body` without waiting: one that is ready to its end is a unary request, one that makes us wait is a stream.
    pub(super) fn sort(mut body: Body) -> Result<Self, Status> {
        let mut chunks: Vec<Bytes> = Vec::new();
        let mut kept_bytes = 0;
        while kept_bytes <= MAX_KEPT_BYTES {
            match body.frame().now_or_never() {
                None => break,
                Some(None) => return Ok(Self::Whole(join(chunks))),
                Some(Some(Err(status))) => return Err(status),
                Some(Some(Ok(frame))) => {
                    if let Ok(chunk) = frame.into_data() {
                        kept_bytes += chunk.len();
                        chunks.push(chunk);
                    }
                }
            }
        }
        Ok(Self::Stream(resume(chunks, body)))
    }

    /// Returns a body to send: another one each time for a whole request, the one and only for a stream.
    pub(super) fn next_body(&mut self) -> Body {
        match self {
            Self::Whole(bytes) => Body::new(Full::new(bytes.clone())),
            Self::Stream(body) => std::mem::take(body),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

fn join(mut chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        0 => Bytes::new(),
        1 => chunks.remove(0),
        _ => {
            let mut joined = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
            for chunk in chunks {
                joined.extend_from_slice(&chunk);
            }
            joined.freeze()
        }
    }
}

/// Puts what was read in front of what is still to come.
fn resume(chunks: Vec<Bytes>, rest: Body) -> Body {
    let read = futures::stream::iter(chunks.into_iter().map(|chunk| Ok(Frame::data(chunk))));
    Body::new(StreamBody::new(read.chain(BodyStream::new(rest))))
}
