use ::store::Cache;
use kit::{
    Error,
    auth::Authority,
    channel::{self, Channel, ChannelOptions, Credential},
    metrics::Metrics,
    server::Readiness,
    shutdown::Shutdown,
};
use tonic::service::Routes;

use super::{Clocks, Config, Databases, Secrets};

/// The services, built.
pub(super) struct Services {
    pub(super) gateway: gateway::Gateway,
    pub(super) ingestion: ingestion::Ingestion,
    pub(super) identity: identity::Identity,
    pub(super) scoring: scoring::Scoring,
    pub(super) recommendation: recommendation::Recommendation,
    pub(super) campaign: campaign::Campaign,
}

/// What every service is given.
pub(super) struct Parts {
    pub(super) clocks: Clocks,
    pub(super) authority: Authority,
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    pub(super) shutdown: Shutdown,
    pub(super) cache: Cache,
}

impl Parts {
    /// Returns a channel by which service `caller` calls the service behind `routes`.
    fn channel(&self, caller: &str, routes: &Routes) -> Channel {
        channel::local(routes.clone(), ChannelOptions::new(Credential::service(&self.authority, caller)))
    }

    /// Returns a channel by which the gateway passes calls on, with the credential it puts on each.
    fn upstream(&self, routes: &Routes) -> Channel {
        channel::local(routes.clone(), ChannelOptions::new(Credential::none()).retries(0))
    }
}

impl Services {
    /// Builds the services from the source of the data downwards: each is given channels to those it calls.
    pub(super) async fn build(
        config: &Config,
        secrets: &Secrets,
        databases: &Databases,
        parts: &Parts,
    ) -> Result<Self, Error> {
        // Derived apart from what it signs: an installation that exists needs no further secret.
        let consent = ingestion::ConsentConfig { seal_secret: secrets.auth_secret.clone() };
        let ingestion = ingestion::Ingestion::build(
            &ingestion::Config {
                collect: ingestion::CollectConfig { partitions: config.partitions, ..Default::default() },
                retention: config.retention.events.clone(),
                consent,
                enrich: config.enrich.clone(),
                ..Default::default()
            },
            ingestion::Deps {
                db: databases.ingestion.clone(),
                clock: parts.clocks.intake.clone(),
                authority: parts.authority.clone(),
                metrics: parts.metrics.clone(),
                shutdown: parts.shutdown.clone(),
                readiness: parts.readiness.clone(),
                cache: parts.cache.clone(),
            },
        )
        .await?;
        let ingestion_routes = ingestion.routes();

        let identity = identity::Identity::build(
            &identity::Config {
                log: identity::LogConfig { partitions: config.partitions },
                retention: config.retention.profiles.clone(),
                ..Default::default()
            },
            identity::Deps {
                db: databases.identity.clone(),
                clock: parts.clocks.intake.clone(),
                authority: parts.authority.clone(),
                metrics: parts.metrics.clone(),
                shutdown: parts.shutdown.clone(),
                readiness: parts.readiness.clone(),
                cache: parts.cache.clone(),
                ingestion: parts.channel("identity", &ingestion_routes),
            },
        )
        .await?;
        let identity_routes = identity.routes();

        let scoring = scoring::Scoring::build(
            &scoring::Config {
                scoring: scoring::ScoringConfig { partitions: config.partitions, ..Default::default() },
                retention: config.retention.scores.clone(),
                ..Default::default()
            },
            scoring::Deps {
                db: databases.scoring.clone(),
                clock: parts.clocks.timers.clone(),
                authority: parts.authority.clone(),
                metrics: parts.metrics.clone(),
                shutdown: parts.shutdown.clone(),
                readiness: parts.readiness.clone(),
                cache: parts.cache.clone(),
                identity: parts.channel("scoring", &identity_routes),
            },
        )
        .await?;
        let scoring_routes = scoring.routes();

        let recommendation = recommendation::Recommendation::build(
            &recommendation::Config::default(),
            recommendation::Deps {
                db: databases.recommendation.clone(),
                clock: parts.clocks.timers.clone(),
                authority: parts.authority.clone(),
                metrics: parts.metrics.clone(),
                shutdown: parts.shutdown.clone(),
                readiness: parts.readiness.clone(),
                identity: parts.channel("recommendation", &identity_routes),
            },
        )
        .await?;
        let recommendation_routes = recommendation.routes();

        let campaign = campaign::Campaign::build(
            &campaign_config(config, secrets),
            campaign::Deps {
                db: databases.campaign.clone(),
                clock: parts.clocks.timers.clone(),
                authority: parts.authority.clone(),
                metrics: parts.metrics.clone(),
                shutdown: parts.shutdown.clone(),
                readiness: parts.readiness.clone(),
                identity: parts.channel("campaign", &identity_routes),
                scoring: parts.channel("campaign", &scoring_routes),
                recommendation: parts.channel("campaign", &recommendation_routes),
                ingestion: parts.channel("campaign", &ingestion_routes),
            },
        )
        .await?;

        let gateway_config = gateway::Config {
            access: gateway::AccessConfig { operator_key: secrets.operator_key.clone(), ..config.access.clone() },
            ..gateway::Config::default()
        };
        let gateway = gateway::Gateway::build(
            &gateway_config,
            gateway::Deps {
                db: databases.gateway.clone(),
                clock: parts.clocks.intake.clone(),
                authority: parts.authority.clone(),
                metrics: parts.metrics.clone(),
                readiness: parts.readiness.clone(),
                cache: parts.cache.clone(),
                upstreams: gateway::Upstreams {
                    ingestion: parts.upstream(&ingestion_routes),
                    identity: parts.upstream(&identity_routes),
                    scoring: parts.upstream(&scoring_routes),
                    recommendation: parts.upstream(&recommendation_routes),
                    campaign: parts.upstream(&campaign.routes()),
                },
            },
        )
        .await?;
        Ok(Self { gateway, ingestion, identity, scoring, recommendation, campaign })
    }
}

fn campaign_config(config: &Config, secrets: &Secrets) -> campaign::Config {
    let public_url = match config.public_url.as_str() {
        "" => format!("http://{}", config.server.listen),
        url => url.to_owned(),
    };
    campaign::Config {
        smtp: config.smtp.clone(),
        links: campaign::LinksConfig { secret: secrets.link_secret.clone(), public_base_url: public_url },
        suppression: campaign::SuppressionConfig { secret: secrets.suppression_secret.clone() },
        ..campaign::Config::default()
    }
}
