//! What stands between ingestion and PostgreSQL: it can refuse, cut, delay, and lose the answer to a commit.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How the driver sends it, in a message of its own.
const COMMIT: &[u8] = b"COMMIT\0";
/// Most that is passed on at once.
const CHUNK: usize = 64 << 10;

/// The proxy. Ends with this value.
pub(super) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    server: String,
    /// Cancelled to cut every connection; then replaced.
    life: Mutex<CancellationToken>,
    /// How long each answer of the server is held back, in milliseconds.
    delay_ms: AtomicU64,
    /// Answers to commits that are still to be lost.
    to_lose: AtomicU32,
    lost: AtomicU64,
}

impl Proxy {
    /// Starts it before the server at `host:port`.
    pub(super) async fn start(server: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { server, life: Mutex::default(), delay_ms: 0.into(), to_lose: 0.into(), lost: 0.into() });
        let listening = Mutex::new(Some(tokio::spawn(listen(listener, Arc::clone(&shared)))));
        Ok(Self { address, shared, listening })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection and refuses new ones.
    pub(super) async fn cut_off(&self) {
        let listening = self.lock_listening().take();
        if let Some(listening) = listening {
            listening.abort();
            // The port is free once the task is gone.
            let _ = listening.await;
        }
        self.shared.cut();
    }

    /// Lets connections through again.
    pub(super) async fn restore(&self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        *self.lock_listening() = Some(tokio::spawn(listen(listener, Arc::clone(&self.shared))));
        Ok(())
    }

    /// Holds back each answer of the server for so long.
    pub(super) fn delay(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    /// Has the next commits carried out, and their connections cut instead of the answer.
    pub(super) fn lose_answers(&self, commits: u32) {
        self.shared.to_lose.store(commits, Ordering::Relaxed);
    }

    /// Returns how many answers to commits were lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    fn lock_listening(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = self.lock_listening().take() {
            listening.abort();
        }
        self.shared.cut();
    }
}

impl Shared {
    fn life(&self) -> CancellationToken {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cut(&self) {
        std::mem::take(&mut *self.life.lock().unwrap_or_else(PoisonError::into_inner)).cancel();
    }

    /// Whether the answer to the commit that is being sent is to be lost.
    fn loses_one(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.to_lose.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let life = shared.life();
            // Both ends close when it is cut.
            life.run_until_cancelled(pass_on(client, &shared)).await;
        });
    }
}

/// Passes bytes on until either side closes. What PostgreSQL says comes in answers: each is held back as a whole.
async fn pass_on(client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let server = TcpStream::connect(&shared.server).await?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let loses = AtomicU32::new(0);

    let questions = async {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = from_client.read(&mut chunk).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            let is_commit = chunk[..read].ends_with(COMMIT);
            if is_commit && shared.loses_one() {
                loses.store(1, Ordering::SeqCst);
            }
            to_server.write_all(&chunk[..read]).await?;
        }
    };
    let answers = async {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = from_server.read(&mut chunk).await?;
            if read == 0 {
                return to_client.shutdown().await;
            }
            if loses.load(Ordering::SeqCst) == 1 {
                // Whatever this answers: the commit's own answer is never passed on.
                shared.lost.fetch_add(1, Ordering::Relaxed);
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            let delay_ms = shared.delay_ms.load(Ordering::Relaxed);
            if delay_ms > 0 {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            }
            to_client.write_all(&chunk[..read]).await?;
        }
    };
    tokio::try_join!(questions, answers).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says everything twice.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut chunk = [0; 100];
                    while let Ok(read @ 1..) = client.read(&mut chunk).await {
                        client.write_all(&chunk[..read]).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(client: &mut TcpStream, question: &[u8]) -> std::io::Result<()> {
        client.write_all(question).await?;
        client.read_exact(&mut vec![0; question.len()]).await.map(|_| ())
    }

    #[tokio::test]
    async fn it_passes_on_cuts_refuses_and_comes_back() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut client, b"hello").await.unwrap();

        proxy.cut_off().await;
        assert!(ask(&mut client, b"hello").await.is_err());
        assert!(TcpStream::connect(proxy.address()).await.is_err());

        proxy.restore().await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut client, b"hello").await.unwrap();
    }

    #[tokio::test]
    async fn it_loses_the_answers_to_commits_and_to_nothing_else() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        proxy.lose_answers(1);
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();

        ask(&mut client, b"INSERT\0").await.unwrap();
        assert!(ask(&mut client, b"Q1234COMMIT\0").await.is_err());
        assert_eq!(proxy.lost(), 1);

        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut client, b"Q1234COMMIT\0").await.unwrap();
    }
}
