//! Calls to other services: one channel type, whether the other service lives in this process or behind a socket.
//!
//! Generated clients take any tower service, so [`local`] wraps the very routes a server would serve and [`remote`] wraps a
//! connection. Both carry the same policy: a deadline, the current trace, a bearer token, retries on `UNAVAILABLE` within a budget,
//! and no panic of a handler reaching the caller. One conformance test runs over both.

mod budget;
mod call;
#[cfg(test)]
mod conformance;
mod credential;
mod replay;

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use tonic::{body::Body, service::Routes, transport::Endpoint};
use tower::util::BoxCloneSyncService;

use self::call::Policy;
pub use self::credential::Credential;
use crate::{Error, TenantId, auth::TENANT_METADATA};

/// Metadata key that tells the gateway which service a shared RPC, such as one of `LogService`, is for.
pub const SERVICE_METADATA: &str = "comptoir-service";

/// What a call may fail with below gRPC: nothing. Every failure, of the transport too, is a gRPC status in the response.
pub type ChannelError = Infallible;

/// A way to call a service. Cloning is cheap and shares the connection. Generated clients take it as it is:
/// `XServiceClient::new(channel).max_decoding_message_size(kit::MAX_MESSAGE_BYTES)`.
pub type Channel = BoxCloneSyncService<Request<Body>, Response<Body>, ChannelError>;

/// How calls through a channel behave.
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// Whom calls come from. A call that already carries an `authorization` header keeps it.
    pub credential: Credential,
    /// Time a unary call may take, retries included, until its response begins. A call whose request streams has none, and a
    /// stream of responses only has to begin in time. A `grpc-timeout` on the call itself takes its place, for streams too.
    pub deadline: Duration,
    /// How often a unary call is sent again after `UNAVAILABLE`. Every RPC of ours is safe to repeat: writes carry a request id.
    /// Set 0 where that does not hold.
    pub retries: u32,
    /// Which service shared RPCs are for, when the channel leads to the gateway.
    pub target: Option<&'static str>,
}

impl ChannelOptions {
    /// Returns the usual options: 10 s deadline, 2 retries, no target.
    pub fn new(credential: Credential) -> Self {
        Self { credential, deadline: Duration::from_secs(10), retries: 2, target: None }
    }

    /// Sets the deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the number of retries.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Names the service that shared RPCs are for.
    pub fn target(mut self, service: &'static str) -> Self {
        self.target = Some(service);
        self
    }
}

/// Returns a channel to a service in this process. Nothing is copied or sent; a call costs a few microseconds.
pub fn local(routes: Routes, options: ChannelOptions) -> Channel {
    Policy::new(options).apply(routes.prepare())
}

/// Returns a channel to the service at `url` (`http://host:port`). It connects on first use and again when the connection breaks.
///
/// Must be called inside a Tokio runtime.
pub fn remote(url: &str, options: ChannelOptions) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .ok()
        .filter(|endpoint| endpoint.uri().scheme_str() == Some("http") && endpoint.uri().host().is_some())
        .ok_or_else(|| Error::invalid("URL_INVALID", format!("{url} is not of the form http://host:port")))?
        .connect_timeout(Duration::from_secs(3))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    Ok(Policy::new(options).apply(endpoint.connect_lazy()))
}

/// HTTP/2 flow-control window of one stream: what is held for one that nobody reads at the moment.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 512 << 10;

/// HTTP/2 flow-control window of one connection, shared by its streams. The gateway has one connection to each service: a
/// window that few streams can fill would let those that nobody reads hold up all others.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 256 << 20;

/// Returns a request for `tenant`, as a service makes it.
pub fn for_tenant<M>(tenant: &TenantId, message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    let value = tenant.as_str().parse().expect("a tenant id is plain ASCII");
    request.metadata_mut().insert(TENANT_METADATA, value);
    request
}
