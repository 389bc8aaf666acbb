//! The file that tells places of network addresses, read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use kit::Error;
use kit::shutdown::Shutdown;

use crate::config::EnrichConfig;
use crate::domain::edge::{Enricher, GeoTable};

/// A file that may be replaced while the service runs.
pub(crate) struct GeoFile {
    path: PathBuf,
    pause: Duration,
    enricher: Arc<Enricher>,
    seen: Mutex<Option<Version>>,
}

/// What tells that a file is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    bytes: u64,
    changed: Option<SystemTime>,
}

impl GeoFile {
    /// Reads the file that the configuration names, if it names one.
    pub(crate) async fn open(config: &EnrichConfig, enricher: &Arc<Enricher>) -> Result<Option<Arc<Self>>, Error> {
        if config.geo_file.is_empty() {
            return Ok(None);
        }
        let file = Arc::new(Self {
            path: PathBuf::from(&config.geo_file),
            pause: Duration::from_secs(u64::from(config.geo_check_seconds)),
            enricher: Arc::clone(enricher),
            seen: Mutex::new(None),
        });
        file.read_if_changed().await.map_err(|message| {
            let message = format!("enrich.geo_file {}: {message}", file.path.display());
            Error::failed_precondition("GEO_FILE_UNUSABLE", message)
        })?;
        Ok(Some(file))
    }

    /// Looks at the file now and then. One that cannot be read changes nothing.
    pub(crate) fn start(self: &Arc<Self>, shutdown: &Shutdown) {
        let life = shutdown.token.clone();
        let file = Arc::clone(self);
        shutdown.spawn("ingestion-geo-file", async move {
            let watching = async {
                loop {
                    tokio::time::sleep(file.pause).await;
                    match file.read_if_changed().await {
                        Ok(true) => tracing::info!("the file of places was read again"),
                        Ok(false) => {}
                        Err(message) => {
                            tracing::warn!(message, "the file of places cannot be used; the last one stays")
                        }
                    }
                }
            };
            life.run_until_cancelled(watching).await;
        });
    }

    /// Reads the file if it is another than the last. Returns whether it was.
    async fn read_if_changed(&self) -> Result<bool, String> {
        let version = version(&self.path).map_err(|error| error.to_string())?;
        if *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == Some(version) {
            return Ok(false);
        }
        let path = self.path.clone();
        let table = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
            GeoTable::open(bytes).map_err(|error| error.to_string())
        })
        .await
        .map_err(|error| error.to_string())??;
        self.enricher.use_places(table);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        Ok(true)
    }
}

fn version(path: &Path) -> std::io::Result<Version> {
    let metadata = std::fs::metadata(path)?;
    Ok(Version { bytes: metadata.len(), changed: metadata.modified().ok() })
}

#[cfg(test)]
mod tests {
    use proto::event::v1::{Context, Event};

    use super::*;
    use crate::mmdb;

    fn city(enricher: &Enricher) -> Option<String> {
        let context = Context { ip: "203.0.113.9".into(), ..Context::default() };
        let mut event = Event { context: Some(context), ..Event::default() };
        enricher.enrich(&mut event);
        event.context?.geography.map(|found| found.city)
    }

    fn write(path: &Path, name: &str) {
        let place = mmdb::Value::place("FR", "", name, 48.85, 2.35, "");
        std::fs::write(path, mmdb::database(&[("203.0.113.0/24", place)])).unwrap();
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_changed_and_the_last_stays_when_it_broke() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.mmdb");
        let config = EnrichConfig { geo_file: path.to_string_lossy().into_owned(), ..EnrichConfig::default() };
        let enricher = Arc::new(Enricher::default());

        let missing = GeoFile::open(&config, &enricher).await.err().unwrap();
        assert_eq!(missing.reason, "GEO_FILE_UNUSABLE");
        write(&path, "Paris");
        let file = GeoFile::open(&config, &enricher).await.unwrap().unwrap();
        assert_eq!(city(&enricher).as_deref(), Some("Paris"));
        assert_eq!(file.read_if_changed().await, Ok(false));
        write(&path, "Marseille");
        assert_eq!(file.read_if_changed().await, Ok(true));
        assert_eq!(city(&enricher).as_deref(), Some("Marseille"));
        std::fs::write(&path, "broken").unwrap();
        assert!(file.read_if_changed().await.is_err());
        assert_eq!(city(&enricher).as_deref(), Some("Marseille"));
        assert!(GeoFile::open(&EnrichConfig::default(), &enricher).await.unwrap().is_none());
    }
}
