//! The cache that replicas share.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::Error;

/// How long an answer may take before the cache counts as away.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Adds and, on first use, sets the expiry, in one step: a counter without an expiry would never end.
const INCREMENT: &str = "
    local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
    if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return sum";

/// The bucket is kept as the moment at which it is full, in microseconds of the server's clock.
const DRAW: &str = "
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
    local wait = full_at - now - tonumber(ARGV[2])
    if wait > 0 then return wait end
    full_at = full_at + tonumber(ARGV[1])
    redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1)
    return 0";

/// A Redis server; connects again by itself.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
}

impl Redis {
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        let client = redis::Client::open(url).map_err(|error| Error::Fatal(Arc::new(error)))?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(2);
        let connection = client.get_connection_manager_with_config(config).await.map_err(unavailable)?;
        Ok(Self { connection })
    }

    pub(crate) async fn incr_by(&self, key: &str, amount: i64, ttl: Duration) -> Result<i64, Error> {
        self.ask(redis::cmd("EVAL").arg(INCREMENT).arg(1).arg(key).arg(amount).arg(milliseconds(ttl))).await
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.ask(redis::cmd("GET").arg(key)).await
    }

    pub(crate) async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        self.ask(redis::cmd("SET").arg(key).arg(value).arg("PX").arg(milliseconds(ttl))).await
    }

    pub(crate) async fn set_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        let answer: Option<String> =
            self.ask(redis::cmd("SET").arg(key).arg(value).arg("NX").arg("PX").arg(milliseconds(ttl))).await?;
        Ok(answer.is_some())
    }

    pub(crate) async fn draw(&self, key: &str, cost: Duration, burst: Duration) -> Result<Duration, Error> {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let wait: u64 =
            self.ask(redis::cmd("EVAL").arg(DRAW).arg(1).arg(key).arg(micros(cost)).arg(micros(burst))).await?;
        Ok(Duration::from_micros(wait))
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<(), Error> {
        self.ask(redis::cmd("DEL").arg(key)).await
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &mut redis::Cmd) -> Result<T, Error> {
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.map_err(unavailable)
    }
}

fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn unavailable(error: redis::RedisError) -> Error {
    Error::Unavailable(Arc::new(error))
}
