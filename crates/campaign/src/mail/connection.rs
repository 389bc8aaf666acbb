//! One SMTP conversation, of which we always know how far it has come.
//!
//! The conversation is lettre's; its steps are taken one by one here, because its own `send` does not tell whether a
//! failure came before or after the message was handed over.

use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::{
    Error as SmtpError,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, TlsParameters},
    commands::{Data, Mail as MailCommand, Rcpt},
    extension::{ClientId, Extension, MailBodyParameter, MailParameter},
};
use tokio::{net::TcpStream, time::timeout};

use super::Mail;
use crate::config::{SmtpConfig, SmtpTls};

/// How long a server may take for one step before the message (RFC 5321, section 4.5.3.2, is more patient).
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take after the final dot (RFC 5321, section 4.5.3.2.6).
const FINAL_LIMIT: Duration = Duration::from_secs(600);
/// How long a connection may lie idle; servers close theirs after some time.
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// Messages carried by one connection before another is opened, so that servers behind one name share them.
const MOST_MESSAGES: u32 = 500;

/// How far a conversation had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Connecting, or a used connection that turns out to be closed: nothing was said of the message.
    Greeting,
    Sender,
    Recipient,
    /// Asking to hand the message over.
    Data,
    /// The message was on its way, or handed over and not answered.
    Message,
}

/// A failed step.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) phase: Phase,
    /// The server's code, when it answered.
    pub(crate) code: Option<u16>,
    /// The enhanced code, such as "5.1.1", when it gave one.
    pub(crate) enhanced: Option<String>,
    /// What happened, without what the server wrote: servers repeat addresses.
    pub(crate) detail: String,
}

/// An open conversation.
pub(crate) struct Connection {
    inner: AsyncSmtpConnection,
    used: Instant,
    messages: u32,
}

impl Connection {
    /// Connects, greets, encrypts and signs in, as configured.
    pub(crate) async fn open(config: &SmtpConfig) -> Result<Self, Failed> {
        let opened = timeout(STEP_LIMIT, open(config)).await;
        match opened {
            Ok(Ok(inner)) => Ok(Self { inner, used: Instant::now(), messages: 0 }),
            Ok(Err(failed)) => Err(failed),
            Err(_) => Err(Failed::silent(Phase::Greeting)),
        }
    }

    /// Hands one message over.
    pub(crate) async fn send(&mut self, mail: &Mail) -> Result<(), Failed> {
        let mut parameters = Vec::new();
        if !mail.bytes.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        if !is_ascii(&mail.to) || !is_ascii(&mail.from) {
            if !self.inner.server_info().supports_feature(Extension::SmtpUtfEight) {
                let detail = "the mail server cannot take an address with such characters".to_owned();
                return Err(Failed { phase: Phase::Recipient, code: Some(553), enhanced: None, detail });
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }

        let sender = MailCommand::new(Some(mail.from.clone()), parameters);
        let first = timeout(STEP_LIMIT, self.inner.command(sender)).await;
        // An answer is the server's word on the sender; no answer means that the connection was closed before.
        step(first, Phase::Sender).map_err(|failed| match failed.code {
            Some(_) => failed,
            None => Failed { phase: Phase::Greeting, ..failed },
        })?;
        let recipient = timeout(STEP_LIMIT, self.inner.command(Rcpt::new(mail.to.clone(), Vec::new()))).await;
        step(recipient, Phase::Recipient)?;
        let data = timeout(STEP_LIMIT, self.inner.command(Data)).await;
        step(data, Phase::Data)?;
        let message = timeout(FINAL_LIMIT, self.inner.message(&mail.bytes)).await;
        step(message, Phase::Message)?;
        self.used = Instant::now();
        self.messages += 1;
        Ok(())
    }

    /// Whether the server may be expected to be still there.
    pub(crate) fn is_fresh(&self) -> bool {
        self.used.elapsed() < IDLE_LIMIT
    }

    pub(crate) fn may_carry_more(&self) -> bool {
        self.messages < MOST_MESSAGES
    }

    pub(crate) async fn close(mut self) {
        // The server learns it from the closed connection otherwise.
        let _ = timeout(Duration::from_secs(2), self.inner.quit()).await;
    }
}

impl Failed {
    fn of(phase: Phase, error: &SmtpError) -> Self {
        use std::error::Error;
        let code = error.status().map(u16::from);
        let enhanced = code.and(error.source()).and_then(|text| enhanced_code(&text.to_string()));
        let detail = match (&code, &enhanced) {
            (Some(code), Some(enhanced)) => format!("the mail server answered {code} {enhanced} {}", phase.name()),
            (Some(code), None) => format!("the mail server answered {code} {}", phase.name()),
            (None, _) if error.is_tls() => format!("encryption failed {}", phase.name()),
            (None, _) if error.is_client() => {
                format!("the mail server lacks something that is configured, {}", phase.name())
            }
            (None, _) => format!("the connection broke {}", phase.name()),
        };
        Self { phase, code, enhanced, detail }
    }

    fn silent(phase: Phase) -> Self {
        Self { phase, code: None, enhanced: None, detail: format!("the mail server did not answer {}", phase.name()) }
    }

    fn unreachable() -> Self {
        let detail = "the mail server cannot be reached".to_owned();
        Self { phase: Phase::Greeting, code: None, enhanced: None, detail }
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Greeting => "at the greeting",
            Self::Sender => "to the sender",
            Self::Recipient => "to the recipient",
            Self::Data => "before the message",
            Self::Message => "after the message",
        }
    }
}

fn is_ascii(address: &Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

async fn open(config: &SmtpConfig) -> Result<AsyncSmtpConnection, Failed> {
    let failed = |error: SmtpError| Failed::of(Phase::Greeting, &error);
    let hello = match config.hello_name.as_str() {
        "" => ClientId::default(),
        name => ClientId::Domain(name.to_owned()),
    };
    let tls = || TlsParameters::new(config.host.clone()).map_err(failed);

    let mut connection = match config.tls {
        SmtpTls::Tls => {
            let address = (config.host.as_str(), config.port);
            AsyncSmtpConnection::connect_tokio1(address, Some(STEP_LIMIT), &hello, Some(tls()?), None)
                .await
                .map_err(failed)?
        }
        SmtpTls::None | SmtpTls::Starttls => {
            let stream =
                TcpStream::connect((config.host.as_str(), config.port)).await.map_err(|_| Failed::unreachable())?;
            // Without this each message waits 40 ms for the server's delayed acknowledgement.
            stream.set_nodelay(true).map_err(|_| Failed::unreachable())?;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await.map_err(failed)?
        }
    };
    if config.tls == SmtpTls::Starttls {
        connection.starttls(tls()?, &hello).await.map_err(failed)?;
    }
    if !config.user.is_empty() {
        let credentials = Credentials::new(config.user.clone(), config.password.expose().clone());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(failed)?;
    }
    Ok(connection)
}

fn step<T>(outcome: Result<Result<T, SmtpError>, tokio::time::error::Elapsed>, phase: Phase) -> Result<(), Failed> {
    match outcome {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Failed::of(phase, &error)),
        Err(_) => Err(Failed::silent(phase)),
    }
}

/// Returns the enhanced status code at the start of a server's answer (RFC 3463).
fn enhanced_code(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    let parts: Vec<&str> = word.split('.').collect();
    let numbers =
        parts.iter().all(|part| !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit()));
    (parts.len() == 3 && numbers).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enhanced_code_is_found_at_the_start_only() {
        assert_eq!(enhanced_code("5.1.1 no such user").as_deref(), Some("5.1.1"));
        for none in ["no such user 5.1.1", "", "5.1 x", "5.1.1.1 x", "10.0.0.1x"] {
            assert_eq!(enhanced_code(none), None, "{none}");
        }
    }
}
