//! Receiving bodies within the room that there is for them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kit::{
    Error,
    server::{BodyRoom, Held},
};

/// How long a client may take to send its body. Longer than the 15 s that the slowest SDK allows itself.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What is read of a body that is refused, so that its sender, who may not listen before all is sent, hears why.
const DISCARDED_BYTES: usize = 24 << 20;

/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// What a call whose request goes on may have here on its way: the flow-control window of its stream.
const ON_THE_WAY: usize = 512 << 10;

/// How large a body may be, and what it becomes.
pub(super) struct Bounds {
    /// Largest body, in bytes.
    pub(super) largest: usize,
    /// Bytes of memory for each byte received.
    pub(super) factor: usize,
}

/// A body, and the room that it takes up until it is answered.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) room: Held,
}

/// Receives a body. Refuses before the first byte when there is no room, and later when others took it up.
pub(super) async fn receive(
    room: &BodyRoom,
    headers: &HeaderMap,
    mut body: Body,
    bounds: &Bounds,
) -> Result<Received, Error> {
    let received = match tokio::time::timeout(BODY_TIMEOUT, fill(room, headers, &mut body, bounds)).await {
        Ok(received) => received,
        Err(_) => return Err(Error::invalid("BODY_TIMEOUT", "the body did not arrive in time")),
    };
    if received.is_err() {
        tokio::spawn(discard(body));
    }
    received
}

async fn fill(room: &BodyRoom, headers: &HeaderMap, body: &mut Body, bounds: &Bounds) -> Result<Received, Error> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let told = told.unwrap_or(0);
    if told > bounds.largest {
        return Err(too_large(bounds));
    }
    let mut held = room.begin(told * bounds.factor)?;
    let mut bytes = BytesMut::with_capacity(told);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::invalid("BODY_UNREADABLE", "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > bounds.largest {
            return Err(too_large(bounds));
        }
        held.grow_to((bytes.len() + data.len()) * bounds.factor)?;
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes: bytes.freeze(), room: held })
}

fn too_large(bounds: &Bounds) -> Error {
    Error::invalid("BODY_TOO_LARGE", format!("the body is larger than {} bytes", bounds.largest))
}

/// Reads what is left of a body that nobody wants, a part at a time, and keeps nothing of it.
pub(super) async fn discard(mut body: Body) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARDED_BYTES {
                return;
            }
        }
    };
    // Whoever is slower than that loses its connection, and comes again.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, reading).await;
}

/// Returns the body of a call that is passed on as it comes. It takes up room until it ends; refused when there is none.
pub(super) fn passed_on(room: &BodyRoom, body: tonic::body::Body) -> Result<tonic::body::Body, Error> {
    let mut held = room.begin(ON_THE_WAY)?;
    held.grow_to(ON_THE_WAY)?;
    Ok(tonic::body::Body::new(PassedOn { inner: body, held: Some(held) }))
}

struct PassedOn {
    inner: tonic::body::Body,
    held: Option<Held>,
}

impl http_body::Body for PassedOn {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, tonic::Status>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        if frame.is_none() || this.inner.is_end_stream() {
            this.held = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const BOUNDS: Bounds = Bounds { largest: 40 << 10, factor: 1 };

    fn headers(length: usize) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from(length))])
    }

    fn endless() -> Body {
        let chunks = std::iter::repeat_with(|| Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; 1 << 10])));
        Body::from_stream(futures::stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_holds_its_room_until_it_is_answered() {
        let room = BodyRoom::new(100);

        let received = receive(&room, &HeaderMap::new(), Body::from(vec![b'x'; 40 << 10]), &BOUNDS).await.unwrap();

        assert_eq!(received.bytes.len(), 40 << 10);
        assert!(room.take(61 << 10).is_err());
        drop(received.room);
        assert!(room.take(100 << 10).is_ok());
    }

    #[tokio::test]
    async fn what_finds_no_room_is_refused_unread() {
        let room = BodyRoom::new(100);
        let _taken = room.take(50 << 10).unwrap();

        let crowded = receive(&room, &headers(30 << 10), endless(), &BOUNDS).await.err().unwrap();
        let large = receive(&room, &headers(41 << 10), endless(), &BOUNDS).await.err().unwrap();
        let untold = receive(&room, &HeaderMap::new(), endless(), &BOUNDS).await.err().unwrap();

        assert_eq!((crowded.kind, crowded.reason.as_ref()), (kit::Kind::ResourceExhausted, "OVERLOADED"));
        assert!(crowded.retry_after.is_some());
        assert_eq!([large.reason, untold.reason], ["BODY_TOO_LARGE"; 2]);
        assert!(room.take(50 << 10).is_ok(), "nothing is held for what was refused");
    }

    #[tokio::test]
    async fn a_call_that_is_passed_on_holds_room_until_its_request_ends() {
        let room = BodyRoom::new(1 << 10);
        let whole = || {
            tonic::body::Body::new(http_body_util::Full::new(Bytes::from_static(b"x")).map_err(|never| match never {}))
        };

        let mut first = passed_on(&room, whole()).unwrap();
        assert!(passed_on(&room, whole()).is_err());
        while first.frame().await.is_some() {}

        assert!(passed_on(&room, whole()).is_ok());
    }
}
