//! What a test works on: the product, however it runs.

use std::{future::Future, time::Duration};

use campaign::sink::{Received, Sink};
use comptoir::{api::Api, shop::Stage, web::Web};
use kit::{Error, auth::Authority};
use std::sync::{Arc, Mutex, PoisonError};

/// How long nothing may be under way any more after the last request.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(90);

/// The product, running, with its time and its mail in the test's hands.
pub trait Subject: Stage + Sync {
    /// Returns the API as the operator.
    fn operator(&self) -> Result<Api, Error>;
    /// Returns the API as the bearer of `key`.
    fn api(&self, key: &str) -> Result<Api, Error>;
    /// Returns an HTTP client of the gateway.
    fn web(&self) -> Result<Web, Error>;
    /// Returns the gateway's address, `http://host:port`.
    fn url(&self) -> String;
    /// Returns what signs the tokens between the services.
    fn authority(&self) -> Authority;
    /// Returns the post.
    fn post(&self) -> &Post;
}

/// Mail as it arrives: the services deliver to one box; after each settling what came is noted and handed to the people.
#[derive(Clone)]
pub struct Post {
    /// Where the services deliver.
    pub server: Sink,
    /// Where the simulated people find their mail.
    pub people: Sink,
    noted: Arc<Mutex<Vec<Received>>>,
}

impl Post {
    /// Starts the mail servers.
    pub async fn start() -> std::io::Result<Self> {
        Ok(Self { server: Sink::start().await?, people: Sink::start().await?, noted: Arc::default() })
    }

    /// Hands over what arrived.
    pub fn hand_over(&self) {
        for mail in self.server.take() {
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
            self.people.deliver(mail);
        }
    }

    /// Returns every mail that was handed over so far.
    pub fn all(&self) -> Vec<Received> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Waits for `work`, no longer than `limit`; `what` names it when it takes longer.
pub async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::unavailable("TOO_LONG", format!("{what}: not within {} s", limit.as_secs()))),
    }
}
