use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tower::{Layer, Service};

use super::{
    BodyRoom, Held,
    shape::{Unfollowable, Walk},
};
use crate::Error;

/// How long a message may take from its first byte to its last. Whoever is slower lets go of its room.
const MESSAGE_LIMIT: Duration = Duration::from_secs(30);

/// Bytes in front of each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Most that a message may become when it is decoded, beside its texts: five thousand events with long orders fit.
const MAX_DECODED_BYTES: usize = 96 << 20;

/// Room for the messages that a service receives.
#[derive(Clone, Debug)]
pub struct Metering {
    /// For calls, which are refused when there is none.
    pub calls: ReceiveRoom,
    /// For streams of messages, which wait: each message counts until its handler drops what [`MessageRoom::take`] gave it.
    pub streams: ReceiveRoom,
    /// Paths of the RPCs whose requests are streams.
    pub streaming: &'static [&'static str],
}

/// Room for messages of one kind.
#[derive(Clone, Debug)]
pub struct ReceiveRoom {
    /// For what is sent, taken when a message begins.
    pub sent: BodyRoom,
    /// For what it becomes, taken when all of it is there. Room of its own: who has it waits for nothing more.
    pub decoded: BodyRoom,
}

impl ReceiveRoom {
    /// Returns `kib` KiB for what is sent, and as much for what it becomes.
    pub fn new(kib: u32) -> Self {
        Self { sent: BodyRoom::new(kib), decoded: BodyRoom::new(kib) }
    }
}

/// The room that the messages of one stream of requests take up, in their order; an extension of the request.
#[derive(Clone, Debug, Default)]
pub struct MessageRoom(Arc<Mutex<VecDeque<Vec<Held>>>>);

impl MessageRoom {
    /// Takes over the room of the message that was received next.
    pub fn take(&self) -> Vec<Held> {
        self.lock().pop_front().unwrap_or_default()
    }

    fn put(&self, step: Step, held: Held) {
        let mut messages = self.lock();
        match (step, messages.back_mut()) {
            (Step::End(_), Some(message)) => message.push(held),
            _ => messages.push_back(vec![held]),
        }
    }

    fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<Held>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes room for each message before it is received: a message is decoded only when all of it is there, so without this
/// any number of large ones would be held before a handler could refuse the first.
#[derive(Clone)]
pub(super) struct MeterLayer(pub(super) Metering);

#[derive(Clone)]
pub(super) struct Metered<S> {
    metering: Metering,
    inner: S,
}

impl<S> Layer<S> for MeterLayer {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered { metering: self.0.clone(), inner }
    }
}

impl<S> Service<Request<axum::body::Body>> for Metered<S>
where
    S: Service<Request<axum::body::Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<axum::body::Body>) -> Self::Future {
        let waits = self.metering.streaming.contains(&request.uri().path());
        let room = if waits { self.metering.streams.clone() } else { self.metering.calls.clone() };
        let taken = MessageRoom::default();
        let (mut head, body) = request.into_parts();
        head.extensions.insert(taken.clone());
        let mut body = MeteredBody::new(body, room, waits, taken.clone());
        body.prefixes.walk = Walk::of(head.uri.path());
        let answer = self.inner.call(Request::from_parts(head, axum::body::Body::new(body)));
        Box::pin(async move {
            let answer = answer.await;
            // A call is over with its answer; a stream has only begun.
            if !waits {
                taken.clear();
            }
            answer
        })
    }
}

/// A message begins with so many bytes to come, or ends and becomes so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin(usize),
    End(usize),
}

/// A request body that takes room for each message whose beginning it sees.
struct MeteredBody {
    inner: axum::body::Body,
    prefixes: Prefixes,
    room: ReceiveRoom,
    waits: bool,
    taken: MessageRoom,
    /// What arrived and waits for room.
    awaiting: Option<Awaiting>,
    /// Runs while a message is incomplete.
    overdue: Option<Pin<Box<Sleep>>>,
    message_limit: Duration,
}

struct Awaiting {
    data: Bytes,
    /// What begins and ends in `data`, without room as yet.
    steps: VecDeque<Step>,
    room: Option<BoxFuture<'static, Held>>,
}

impl MeteredBody {
    fn new(inner: axum::body::Body, room: ReceiveRoom, waits: bool, taken: MessageRoom) -> Self {
        let (prefixes, awaiting, overdue) = (Prefixes::default(), None, None);
        Self { inner, prefixes, room, waits, taken, awaiting, overdue, message_limit: MESSAGE_LIMIT }
    }

    /// Takes room for all that begins in what arrived.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        let Some(awaiting) = &mut self.awaiting else {
            return Poll::Ready(Ok(None));
        };
        while let Some(step) = awaiting.steps.front().copied() {
            let (room, bytes) = match step {
                Step::Begin(bytes) => (&self.room.sent, bytes),
                Step::End(bytes) => (&self.room.decoded, bytes),
            };
            let held = if self.waits {
                let waiting = awaiting.room.get_or_insert_with(|| Box::pin(room.clone().wait_for(bytes)));
                let held = ready!(waiting.as_mut().poll(context));
                awaiting.room = None;
                held
            } else {
                room.take(bytes).map_err(Status::from)?
            };
            awaiting.steps.pop_front();
            self.taken.put(step, held);
        }
        Poll::Ready(Ok(self.awaiting.take().map(|awaiting| awaiting.data)))
    }

    fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        if !self.prefixes.is_within_message() {
            self.overdue = None;
            return Poll::Pending;
        }
        let limit = self.message_limit;
        let overdue = self.overdue.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(overdue.as_mut().poll(context));
        Poll::Ready(Error::invalid("MESSAGE_TIMEOUT", "the message did not arrive in time").into())
    }
}

impl Body for MeteredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.awaiting.is_none() {
            let frame = match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return this.poll_overdue(context).map(|status| Some(Err(status))),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            let mut steps = VecDeque::new();
            if let Err(error) = this.prefixes.read(&data, |step| steps.push_back(step)) {
                return Poll::Ready(Some(Err(error.into())));
            }
            if !steps.is_empty() {
                // Each message has its own time.
                this.overdue = None;
            }
            this.awaiting = Some(Awaiting { data, steps, room: None });
        }
        match ready!(this.poll_room(context)) {
            Ok(data) => Poll::Ready(data.map(|data| Ok(Frame::data(data)))),
            Err(status) => Poll::Ready(Some(Err(status))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.awaiting.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.awaiting.is_none() { self.inner.size_hint() } else { SizeHint::default() }
    }
}

/// Finds where messages begin and end and what they become, however their bytes are cut.
#[derive(Default)]
struct Prefixes {
    prefix: [u8; PREFIX_BYTES],
    filled: usize,
    /// Bytes of the current message that are still to come.
    missing: usize,
    /// Follows what the messages hold, where a contract names the call. A compressed message cannot be followed.
    walk: Option<Walk>,
    is_followed: bool,
}

impl Prefixes {
    fn read(&mut self, mut data: &[u8], mut found: impl FnMut(Step)) -> Result<(), Error> {
        while !data.is_empty() {
            while self.filled < PREFIX_BYTES && self.missing == 0 {
                let Some((first, rest)) = data.split_first() else { return Ok(()) };
                self.prefix[self.filled] = *first;
                self.filled += 1;
                data = rest;
            }
            if self.filled == PREFIX_BYTES {
                let [compressed, length @ ..] = self.prefix;
                self.missing = u32::from_be_bytes(length) as usize;
                self.filled = 0;
                found(Step::Begin(self.missing));
                self.is_followed = compressed == 0;
                if let Some(walk) = self.walk.as_mut().filter(|_| self.is_followed) {
                    walk.begin(self.missing);
                }
                if self.missing == 0 {
                    found(Step::End(0));
                    continue;
                }
            }
            let (part, rest) = data.split_at(self.missing.min(data.len()));
            let bytes = match self.walk.as_mut().filter(|_| self.is_followed) {
                Some(walk) => walk.go_on(part).map_err(|Unfollowable| unreadable())?,
                None => 0,
            };
            if bytes > MAX_DECODED_BYTES {
                return Err(too_large());
            }
            self.missing -= part.len();
            data = rest;
            if self.missing == 0 {
                found(Step::End(bytes));
            }
        }
        Ok(())
    }

    fn is_within_message(&self) -> bool {
        self.missing > 0 || self.filled > 0
    }
}

fn unreadable() -> Error {
    Error::invalid("MESSAGE_UNREADABLE", "the message cannot be read")
}

fn too_large() -> Error {
    Error::invalid("MESSAGE_TOO_LARGE", "the message holds too many parts")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::StreamExt;
    use http_body_util::{BodyExt, StreamBody};
    use tower::ServiceExt;

    use super::*;

    fn message(length: usize) -> Bytes {
        let mut framed = vec![0];
        framed.extend((length as u32).to_be_bytes());
        framed.resize(PREFIX_BYTES + length, b'x');
        framed.into()
    }

    fn metering(kib: u32) -> Metering {
        Metering { calls: ReceiveRoom::new(kib), streams: ReceiveRoom::new(kib), streaming: &["/stream"] }
    }

    fn request(path: &str, chunks: Vec<Bytes>) -> Request<axum::body::Body> {
        let frames = futures::stream::iter(chunks).map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
        Request::post(path).body(axum::body::Body::new(StreamBody::new(frames))).unwrap()
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let whole: Vec<u8> = [message(7), message(0), message(300), message(1)].concat();
        for size in 1..40 {
            let (mut prefixes, mut steps) = (Prefixes::default(), Vec::new());
            for chunk in whole.chunks(size) {
                prefixes.read(chunk, |step| steps.push(step)).unwrap();
            }
            let expected = [7, 0, 300, 1].map(|length| [Step::Begin(length), Step::End(0)]);
            assert_eq!(steps, expected.as_flattened(), "in pieces of {size}");
            assert!(!prefixes.is_within_message());
        }
    }

    #[tokio::test]
    async fn a_call_without_room_is_refused_before_it_is_received_and_gives_back_what_it_took() {
        let metering = metering(10);
        let service =
            MeterLayer(metering.clone()).layer(tower::service_fn(|request: Request<axum::body::Body>| async move {
                let read = request.into_body().collect().await;
                Ok::<_, Infallible>(
                    read.map(|body| body.to_bytes().len()).map_err(|error| Status::from_error(error.into())),
                )
            }));
        // Only the beginning of the large one is sent.
        let begun = message(9 << 10).slice(..PREFIX_BYTES + 1);

        let taken = metering.calls.sent.take(5 << 10).unwrap();
        let refused = service.clone().oneshot(request("/call", vec![begun])).await.unwrap().unwrap_err();
        drop(taken);
        let whole = message(9 << 10);
        let received = service.oneshot(request("/call", vec![whole.slice(..3), whole.slice(3..)])).await.unwrap();

        let refused = Error::from(refused);
        assert_eq!((refused.reason.as_ref(), refused.retry_after.is_some()), ("OVERLOADED", true));
        assert_eq!(received.unwrap(), whole.len());
        assert!(metering.calls.sent.take(10 << 10).is_ok(), "nothing is held any more");
    }

    #[tokio::test]
    async fn a_stream_waits_for_the_room_of_its_next_message() {
        let service =
            MeterLayer(metering(10)).layer(tower::service_fn(|request: Request<axum::body::Body>| async move {
                let taken = request.extensions().get::<MessageRoom>().cloned().unwrap();
                Ok::<_, Infallible>((request.into_body(), taken))
            }));
        let chunks = vec![message(6 << 10), message(6 << 10)];
        let (mut body, taken) = service.oneshot(request("/stream", chunks)).await.unwrap();

        assert!(body.frame().await.unwrap().is_ok());
        let next = tokio::spawn(async move { body.frame().await.is_some() });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!next.is_finished(), "the first message is held still");
        drop(taken.take());
        assert!(next.await.unwrap());
    }

    #[tokio::test]
    async fn a_message_that_never_ends_is_given_up() {
        let begun = futures::stream::iter([Ok::<_, Infallible>(Frame::data(message(9).slice(..8)))]);
        let unfinished = StreamBody::new(begun.chain(futures::stream::pending()));
        let (room, taken) = (ReceiveRoom::new(10), MessageRoom::default());
        let body = axum::body::Body::new(unfinished);
        let body = MeteredBody { message_limit: Duration::ZERO, ..MeteredBody::new(body, room.clone(), false, taken) };

        let late = body.collect().await.unwrap_err();

        assert_eq!(Error::from(late).reason, "MESSAGE_TIMEOUT");
        assert!(room.sent.take(10 << 10).is_ok(), "its room is given back");
    }
}
