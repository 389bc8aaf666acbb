//! The e-mail channel: building messages and handing them to a mail server.

mod build;
mod connection;
mod handover;

pub(crate) use self::{
    build::{Content, Mail, build},
    handover::Handover,
};

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::connection::{Connection, Phase};
use crate::config::SmtpConfig;

/// Hands messages to the mail server, over a bounded number of connections that are used again. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Mailer(Arc<Inner>);

struct Inner {
    config: SmtpConfig,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

/// The right to use one connection.
pub(crate) struct Slot(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Mailer {
    /// Returns a mailer; it connects when first used.
    pub(crate) fn new(config: SmtpConfig) -> Self {
        let slots = Arc::new(Semaphore::new(config.connections.max(1)));
        Self(Arc::new(Inner { config, slots, idle: Mutex::default() }))
    }

    /// Waits for a connection to be free. Taken before a message is marked as being handed over, so that no more messages
    /// can be in doubt than there are connections.
    pub(crate) async fn slot(&self) -> Slot {
        let permit = Arc::clone(&self.0.slots).acquire_owned().await;
        Slot(permit.expect("the semaphore is never closed"))
    }

    /// Hands one message over. Only [`Handover::Accepted`] means that it has left, and only [`Handover::Uncertain`] that it
    /// may have.
    pub(crate) async fn send(&self, mail: &Mail, _slot: Slot) -> Handover {
        let reused = self.reuse();
        if let Some(mut connection) = reused {
            match connection.send(mail).await {
                Ok(()) => return self.keep(connection),
                // The server had closed it, as servers do; nothing was handed over.
                Err(failed) if failed.phase == Phase::Greeting => {}
                Err(failed) => return failed.into(),
            }
        }
        let mut connection = match Connection::open(&self.0.config).await {
            Ok(connection) => connection,
            Err(failed) => return failed.into(),
        };
        match connection.send(mail).await {
            Ok(()) => self.keep(connection),
            Err(failed) => failed.into(),
        }
    }

    /// Ends the connections that are not in use.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.0.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            connection.close().await;
        }
    }

    fn reuse(&self) -> Option<Connection> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(Connection::is_fresh);
        idle.pop()
    }

    fn keep(&self, connection: Connection) -> Handover {
        if connection.may_carry_more() {
            self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        Handover::Accepted
    }
}
