//! Hot state that may be lost: rate counters, sessions.

mod memory;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use self::memory::Memory;
use self::redis::Redis;
use crate::Error;

/// A cache in memory or in Redis. Cloning is cheap and shares it.
///
/// Everything in it can vanish at any time. An error says that the cache cannot be asked now; the caller decides
/// whether to go on without it, and nothing may be wrong when it does.
#[derive(Clone)]
pub enum Cache {
    /// Of this process alone.
    #[doc(hidden)]
    Memory(Arc<Memory>),
    /// Shared by replicas.
    #[doc(hidden)]
    Redis(Redis),
}

impl Cache {
    /// Opens `memory:` or `redis://…`.
    pub async fn open(url: &str) -> Result<Self, Error> {
        if url == "memory:" {
            return Ok(Self::memory());
        }
        if url.starts_with("redis:") {
            return Redis::open(url).await.map(Self::Redis);
        }
        Err(Error::fatal("a cache URL is memory: or begins with redis:"))
    }

    /// Returns an empty cache of this process.
    pub fn memory() -> Self {
        Self::Memory(Arc::new(Memory::default()))
    }

    /// Adds `amount` to a counter that begins at 0 and returns the sum.
    ///
    /// The counter ends `ttl` after its first use; later additions do not prolong it.
    pub async fn incr_by(&self, key: &str, amount: i64, ttl: Duration) -> Result<i64, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.incr_by(key, amount, ttl)),
            Self::Redis(redis) => redis.incr_by(key, amount, ttl).await,
        }
    }

    /// Returns the value of `key`, if it is there.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.get(key)),
            Self::Redis(redis) => redis.get(key).await,
        }
    }

    /// Keeps `value` under `key` for `ttl`.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        match self {
            Self::Memory(memory) => {
                memory.set(key, value, ttl);
                Ok(())
            }
            Self::Redis(redis) => redis.set(key, value, ttl).await,
        }
    }

    /// Keeps `value` under `key` for `ttl` unless something is there; returns whether it was kept.
    pub async fn set_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.set_if_absent(key, value, ttl)),
            Self::Redis(redis) => redis.set_if_absent(key, value, ttl).await,
        }
    }

    /// Spends `cost` of the time of a bucket that fills as fast as time passes and holds `burst`.
    ///
    /// Returns zero when it was spent, otherwise how long to wait before trying again. Whoever finds anything left may
    /// spend any cost: the bucket is in debt afterwards, and nothing can be spent until time has paid it back.
    pub async fn draw(&self, key: &str, cost: Duration, burst: Duration) -> Result<Duration, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.draw(key, cost, burst)),
            Self::Redis(redis) => redis.draw(key, cost, burst).await,
        }
    }

    /// Forgets `key`.
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::Memory(memory) => {
                memory.remove(key);
                Ok(())
            }
            Self::Redis(redis) => redis.remove(key).await,
        }
    }
}
