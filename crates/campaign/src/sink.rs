//! A mail server that keeps what it is given in memory: for the demo and every test, never for people's mail.
//!
//! It takes everything unless it is told otherwise per recipient, so that every way in which a hand-over can end can be
//! played through over a real socket.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A running sink. Cloning shares it; it stops when the last clone is dropped.
#[derive(Clone)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    _stopping: Arc<DropGuard>,
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Whom the envelope says it is from.
    pub from: String,
    /// Whom the envelope says it is for.
    pub to: String,
    /// The message as it came, without the dots that SMTP adds.
    pub bytes: Vec<u8>,
}

/// What to do with the next message for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// Answer the recipient with this line instead of taking it.
    AnswerRecipient(String),
    /// Answer the whole message with this line instead of taking it.
    AnswerMessage(String),
    /// Take the whole message, then break the connection without a word.
    CutAfterDot,
    /// Break the connection when the message is announced.
    CutBeforeData,
    /// Take the message after this time.
    Wait(Duration),
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    scripts: Mutex<HashMap<String, Vec<Script>>>,
    count: watch::Sender<usize>,
}

impl Sink {
    /// Starts a sink on a free port of this machine.
    pub async fn start() -> io::Result<Self> {
        Self::serve(TcpListener::bind(("127.0.0.1", 0)).await?)
    }

    /// Starts a sink on a socket.
    pub fn serve(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let stopped = CancellationToken::new();
        let (serving, stopping) = (Arc::clone(&state), stopped.clone());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stopping.cancelled() => return,
                };
                let Ok((stream, _)) = accepted else { continue };
                let (state, stopping) = (Arc::clone(&serving), stopping.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        // A broken connection is the client's concern.
                        _ = converse(stream, &state) => {}
                        () = stopping.cancelled() => {}
                    }
                });
            }
        });
        Ok(Self { address, state, _stopping: Arc::new(stopped.drop_guard()) })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what was taken so far and is still there.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).clone()
    }

    /// Takes every message out of the box.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut lock(&self.state.received))
    }

    /// Puts a message into the box, as if it had come over SMTP.
    pub fn deliver(&self, message: Received) {
        self.state.take(message);
    }

    /// Returns how many messages were taken so far, whether they are still there or not.
    pub fn count(&self) -> usize {
        *self.state.count.borrow()
    }

    /// Has the next message for `recipient` treated by `script`; further scripts queue up behind.
    pub fn script(&self, recipient: &str, script: Script) {
        lock(&self.state.scripts).entry(recipient.to_owned()).or_default().push(script);
    }

    /// Waits until `count` messages were taken.
    pub async fn reached(&self, count: usize) {
        let mut counts = self.state.count.subscribe();
        // The sender lives as long as the sink.
        let _ = counts.wait_for(|taken| *taken >= count).await;
    }
}

impl State {
    fn next_script(&self, recipient: &str) -> Option<Script> {
        let mut scripts = lock(&self.scripts);
        let queue = scripts.get_mut(recipient).filter(|queue| !queue.is_empty())?;
        Some(queue.remove(0))
    }

    fn take(&self, message: Received) {
        lock(&self.received).push(message);
        self.count.send_modify(|count| *count += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn converse(stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    let (mut from, mut to, mut script) = (String::new(), String::new(), None);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                stream.write_all(b"250-sink\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n").await?
            }
            "MAIL" => {
                from = path(command);
                stream.write_all(b"250 2.1.0 ok\r\n").await?;
            }
            "RCPT" => {
                to = path(command);
                script = state.next_script(&to);
                match &script {
                    Some(Script::AnswerRecipient(answer)) => {
                        stream.write_all(format!("{answer}\r\n").as_bytes()).await?
                    }
                    _ => stream.write_all(b"250 2.1.5 ok\r\n").await?,
                }
            }
            "DATA" => {
                if script == Some(Script::CutBeforeData) {
                    return Ok(());
                }
                stream.write_all(b"354 go on\r\n").await?;
                let bytes = read_message(&mut stream).await?;
                match script.take() {
                    Some(Script::CutAfterDot) => return Ok(()),
                    Some(Script::AnswerMessage(answer)) => {
                        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
                        continue;
                    }
                    Some(Script::Wait(time)) => tokio::time::sleep(time).await,
                    _ => {}
                }
                state.take(Received { from: from.clone(), to: to.clone(), bytes });
                stream.write_all(b"250 2.0.0 taken\r\n").await?;
            }
            "QUIT" => {
                stream.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(());
            }
            "RSET" | "NOOP" | "HELO" => stream.write_all(b"250 2.0.0 ok\r\n").await?,
            _ => stream.write_all(b"502 5.5.1 unknown\r\n").await?,
        }
    }
}

async fn read_message(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(message);
        }
        let unstuffed = line.strip_prefix(b".").unwrap_or(&line);
        message.extend_from_slice(unstuffed);
    }
}

/// Returns what stands between the angle brackets of a command.
fn path(command: &str) -> String {
    let inside = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(path, _)| path.to_owned())
}
