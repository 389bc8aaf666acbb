//! Serving: every RPC verified, traced, counted and contained, beside health, reflection and metrics, on one port.
//!
//! [`Services`] turns generated servers into routes; those are what [`run`] serves on a socket and what
//! [`channel::local`](crate::channel::local) calls in the process, so both ways pass the same checks.

mod body;
mod drain;
mod guard;
mod health;
mod meter;
mod methods;
mod readiness;
mod room;
mod run;
mod shape;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, sync::Arc};

use http::Request;
use tonic::{body::Body, server::NamedService, service::Routes};
use tonic_health::pb::health_server::HealthServer;
use tower::Service;

use self::{guard::Guard, health::ReadinessHealth, methods::Methods};
pub use self::{
    meter::{MessageRoom, Metering, ReceiveRoom},
    readiness::{Readiness, ReadyHandle},
    room::{BodyRoom, Held},
    run::run,
};
use crate::{auth::Authority, metrics::Metrics};

/// Collects the gRPC servers of one service into routes.
pub struct Services {
    name: &'static str,
    authority: Authority,
    metrics: Metrics,
    routes: Routes,
    grpc_names: Vec<&'static str>,
    readiness: Readiness,
    metering: Option<Metering>,
}

impl Services {
    /// Returns routes under construction for the service called `name`. `readiness` is what gRPC health answers with.
    pub fn new(name: &'static str, authority: Authority, metrics: Metrics, readiness: Readiness) -> Self {
        Self { name, authority, metrics, routes: Routes::default(), grpc_names: Vec::new(), readiness, metering: None }
    }

    /// Adds a generated server. Give it `.max_decoding_message_size(kit::MAX_MESSAGE_BYTES)` first.
    #[expect(clippy::should_implement_trait, reason = "reads as a builder; there is nothing to sum")]
    pub fn add<S>(mut self, server: S) -> Self
    where
        S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.grpc_names.push(S::NAME);
        self.routes = self.routes.add_service(server);
        self
    }

    /// Bounds the messages of requests that are held at once.
    pub fn metered(mut self, metering: Metering) -> Self {
        self.metering = Some(metering);
        self
    }

    /// Returns the routes: what was added, gRPC health and reflection, behind the checks.
    ///
    /// Every call is verified (health and reflection need no credential), runs in a span that continues the caller's trace, is
    /// counted, and cannot take the process down by panicking.
    pub fn build(self) -> Routes {
        let health = HealthServer::new(ReadinessHealth::new(self.readiness, self.grpc_names));
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .expect("the descriptor sets are compiled in");

        let mut routes = self.routes;
        if let Some(metering) = self.metering {
            routes = Routes::from(routes.into_axum_router().layer(meter::MeterLayer(metering)));
        }
        let routes = routes.add_service(health).add_service(reflection);
        guard(routes, self.name, self.authority, &self.metrics)
    }
}

/// Puts `routes` behind the checks that every call passes.
pub(crate) fn guard(routes: Routes, name: &'static str, authority: Authority, metrics: &Metrics) -> Routes {
    let descriptor_sets = [proto::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
    let guard = Arc::new(Guard::new(name, authority, Methods::new(&descriptor_sets, metrics)));
    Routes::from(routes.into_axum_router().layer(guard::GuardLayer(guard)))
}
