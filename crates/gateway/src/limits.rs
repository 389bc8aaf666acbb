use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ::store::Cache;
use kit::Error;

use crate::config::AccessConfig;

/// Counts calls per second and bearer, in a cache that the gateway's replicas share.
///
/// A cache that does not answer limits nobody: turning everyone away would do more harm than a burst.
#[derive(Clone)]
pub(crate) struct Limits {
    cache: Arc<Cache>,
    calls_per_second: u32,
    collects_per_second: u32,
}

impl Limits {
    pub(crate) fn new(cache: Cache, config: &AccessConfig) -> Self {
        Self {
            cache: Arc::new(cache),
            calls_per_second: config.calls_per_second,
            collects_per_second: config.collects_per_second,
        }
    }

    /// Counts one API call of `subject`.
    pub(crate) async fn call(&self, subject: &str) -> Result<(), Error> {
        self.count("call", subject, self.calls_per_second).await
    }

    /// Counts one collector request of `bearer`.
    pub(crate) async fn collect(&self, bearer: &str) -> Result<(), Error> {
        self.count("collect", bearer, self.collects_per_second).await
    }

    async fn count(&self, kind: &str, bearer: &str, limit: u32) -> Result<(), Error> {
        if limit == 0 {
            return Ok(());
        }
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let key = format!("rate:{kind}:{second}:{bearer}");
        match self.cache.incr_by(&key, 1, Duration::from_secs(2)).await {
            Ok(count) if count > i64::from(limit) => {
                Err(Error::resource_exhausted("RATE_LIMITED", format!("more than {limit} requests in one second"))
                    .retry_after(Duration::from_secs(1)))
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(error.cause = %kit::status::chain(&error), "rate limits are off: the cache does not answer");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_over_the_limit_is_told_when_to_come_back() {
        let config = AccessConfig { calls_per_second: 3, collects_per_second: 0, ..AccessConfig::default() };
        let limits = Limits::new(Cache::memory(), &config);

        let mut refused = None;
        for _ in 0..20 {
            if let Err(error) = limits.call("key-1").await {
                refused = Some(error);
            }
            assert!(limits.collect("key-1").await.is_ok(), "0 is no limit");
        }

        let refused = refused.expect("20 calls are more than 3 a second, even across a boundary");
        assert_eq!(refused.reason, "RATE_LIMITED");
        assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
        assert!(limits.call("key-2").await.is_ok());
    }
}
