//! Requests made to use up memory or stack: the answer is exact, and gateway and ingestion, each a process of its own, stay small.

mod bodies;
mod mappings;
mod messages;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use comptoir::{
    api::Api,
    cluster::{Cluster, ClusterOptions, programs_beside_this_one},
    web::{Answer, Web},
};
use comptoir_integration_tests::{Engine, databases::postgres_server, http::json, read};
use http::{Method, Request, header};
use http_body_util::Full;
use proto::ingestion::v1::Source;
use tempfile::TempDir;

/// What runs.
const SERVICES: [&str; 2] = ["ingestion", "gateway"];

/// Gateway and ingestion with one source.
struct Door {
    cluster: Cluster,
    api: Api,
    key: String,
    source_id: String,
    write_key: String,
    _folder: TempDir,
}

/// What became of the source's events so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    accepted: u64,
    quarantined: u64,
    dead_letters: usize,
}

impl Door {
    async fn open(engine: Engine) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let cluster = Cluster::start(ClusterOptions {
            programs: programs_beside_this_one()?,
            folder: folder.path().to_owned(),
            services: &SERVICES,
            postgres: postgres_server().filter(|_| engine == Engine::Postgres),
            redis: None,
            settings: vec![("telemetry__log_filter".to_owned(), "warn".to_owned())],
            service_settings: Vec::new(),
        })
        .await?;
        let key = cluster.operator()?.create_tenant("careful").await?;
        let api = Api::remote(&cluster.gateway_url(), &key)?;
        let source =
            Source { name: "site".into(), kind: "site".into(), default_currency: "EUR".into(), ..Source::default() };
        let created = api.create_source(source).await?;
        let source_id = created.source.unwrap_or_default().source_id;
        Ok(Self { cluster, api, key, source_id, write_key: created.write_key, _folder: folder })
    }

    fn web(&self) -> anyhow::Result<Web> {
        Ok(Web::remote(&self.cluster.gateway_url())?)
    }

    /// Posts a body on a connection of its own.
    async fn post(&self, path: &str, body: impl Into<Bytes>, encoding: Option<&str>) -> anyhow::Result<Answer> {
        let credential = format!("Basic {}", STANDARD.encode(format!("{}:", self.write_key)));
        let mut request = Request::builder().method(Method::POST).uri(path).header(header::AUTHORIZATION, credential);
        if let Some(encoding) = encoding {
            request = request.header(header::CONTENT_ENCODING, encoding);
        }
        Ok(self.web()?.send(request.body(Full::new(body.into()))?).await?)
    }

    async fn counts(&self) -> anyhow::Result<Counts> {
        let counts = read::event_counts(&self.api).await?.remove("site").unwrap_or_default();
        let dead_letters = read::dead_letters(&self.api).await?.len();
        Ok(Counts { accepted: counts.accepted, quarantined: counts.quarantined, dead_letters })
    }

    /// Checks that neither process ever had more in memory, in MiB.
    fn assert_small(&self, mebibytes: u64) {
        for service in SERVICES {
            let peak = self.cluster.peak_memory(service) >> 20;
            assert!((1..mebibytes).contains(&peak), "{service} had {peak} MiB in memory");
        }
    }

    async fn close(self) -> anyhow::Result<()> {
        Ok(self.cluster.stop().await?)
    }
}

/// Returns status and code of an answer of the collector; the code of a success is empty.
fn told(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), json(answer)["code"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
