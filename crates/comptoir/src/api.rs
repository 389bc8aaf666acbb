//! Clients of the whole public API over one channel.

use kit::{
    Error, MAX_MESSAGE_BYTES,
    channel::{self, Channel, ChannelOptions, Credential},
};
use proto::{
    campaign::v1::{
        campaign_service_client::CampaignServiceClient, message_service_client::MessageServiceClient,
        suppression_service_client::SuppressionServiceClient, template_service_client::TemplateServiceClient,
    },
    gateway::v1::{CreateApiKeyRequest, CreateTenantRequest, Tenant, access_service_client::AccessServiceClient},
    identity::v1::identity_service_client::IdentityServiceClient,
    ingestion::v1::{
        CreateSourceRequest, CreateSourceResponse, Source, dead_letter_service_client::DeadLetterServiceClient,
        ingestion_service_client::IngestionServiceClient, source_service_client::SourceServiceClient,
    },
    recommendation::v1::{
        catalogue_service_client::CatalogueServiceClient, recommendation_service_client::RecommendationServiceClient,
    },
    scoring::v1::{scoring_service_client::ScoringServiceClient, segment_service_client::SegmentServiceClient},
};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// The public API as one caller sees it.
#[derive(Clone)]
pub struct Api {
    channel: Channel,
}

impl Api {
    /// Returns the API at a gateway's address, called with `key`.
    pub fn remote(url: &str, key: &str) -> Result<Self, Error> {
        let options = ChannelOptions::new(Credential::none()).deadline(std::time::Duration::from_secs(60));
        Ok(Self { channel: with_key(channel::remote(url, options)?, key)? })
    }

    /// Returns the API behind routes in this process, called with `key`.
    pub fn local(routes: tonic::service::Routes, key: &str) -> Result<Self, Error> {
        let options = ChannelOptions::new(Credential::none()).deadline(std::time::Duration::from_secs(60));
        Ok(Self { channel: with_key(channel::local(routes, options), key)? })
    }

    /// Returns the channel, with the key on every call.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Creates a tenant and a key that may do everything in it. Needs the operator's key.
    pub async fn create_tenant(&self, tenant_id: &str) -> Result<String, Error> {
        let tenant = Tenant { tenant_id: tenant_id.into(), name: tenant_id.into(), create_time: None };
        self.access().create_tenant(CreateTenantRequest { tenant: Some(tenant) }).await?;
        self.create_key(tenant_id).await
    }

    /// Creates a key that may do everything in a tenant.
    pub async fn create_key(&self, tenant_id: &str) -> Result<String, Error> {
        let request = CreateApiKeyRequest {
            tenant_id: tenant_id.into(),
            name: "made by the comptoir command".into(),
            scopes: vec![kit::auth::scope::ADMIN.into()],
        };
        Ok(self.access().create_api_key(request).await?.into_inner().secret)
    }

    /// Creates a source with a write key.
    pub async fn create_source(&self, source: Source) -> Result<CreateSourceResponse, Error> {
        let request = CreateSourceRequest { source: Some(source), ..CreateSourceRequest::default() };
        Ok(self.sources().create_source(request).await?.into_inner())
    }
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $client:ident),+ $(,)?) => {
        impl Api {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> $client<Channel> {
                    $client::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
                }
            )+
        }
    };
}

clients! {
    /// Tenants and keys.
    access: AccessServiceClient,
    /// Events in.
    ingestion: IngestionServiceClient,
    /// Where events come from.
    sources: SourceServiceClient,
    /// Events that could not be taken.
    dead_letters: DeadLetterServiceClient,
    /// People.
    identity: IdentityServiceClient,
    /// Scores.
    scoring: ScoringServiceClient,
    /// Segments.
    segments: SegmentServiceClient,
    /// Products.
    catalogue: CatalogueServiceClient,
    /// Recommendations.
    recommendation: RecommendationServiceClient,
    /// Templates.
    templates: TemplateServiceClient,
    /// Campaigns.
    campaigns: CampaignServiceClient,
    /// Messages.
    messages: MessageServiceClient,
    /// Suppressions.
    suppressions: SuppressionServiceClient,
}

fn with_key(channel: Channel, key: &str) -> Result<Channel, Error> {
    let mut value = http::HeaderValue::try_from(format!("Bearer {key}"))
        .map_err(|_| Error::invalid("KEY_INVALID", "the key has characters that a header cannot carry"))?;
    value.set_sensitive(true);
    Ok(BoxCloneSyncService::new(channel.map_request(move |mut request: http::Request<tonic::body::Body>| {
        request.headers_mut().entry(http::header::AUTHORIZATION).or_insert_with(|| value.clone());
        request
    })))
}
