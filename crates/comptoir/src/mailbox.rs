//! A mail server for one process: takes every message over SMTP and keeps it in memory. For the demo and the tests; it delivers
//! nothing.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Largest message taken, in bytes.
const MAX_MESSAGE: usize = 4 << 20;
/// Longest command line taken, in bytes (RFC 5321 allows 512; be generous).
const MAX_LINE: usize = 4096;

/// A mail that arrived.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Envelope recipient.
    pub recipient: String,
    /// The message as it came, headers and body.
    pub raw: Vec<u8>,
}

/// What the server answers to a recipient or a message; see [`Mailbox::script`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes it.
    Accept,
    /// Refuses the recipient for now (`451`).
    RefuseForNow,
    /// Refuses the recipient for good (`550 5.1.1`).
    UnknownRecipient,
    /// Takes the message but closes the connection instead of saying so.
    CutAfterTheDot,
}

/// The server. Cloning shares it.
#[derive(Clone)]
pub struct Mailbox {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    /// Behaviour by recipient, and how often it still applies.
    script: BTreeMap<String, (Behaviour, u32)>,
}

impl Mailbox {
    /// Starts a server on a free port of the loopback interface. It runs until the runtime ends.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mailbox = Self { address: listener.local_addr()?, state: Arc::default() };
        let server = mailbox.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = server.clone();
                // A client that breaks off harms nobody else.
                tokio::spawn(async move { session.serve(stream).await.ok() });
            }
        });
        Ok(mailbox)
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns every mail so far, in order of arrival.
    pub fn mails(&self) -> Vec<Mail> {
        self.lock().mails.clone()
    }

    /// Puts a mail into the box, as if it had come over SMTP.
    pub fn deliver(&self, mail: Mail) {
        self.lock().mails.push(mail);
    }

    /// Takes every mail so far out of the box.
    pub fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut self.lock().mails)
    }

    /// Makes the next `times` messages to `recipient` meet `behaviour`.
    pub fn script(&self, recipient: &str, behaviour: Behaviour, times: u32) {
        self.lock().script.insert(recipient.to_ascii_lowercase(), (behaviour, times));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behaviour(&self, recipient: &str) -> Behaviour {
        let mut state = self.lock();
        match state.script.get_mut(&recipient.to_ascii_lowercase()) {
            Some((behaviour, times)) if *times > 0 => {
                *times -= 1;
                *behaviour
            }
            _ => Behaviour::Accept,
        }
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let mut recipients: Vec<String> = Vec::new();
        let mut cut = false;
        stream.write_all(b"220 mailbox ESMTP\r\n").await?;
        loop {
            let Some(line) = read_line(&mut stream, MAX_LINE).await? else { return Ok(()) };
            let text = String::from_utf8_lossy(&line);
            let upper = text.to_ascii_uppercase();
            let answer: String = if upper.starts_with("EHLO") {
                "250-mailbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 4194304\r\n".into()
            } else if upper.starts_with("HELO") || upper.starts_with("NOOP") {
                "250 mailbox\r\n".into()
            } else if upper.starts_with("MAIL FROM:") || upper.starts_with("RSET") {
                recipients.clear();
                "250 2.1.0 ok\r\n".into()
            } else if upper.starts_with("RCPT TO:") {
                let recipient = address_in(&text);
                match self.behaviour(&recipient) {
                    Behaviour::RefuseForNow => "451 4.3.0 try again later\r\n".into(),
                    Behaviour::UnknownRecipient => "550 5.1.1 no such user\r\n".into(),
                    behaviour => {
                        cut = behaviour == Behaviour::CutAfterTheDot;
                        recipients.push(recipient);
                        "250 2.1.5 ok\r\n".into()
                    }
                }
            } else if upper.trim_end() == "DATA" && !recipients.is_empty() {
                stream.write_all(b"354 go on\r\n").await?;
                let Some(raw) = read_message(&mut stream).await? else { return Ok(()) };
                let mails = recipients.drain(..).map(|recipient| Mail { recipient, raw: raw.clone() });
                self.lock().mails.extend(mails);
                if cut {
                    return Ok(());
                }
                "250 2.0.0 taken\r\n".into()
            } else if upper.starts_with("QUIT") {
                stream.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(());
            } else {
                "503 5.5.1 not now\r\n".into()
            };
            stream.write_all(answer.as_bytes()).await?;
        }
    }
}

fn address_in(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}

/// Reads one line without its end; `None` at the end of the connection or when it is too long.
async fn read_line(stream: &mut BufReader<TcpStream>, limit: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let buffered = stream.fill_buf().await?;
        if buffered.is_empty() {
            return Ok(None);
        }
        let end = buffered.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(buffered.len(), |end| end + 1);
        line.extend_from_slice(&buffered[..taken]);
        stream.consume(taken);
        if end.is_some() {
            let kept = line.trim_ascii_end().len();
            line.truncate(kept);
            return Ok(Some(line));
        }
        if line.len() > limit {
            return Ok(None);
        }
    }
}

/// Reads a message up to the lone dot, undoing dot-stuffing.
async fn read_message(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    while message.len() <= MAX_MESSAGE {
        let Some(line) = read_line(stream, MAX_MESSAGE).await? else { return Ok(None) };
        if line == b"." {
            return Ok(Some(message));
        }
        let unstuffed = if line.starts_with(b"..") { &line[1..] } else { &line[..] };
        message.extend_from_slice(unstuffed);
        message.extend_from_slice(b"\r\n");
    }
    Ok(None)
}
