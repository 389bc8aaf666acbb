use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventlog::{EventLog, GroupCommit, GroupCommitOptions, Handler, Lane, Record};
use kit::shutdown::Shutdown;
use store::{Error, Tx};
use tokio::sync::Semaphore;

use crate::harness::{PATIENCE, databases, log, record, records, tenant};

/// Appends what comes; waits for a permit before each transaction.
struct Appender {
    log: EventLog,
    gate: Arc<Semaphore>,
    transactions: Arc<AtomicUsize>,
    rollbacks: Arc<AtomicUsize>,
}

impl Handler<Vec<Record>, usize> for Appender {
    async fn handle(&mut self, tx: &mut Tx, items: Vec<Vec<Record>>) -> Result<Vec<usize>, Error> {
        self.gate.acquire().await.unwrap().forget();
        let counts: Vec<usize> = items.iter().map(Vec::len).collect();
        self.log.append(tx, &tenant("shop"), items.into_iter().flatten().collect()).await?;
        Ok(counts)
    }

    fn committed(&mut self) {
        self.transactions.fetch_add(1, Ordering::SeqCst);
    }

    fn rolled_back(&mut self) {
        self.rollbacks.fetch_add(1, Ordering::SeqCst);
    }
}

struct Setup {
    commit: GroupCommit<Vec<Record>, usize>,
    gate: Arc<Semaphore>,
    transactions: Arc<AtomicUsize>,
    rollbacks: Arc<AtomicUsize>,
    shutdown: Shutdown,
}

fn setup(db: &store::Db, options: GroupCommitOptions) -> Setup {
    let (gate, transactions, rollbacks) = (Arc::new(Semaphore::new(0)), Arc::default(), Arc::default());
    let handler = Appender {
        log: log(db),
        gate: Arc::clone(&gate),
        transactions: Arc::clone(&transactions),
        rollbacks: Arc::clone(&rollbacks),
    };
    let shutdown = Shutdown::new();
    let commit = GroupCommit::spawn(db.clone(), &shutdown, options, handler);
    Setup { commit, gate, transactions, rollbacks, shutdown }
}

#[tokio::test]
async fn one_transaction_serves_all_that_wait() {
    for db in databases().await {
        let setup = setup(&db, GroupCommitOptions::default());
        let mut waiting = Vec::new();
        for index in 0..100 {
            let commit = setup.commit.clone();
            waiting.push(tokio::spawn(async move { commit.submit(records(&format!("{index}-"), 3)).await }));
        }
        crate::harness::eventually("all wait", || async { setup.commit.waiting_weight() == 100 }).await;
        assert!(log(&db).ends().await.unwrap().is_empty(), "something was committed before its turn");

        // One transaction may have begun with the first; the next takes all the others.
        setup.gate.add_permits(2);
        for answer in waiting {
            assert_eq!(answer.await.unwrap().unwrap(), 3);
        }

        assert!(setup.transactions.load(Ordering::SeqCst) <= 2);
        let appended: u64 = log(&db).ends().await.unwrap().iter().map(|(_, end)| end).sum();
        assert_eq!(appended, 300);
        assert_eq!(setup.commit.waiting_weight(), 0);
    }
}

#[tokio::test]
async fn more_than_the_bound_is_refused_at_once() {
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
    let setup = setup(&db, GroupCommitOptions { queue_weight: 10, transaction_weight: 4 });
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let commit = setup.commit.clone();
        waiting.push(tokio::spawn(async move { commit.submit_weighed(records("k", 2), 2).await }));
    }
    crate::harness::eventually("the queue is full", || async { setup.commit.waiting_weight() == 10 }).await;

    assert!(matches!(setup.commit.submit(records("k", 1)).await, Err(Error::Overloaded)));

    setup.gate.add_permits(100);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap(), 2);
    }
    assert!(setup.transactions.load(Ordering::SeqCst) >= 3, "a transaction took more than its bound");
    assert_eq!(setup.commit.submit(records("k", 1)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_failed_transaction_fails_those_it_served_and_nobody_else() {
    for db in databases().await {
        let setup = setup(&db, GroupCommitOptions::default());
        setup.gate.add_permits(10);

        assert!(setup.commit.submit(vec![record("key", "")]).await.is_err());
        assert_eq!(setup.commit.submit(records("k", 2)).await.unwrap(), 2);

        assert_eq!(setup.rollbacks.load(Ordering::SeqCst), 1);
        assert_eq!(setup.transactions.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn shutdown_commits_what_waits_and_refuses_what_comes() {
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
    let setup = setup(&db, GroupCommitOptions::default());
    let commit = setup.commit.clone();
    let accepted = tokio::spawn(async move { commit.submit(records("k", 5)).await });
    crate::harness::eventually("it waits", || async { setup.commit.waiting_weight() == 1 }).await;

    setup.shutdown.begin();
    setup.gate.add_permits(10);

    assert_eq!(accepted.await.unwrap().unwrap(), 5);
    assert!(setup.shutdown.drain(PATIENCE).await);
    assert!(matches!(setup.commit.submit(records("k", 1)).await, Err(Error::Unavailable(_))));
}

/// Enqueues an item of weight 1 for one key, which waits in `lane`.
fn enqueue(setup: &Setup, name: &str, lane: Lane) -> impl Future<Output = Result<usize, Error>> + Send + use<> {
    let mut room = vec![setup.commit.room(1).unwrap()];
    if lane == Lane::Side {
        room.push(setup.commit.side_room(1).unwrap());
    }
    setup.commit.enqueue(vec![record("key", name.to_owned())], 1, lane, room).unwrap()
}

#[tokio::test]
async fn the_side_lane_waits_for_what_was_there_and_gets_a_quarter_while_others_wait() {
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
    let setup = setup(&db, GroupCommitOptions { queue_weight: 200, transaction_weight: 8 });
    let mut waiting = vec![];
    // One is being committed and holds up the others.
    waiting.push(tokio::spawn(enqueue(&setup, "m00", Lane::Main)));
    crate::harness::eventually("the first is being committed", || async { !setup.commit.committing_for().is_zero() })
        .await;
    for number in 1..17 {
        waiting.push(tokio::spawn(enqueue(&setup, &format!("m{number:02}"), Lane::Main)));
    }
    for number in 0..6 {
        waiting.push(tokio::spawn(enqueue(&setup, &format!("s{number:02}"), Lane::Side)));
    }
    for number in 17..25 {
        waiting.push(tokio::spawn(enqueue(&setup, &format!("m{number:02}"), Lane::Main)));
    }

    setup.gate.add_permits(100);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap(), 1);
    }

    let partition = log(&db).partition_of(b"key");
    let read = log(&db).read(&tenant("shop"), partition, 0, 100).await.unwrap();
    let order: Vec<String> =
        read.iter().map(|record| String::from_utf8(record.record.payload.to_vec()).unwrap()).collect();
    let at = |name: &str| order.iter().position(|one| one == name).unwrap();
    let of = |lane: &str| order.iter().filter(|one| one.starts_with(lane)).cloned().collect::<Vec<_>>();
    assert!(of("m").is_sorted() && of("s").is_sorted(), "each lane keeps its order: {order:?}");
    assert!(at("s00") > at("m16"), "nothing aside goes before what was there: {order:?}");
    assert_eq!((at("s01"), at("s02")), (at("s00") + 1, order.len() - 4), "a quarter of each transaction: {order:?}");
    assert_eq!(setup.commit.waiting_weight(), 0);
}

#[tokio::test]
async fn the_side_lane_has_a_quarter_of_the_room() {
    let db = store::testing::sqlite(&[&eventlog::MIGRATIONS]).await;
    let setup = setup(&db, GroupCommitOptions { queue_weight: 40, transaction_weight: 8 });
    let held: Vec<_> = (0..10).map(|_| setup.commit.side_room(1).unwrap()).collect();

    assert!(matches!(setup.commit.side_room(1), Err(Error::Overloaded)));

    drop(held);
    assert!(setup.commit.side_room(10).is_ok());
}
