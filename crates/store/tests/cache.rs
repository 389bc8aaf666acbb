//! What a cache promises, in memory and, when `TEST_REDIS_URL` is set, in Redis.

use std::time::Duration;

use comptoir_store::{Cache, Error};
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);

async fn caches() -> Vec<(&'static str, Cache)> {
    let mut caches = vec![("memory", Cache::open("memory:").await.unwrap())];
    if let Ok(url) = std::env::var("TEST_REDIS_URL") {
        caches.push(("redis", Cache::open(&url).await.expect("the Redis of TEST_REDIS_URL answers")));
    }
    caches
}

/// A key that no other test and no earlier run has used.
fn key(name: &str) -> String {
    format!("test:{name}:{}", Uuid::now_v7())
}

#[tokio::test]
async fn values_are_kept_replaced_and_removed() {
    for (engine, cache) in caches().await {
        let key = key("value");
        assert_eq!(cache.get(&key).await.unwrap(), None, "{engine}");

        cache.set(&key, b"one", LONG).await.unwrap();
        cache.set(&key, b"two\0\xff", LONG).await.unwrap();
        assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some(b"two\0\xff".as_slice()));

        cache.remove(&key).await.unwrap();
        assert_eq!(cache.get(&key).await.unwrap(), None);
    }
}

#[tokio::test]
async fn only_the_first_sets_what_is_absent() {
    for (engine, cache) in caches().await {
        let key = key("absent");

        assert!(cache.set_if_absent(&key, b"first", LONG).await.unwrap(), "{engine}");
        assert!(!cache.set_if_absent(&key, b"second", LONG).await.unwrap());

        assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some(b"first".as_slice()));
    }
}

#[tokio::test]
async fn counters_add_up_over_concurrent_callers() {
    for (engine, cache) in caches().await {
        let key = key("counter");
        let mut callers = Vec::new();
        for _ in 0..20 {
            let (cache, key) = (cache.clone(), key.clone());
            callers.push(tokio::spawn(async move { cache.incr_by(&key, 5, LONG).await.unwrap() }));
        }
        let mut sums = Vec::new();
        for caller in callers {
            sums.push(caller.await.unwrap());
        }

        sums.sort_unstable();
        assert_eq!(sums, (1..=20).map(|count| count * 5).collect::<Vec<i64>>(), "{engine}");
        assert_eq!(cache.incr_by(&key, -100, LONG).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_counter_ends_after_its_first_use_however_often_it_is_used() {
    for (engine, cache) in caches().await {
        let key = key("window");
        let window = Duration::from_millis(400);
        assert_eq!(cache.incr_by(&key, 1, window).await.unwrap(), 1);

        // A later use with a longer time does not prolong it: the count begins again within the patience of the test.
        let begins_again = async {
            while cache.incr_by(&key, 1, LONG).await.unwrap() != 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), begins_again).await;
        assert!(ended.is_ok(), "{engine}: the window was prolonged");
    }
}

#[tokio::test]
async fn a_value_expires() {
    for (engine, cache) in caches().await {
        let key = key("short");
        cache.set(&key, b"short-lived", Duration::from_millis(100)).await.unwrap();

        let expired = async {
            while cache.get(&key).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), expired).await.is_ok(), "{engine}");
    }
}

#[tokio::test]
async fn a_cache_that_is_away_says_so() {
    // Nothing listens on port 1.
    let refused = Cache::open("redis://127.0.0.1:1").await.err().expect("nobody answers");
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");

    let unknown = Cache::open("memcached://x").await.err().expect("there is no such cache");
    assert!(matches!(unknown, Error::Fatal(_)));
}

#[tokio::test]
async fn a_bucket_may_go_into_debt_once_and_pays_it_back_with_time() {
    for (engine, cache) in caches().await {
        let key = key("bucket");
        let burst = Duration::from_secs(2);
        let draw = |cost: u64| cache.draw(&key, Duration::from_secs(cost), burst);

        assert_eq!(draw(1).await.unwrap(), Duration::ZERO, "{engine}");
        assert_eq!(draw(3_600).await.unwrap(), Duration::ZERO, "something was left");
        for _ in 0..2 {
            let wait = draw(1).await.unwrap();
            assert!(wait > Duration::from_secs(3_000) && wait <= Duration::from_secs(3_599), "{wait:?}");
        }

        // What costs nothing owes nothing.
        let free = self::key("free");
        for _ in 0..10 {
            assert_eq!(cache.draw(&free, Duration::ZERO, burst).await.unwrap(), Duration::ZERO);
        }
    }
}
