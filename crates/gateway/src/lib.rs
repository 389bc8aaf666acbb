//! The only address anyone knows: it tells who calls, limits how much, and leads every call to its service.
//!
//! It owns tenants, secret keys and rate limits, and nothing else; it shows how far followers are behind. gRPC is forwarded as bytes and never decoded; gRPC-Web and
//! JSON over HTTP (the Connect protocol) are translated for unary calls; the collector's bodies go to ingestion as they came.
//! The tenant comes from the credential, never from the body. An event is answered with 200 only after ingestion says that it
//! is committed.
//!
//! To add a service: add its channel to [`Upstreams`] and its package to `Upstreams::find`. To add an HTTP route: add a file
//! under `http/` and merge its router in `http::router`. To add a scope: see `kit::auth::scope`.

mod access;
mod config;
mod http;
mod limits;
mod operations;
mod service;
mod upstreams;

use std::{sync::Arc, time::Duration};

use ::store::{Cache, Db};
use kit::{
    Clock, Error,
    auth::Authority,
    channel::{self, ChannelOptions, Credential},
    metrics::Metrics,
    server::{BodyRoom, Readiness, Services},
};
use prometheus_client::metrics::counter::Counter;
use proto::gateway::v1::{
    access_service_server::AccessServiceServer, operations_service_server::OperationsServiceServer,
};
use tonic::service::Routes;

use access::{AccessHandler, AccessStore, Authenticator};
pub use config::{AccessConfig, Config, UpstreamConfig};
use limits::Limits;
use operations::OperationsHandler;
pub use upstreams::Upstreams;

/// Tables of the gateway.
pub static MIGRATIONS: ::store::Migrations = ::store::migrations!("gateway");

/// Name of this service, as credentials, logs and `comptoir-service` carry it.
pub const NAME: &str = "gateway";

/// Room for the calls of the API: enough for the largest JSON body, which is counted four times.
const CALLS_ROOM_KIB: u32 = 98_304;

/// What the gateway works with.
pub struct Deps {
    /// Where tenants and keys are kept.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// Signs the tokens by which services know the caller.
    pub authority: Authority,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// What has to be ready before calls are welcome.
    pub readiness: Readiness,
    /// Rate counters.
    pub cache: Cache,
    /// Where the services are. Made with [`Credential::none`]: the gateway puts the caller's token on each call.
    pub upstreams: Upstreams,
}

/// The gateway, ready to serve.
pub struct Gateway {
    routes: Routes,
}

impl Gateway {
    /// Builds the gateway. Refuses a database whose migrations are not applied.
    pub async fn build(config: &Config, deps: Deps) -> Result<Self, Error> {
        deps.db.require_current(&[&MIGRATIONS]).await?;
        let access = AccessStore::new(deps.db);
        let operator_key = config.access.operator_key.expose();
        if !operator_key.is_empty() && operator_key.len() < 16 {
            return Err(Error::violations([("access.operator_key", "must have at least 16 characters, or be empty")]));
        }
        let retried_requests = deps.metrics.shared(
            "comptoir_gateway_retried_collect_requests",
            "Collector requests whose client says, by X-Retry-Count, that it sent them before",
            Counter::default,
        );
        let own = Services::new(NAME, deps.authority.clone(), deps.metrics.clone(), deps.readiness.clone())
            .add(AccessServiceServer::new(AccessHandler { store: access.clone(), clock: deps.clock.clone() }))
            .add(OperationsServiceServer::new(OperationsHandler {
                upstreams: deps.upstreams.clone(),
                service: Credential::service(&deps.authority, NAME),
            }))
            .build();
        let own = channel::local(own, ChannelOptions::new(Credential::none()).retries(0));

        let gate = http::Gate {
            authenticator: Authenticator::new(
                access,
                deps.authority.clone(),
                operator_key,
                Duration::from_secs(config.access.key_cache_seconds),
            ),
            service: Credential::service(&deps.authority, NAME),
            limits: Limits::new(deps.cache, &config.access),
            receiving: BodyRoom::new(config.access.receive_kib),
            receiving_calls: BodyRoom::new(CALLS_ROOM_KIB),
            upstreams: deps.upstreams,
            own,
            trusted_proxies: config.access.trusted_proxies,
            sources: http::Sources::new(Duration::from_secs(config.access.key_cache_seconds)),
            retried_requests,
        };
        Ok(Self { routes: Routes::from(http::router(Arc::new(gate))) })
    }

    /// Returns everything the gateway answers, to be served or called in the process.
    pub fn routes(&self) -> Routes {
        self.routes.clone()
    }
}
