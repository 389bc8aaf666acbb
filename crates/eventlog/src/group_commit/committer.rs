//! The task that commits.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use store::{Db, Error};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Handler, SIDE_SHARE, Shared, Waiting};

type Lane<T, R> = mpsc::UnboundedReceiver<Waiting<T, R>>;

pub(super) struct Committer<T, R, H> {
    db: Db,
    handler: H,
    main: Lane<T, R>,
    side: Lane<T, R>,
    transaction_weight: usize,
    shared: Arc<Shared>,
    /// What did not fit into the last transaction.
    next: Option<Waiting<T, R>>,
    /// What heads the side lane.
    next_side: Option<Waiting<T, R>>,
    /// Items of the main lane that went into a transaction.
    taken: u64,
}

impl<T: Send, R: Send, H: Handler<T, R>> Committer<T, R, H> {
    pub(super) fn new(
        db: Db,
        handler: H,
        (main, side): (Lane<T, R>, Lane<T, R>),
        transaction_weight: usize,
        shared: Arc<Shared>,
    ) -> Self {
        Self { db, handler, main, side, transaction_weight, shared, next: None, next_side: None, taken: 0 }
    }

    pub(super) async fn run(mut self, token: CancellationToken) {
        let mut is_ending = false;
        loop {
            let waiting = self.gather();
            if !waiting.is_empty() {
                self.commit_all(waiting).await;
                continue;
            }
            tokio::select! {
                biased;
                Some(waiting) = self.main.recv() => self.next = Some(waiting),
                Some(waiting) = self.side.recv(), if self.next_side.is_none() => self.next_side = Some(waiting),
                () = token.cancelled(), if !is_ending => {
                    // Takes nothing new, finishes what was accepted.
                    self.main.close();
                    self.side.close();
                    is_ending = true;
                }
                else => return,
            }
        }
    }

    /// Takes what waits now, as far as it fits into one transaction: the main lane first.
    fn gather(&mut self) -> Vec<Waiting<T, R>> {
        let mut gathered = Vec::new();
        let mut weight = 0;
        while let Some(waiting) = self.next.take().or_else(|| self.main.try_recv().ok()) {
            if weight + waiting.weight > self.transaction_weight && !gathered.is_empty() {
                self.next = Some(waiting);
                break;
            }
            weight += waiting.weight;
            self.taken += 1;
            gathered.push(waiting);
        }

        let share = if gathered.is_empty() { 1 } else { SIDE_SHARE };
        let side_weight = self.transaction_weight / share;
        let of_main = gathered.len();
        weight = 0;
        while let Some(waiting) = self.next_side.take().or_else(|| self.side.try_recv().ok()) {
            let fits = weight + waiting.weight <= side_weight || gathered.len() == of_main;
            if !fits || waiting.after > self.taken {
                self.next_side = Some(waiting);
                break;
            }
            weight += waiting.weight;
            gathered.push(waiting);
        }
        gathered
    }

    async fn commit_all(&mut self, waiting: Vec<Waiting<T, R>>) {
        let mut items = Vec::with_capacity(waiting.len());
        let mut answers = Vec::with_capacity(waiting.len());
        for Waiting { item, answer, _room, .. } in waiting {
            items.push(item);
            answers.push((answer, _room));
        }

        self.note_begin(Some(Instant::now()));
        let outcome = self.commit(items).await;
        self.note_begin(None);
        self.shared.in_doubt.store(outcome.is_err(), Ordering::SeqCst);
        match outcome {
            Ok(outcomes) if outcomes.len() == answers.len() => {
                self.handler.committed();
                for ((answer, _room), outcome) in answers.into_iter().zip(outcomes) {
                    let _ = answer.send(Ok(outcome));
                }
            }
            Ok(_) => unreachable!("the number of outcomes is checked before the commit"),
            Err(error) => {
                self.handler.rolled_back();
                tracing::warn!(error = &error as &dyn std::error::Error, items = answers.len(), "group commit failed");
                for (answer, _room) in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    fn note_begin(&self, began: Option<Instant>) {
        *self.shared.began.lock().unwrap_or_else(PoisonError::into_inner) = began;
    }

    async fn commit(&mut self, items: Vec<T>) -> Result<Vec<R>, Error> {
        let expected = items.len();
        let mut tx = self.db.begin().await?;
        let outcomes = self.handler.handle(&mut tx, items).await?;
        if outcomes.len() != expected {
            return Err(Error::fatal(format!("{expected} items had {} outcomes", outcomes.len())));
        }
        tx.commit().await?;
        Ok(outcomes)
    }
}
