//! Those who send, through every door, and never lose patience.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kit::MAX_MESSAGE_BYTES;
use proto::ingestion::v1::{
    CollectRequest, CollectStreamRequest, Verdict, ingestion_service_client::IngestionServiceClient, verdict::Outcome,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_stream::wrappers::ReceiverStream;

use super::ledger::Ledger;
use crate::{
    api::Api,
    commands::bench::host::{Host, Keys},
    web::Web,
};

/// Pause before a batch is sent again.
const PAUSE: Duration = Duration::from_millis(10);
/// How long one answer is waited for: a killed server may leave a connection that never tells.
const PATIENCE: Duration = Duration::from_secs(20);
/// Share of the batches without an answer that are given up: whether they were taken stays open.
const GIVEN_UP: f64 = 0.2;
/// Batches on their way in one stream.
const STREAMED: usize = 4;
/// Who sends.
const SENDERS: [Door; 6] = [Door::Http, Door::Http, Door::Http, Door::Grpc, Door::Grpc, Door::Stream];
/// How long the next acknowledgement under load may take.
const LOAD_LIMIT: Duration = Duration::from_secs(60);

/// What the senders share.
pub(in crate::commands::bench) struct Shared {
    pub(in crate::commands::bench) ledger: Ledger,
    /// Set when no new batch is to be begun.
    pub(in crate::commands::bench) stop: AtomicBool,
    /// Batches sent again because no answer came.
    pub(in crate::commands::bench) repeated: AtomicU64,
    /// Batches given up.
    pub(in crate::commands::bench) given_up: AtomicU64,
    /// Events that were acknowledged as something else than taken or known.
    pub(in crate::commands::bench) refused: AtomicU64,
    /// What was answered instead of an acknowledgement.
    pub(in crate::commands::bench) refusals: Mutex<Refusals>,
}

/// Answers that were no acknowledgements.
#[derive(Debug, Clone, Default)]
pub(in crate::commands::bench) struct Refusals {
    /// How many, by the way in and the status: `http 503`, `grpc UNAVAILABLE`, `stream unreachable`.
    pub(in crate::commands::bench) by_answer: BTreeMap<String, u64>,
    /// Those that did not say when to come again.
    pub(in crate::commands::bench) without_wait: u64,
}

impl Shared {
    pub(in crate::commands::bench) fn new(seed: u64) -> Self {
        Self {
            ledger: Ledger::new(seed),
            stop: false.into(),
            repeated: 0.into(),
            given_up: 0.into(),
            refused: 0.into(),
            refusals: Mutex::default(),
        }
    }

    pub(in crate::commands::bench) fn refusals(&self) -> Refusals {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_refusal(&self, answer: String, says_when: bool) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.by_answer.entry(answer).or_default() += 1;
        refusals.without_wait += u64::from(!says_when);
    }

    fn note_status(&self, door: &str, status: tonic::Status) {
        let code = status.code();
        let error = kit::Error::from(status);
        // A connection that breaks says nothing.
        match error.reason.as_ref() {
            "SERVICE_UNREACHABLE" => self.note_refusal(format!("{door} unreachable"), true),
            _ => self.note_refusal(format!("{door} {code:?}"), error.retry_after.is_some()),
        }
    }

    /// Waits until events are acknowledged again.
    pub(in crate::commands::bench) async fn under_load(&self) -> anyhow::Result<()> {
        let before = self.ledger.acknowledged();
        let deadline = Instant::now() + LOAD_LIMIT;
        while self.ledger.acknowledged() == before {
            anyhow::ensure!(Instant::now() < deadline, "nothing was acknowledged for {} s", LOAD_LIMIT.as_secs());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

/// Senders at work.
pub(in crate::commands::bench) struct Sending {
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

/// Starts all who send.
pub(in crate::commands::bench) fn start_sending(
    shared: &Arc<Shared>,
    seed: u64,
    host: &Host,
    keys: &Keys,
) -> anyhow::Result<Sending> {
    let mut tasks = Vec::new();
    for (number, door) in SENDERS.into_iter().enumerate() {
        let sender = Sender::new(Arc::clone(shared), seed.wrapping_add(1 + number as u64), host, keys)?;
        tasks.push(tokio::spawn(sender.run(door)));
    }
    Ok(Sending { shared: Arc::clone(shared), tasks })
}

impl Sending {
    /// Has no new batch begun, and waits until each is acknowledged or given up.
    pub(in crate::commands::bench) async fn stop(self) -> anyhow::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

/// A way in.
#[derive(Debug, Clone, Copy)]
enum Door {
    Http,
    Grpc,
    Stream,
}

/// One who sends.
struct Sender {
    shared: Arc<Shared>,
    dice: StdRng,
    url: String,
    write_key: String,
    source_id: String,
    client: IngestionServiceClient<kit::channel::Channel>,
}

impl Sender {
    fn new(shared: Arc<Shared>, seed: u64, host: &Host, keys: &Keys) -> anyhow::Result<Self> {
        let channel = Api::remote(&host.gateway_url(), &keys.api_key)?.channel();
        Ok(Self {
            shared,
            dice: StdRng::seed_from_u64(seed),
            url: host.gateway_url(),
            write_key: keys.write_key.clone(),
            source_id: keys.source_id.clone(),
            client: IngestionServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES),
        })
    }

    /// Sends until told to stop, and what is under way until it is acknowledged or given up.
    async fn run(mut self, door: Door) -> anyhow::Result<()> {
        match door {
            Door::Http => self.one_by_one(true).await,
            Door::Grpc => self.one_by_one(false).await,
            Door::Stream => self.stream().await,
        }
    }

    async fn one_by_one(&mut self, http: bool) -> anyhow::Result<()> {
        let mut web = Web::remote(&self.url)?;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let batch = self.shared.ledger.begin();
            loop {
                let sending = async { if http { self.post(&mut web, batch).await } else { self.call(batch).await } };
                if tokio::time::timeout(PATIENCE, sending).await.unwrap_or(false) {
                    self.shared.ledger.acknowledge(batch);
                    break;
                }
                if self.gives_up() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Whether to let go of a batch that no answer came for.
    fn gives_up(&mut self) -> bool {
        let given_up = self.dice.random_bool(GIVEN_UP);
        let counter = if given_up { &self.shared.given_up } else { &self.shared.repeated };
        counter.fetch_add(1, Ordering::Relaxed);
        given_up
    }

    /// Returns whether the collector answered 200.
    async fn post(&self, web: &mut Web, batch: u64) -> bool {
        match web.collect("/v1/batch", &self.write_key, self.shared.ledger.json(batch)).await {
            Ok(answer) if answer.status == http::StatusCode::OK => true,
            Ok(answer) => {
                let says_when = answer.headers.contains_key(http::header::RETRY_AFTER);
                self.shared.note_refusal(format!("http {}", answer.status.as_u16()), says_when);
                false
            }
            Err(_) => {
                self.shared.note_refusal("http unreachable".to_owned(), true);
                false
            }
        }
    }

    /// Returns whether ingestion answered.
    async fn call(&self, batch: u64) -> bool {
        let mut client = self.client.clone();
        match client.collect(self.request(batch)).await {
            Ok(answer) => {
                self.look_at(&answer.into_inner().verdicts);
                true
            }
            Err(status) => {
                self.shared.note_status("grpc", status);
                false
            }
        }
    }

    fn request(&self, batch: u64) -> CollectRequest {
        CollectRequest { events: self.shared.ledger.events(batch), source_id: self.source_id.clone() }
    }

    fn look_at(&self, verdicts: &[Verdict]) {
        let taken = |verdict: &&Verdict| matches!(verdict.outcome(), Outcome::Accepted | Outcome::Duplicate);
        let refused = verdicts.len() - verdicts.iter().filter(taken).count();
        self.shared.refused.fetch_add(refused as u64, Ordering::Relaxed);
    }

    /// Sends by a stream with several batches on their way. When it breaks, what was not acknowledged goes into the next one.
    async fn stream(&mut self) -> anyhow::Result<()> {
        let mut open: Vec<u64> = Vec::new();
        while !(self.shared.stop.load(Ordering::Relaxed) && open.is_empty()) {
            let (batches, receiver) = tokio::sync::mpsc::channel(STREAMED);
            let mut client = self.client.clone();
            let opening = tokio::time::timeout(PATIENCE, client.collect_stream(ReceiverStream::new(receiver)));
            // The answer's head may come only after the first batch.
            let feed = async {
                for batch in &open {
                    if batches.send(self.streamed(*batch)).await.is_err() {
                        break;
                    }
                }
            };
            let (opened, ()) = tokio::join!(opening, feed);
            match opened {
                Ok(Ok(answers)) => self.go_on(&mut open, &batches, answers.into_inner()).await,
                Ok(Err(status)) => self.shared.note_status("stream", status),
                Err(_) => self.shared.note_refusal("stream silent".to_owned(), true),
            }
            let mut kept = Vec::new();
            for batch in std::mem::take(&mut open) {
                if !self.gives_up() {
                    kept.push(batch);
                }
            }
            open = kept;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Sends and takes acknowledgements until the stream breaks, or all is done.
    async fn go_on(
        &self,
        open: &mut Vec<u64>,
        batches: &tokio::sync::mpsc::Sender<CollectStreamRequest>,
        mut answers: tonic::Streaming<proto::ingestion::v1::CollectStreamResponse>,
    ) {
        loop {
            while open.len() < STREAMED && !self.shared.stop.load(Ordering::Relaxed) {
                let batch = self.shared.ledger.begin();
                open.push(batch);
                if batches.send(self.streamed(batch)).await.is_err() {
                    return;
                }
            }
            if open.is_empty() {
                return;
            }
            let answer = match tokio::time::timeout(PATIENCE, answers.message()).await {
                Ok(Ok(Some(answer))) => answer,
                Ok(Ok(None)) => return self.shared.note_refusal("stream ended".to_owned(), true),
                Ok(Err(status)) => return self.shared.note_status("stream", status),
                Err(_) => return self.shared.note_refusal("stream silent".to_owned(), true),
            };
            self.look_at(&answer.result.unwrap_or_default().verdicts);
            self.shared.ledger.acknowledge(answer.sequence);
            open.retain(|batch| *batch != answer.sequence);
        }
    }

    fn streamed(&self, batch: u64) -> CollectStreamRequest {
        CollectStreamRequest { sequence: batch, batch: Some(self.request(batch)) }
    }
}
