//! One try for every unary RPC: a request that means what is another tenant's.

use serde_json::{Value, json};

use super::neighbour::Neighbour;

/// Whom an RPC is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Shows; answers its own tenant.
    Read,
    /// Changes.
    Write,
    /// For services only.
    Service,
    /// For the operator only.
    Operator,
}

/// A try.
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) kind: Kind,
    /// Names what is another tenant's.
    pub(super) body: Value,
    /// What another tenant may be told.
    pub(super) to_others: &'static [&'static str],
}

impl Call {
    /// Returns a scope that is not the one for this call.
    pub(super) fn too_narrow_scope(&self) -> &'static str {
        if self.method.starts_with("comptoir.ingestion.") { "recommend:read" } else { "events:write" }
    }
}

/// What a tenant is told about what is not its own.
const NONE: &[&str] = &["not_found"];
/// What a tenant is told by a call that shows or changes only its own things.
const OWN: &[&str] = &["ok"];
/// What a tenant is told that is not allowed at all.
const REFUSED: &[&str] = &["permission_denied"];
/// What may be told of what is not there: that it is not, or that nothing had to be done.
const NONE_OR_NOTHING: &[&str] = &["not_found", "ok"];

/// Returns a try for every unary RPC.
pub(super) fn calls(alpha: &Neighbour) -> Vec<Call> {
    let mut calls = Vec::new();
    access(&mut calls, alpha);
    ingestion(&mut calls, alpha);
    identity(&mut calls, alpha);
    scoring(&mut calls, alpha);
    recommendation(&mut calls, alpha);
    campaign(&mut calls, alpha);
    calls
}

type Row = (&'static str, Kind, Value, &'static [&'static str]);

fn add<const COUNT: usize>(calls: &mut Vec<Call>, rows: [Row; COUNT]) {
    calls.extend(rows.map(|(method, kind, body, to_others)| Call { method, kind, body, to_others }));
}

fn access(calls: &mut Vec<Call>, alpha: &Neighbour) {
    use Kind::{Operator, Read, Write};

    let tenant = &alpha.tenant_id;
    add(
        calls,
        [
            ("comptoir.gateway.v1.AccessService/WhoAmI", Read, json!({}), OWN),
            ("comptoir.gateway.v1.AccessService/ListApiKeys", Read, json!({"tenantId": tenant}), REFUSED),
            (
                "comptoir.gateway.v1.AccessService/CreateApiKey",
                Write,
                json!({"tenantId": tenant, "name": "intruder", "scopes": ["admin"]}),
                REFUSED,
            ),
            (
                "comptoir.gateway.v1.AccessService/RevokeApiKey",
                Write,
                json!({"apiKeyId": alpha.api_key_id}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.gateway.v1.AccessService/CreateTenant",
                Operator,
                json!({"tenant": {"tenantId": "gamma", "name": "Gamma"}}),
                REFUSED,
            ),
            ("comptoir.gateway.v1.AccessService/ListTenants", Operator, json!({}), REFUSED),
            // No read, because it changes by itself; whose records it counts is a test of the gateway.
            ("comptoir.gateway.v1.OperationsService/ListFollowerLags", Write, json!({}), OWN),
        ],
    );
}

fn ingestion(calls: &mut Vec<Call>, alpha: &Neighbour) {
    use Kind::{Read, Service, Write};

    let source = &alpha.source_id;
    let event = json!({
        "messageId": "intrusion",
        "identifiers": [{"kind": "user_id", "value": "alpha-1"}],
        "custom": {},
        "name": "Intrusion",
    });
    add(
        calls,
        [
            (
                "comptoir.ingestion.v1.IngestionService/SummarizeEvents",
                Read,
                json!({"sourceId": source}),
                NONE_OR_NOTHING,
            ),
            ("comptoir.ingestion.v1.ContextService/ListSignals", Read, json!({}), OWN),
            ("comptoir.ingestion.v1.SourceService/GetSource", Read, json!({"sourceId": source}), NONE),
            ("comptoir.ingestion.v1.SourceService/ListSources", Read, json!({}), OWN),
            (
                "comptoir.ingestion.v1.DeadLetterService/ListDeadLetters",
                Read,
                json!({"sourceId": source}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.ingestion.v1.DeadLetterService/SummarizeDeadLetters",
                Read,
                json!({"sourceId": source}),
                NONE_OR_NOTHING,
            ),
            ("comptoir.ingestion.v1.TrackingPlanService/GetTrackingPlan", Read, json!({"sourceId": source}), NONE),
            ("comptoir.ingestion.v1.TrackingPlanService/ListTrackingPlans", Read, json!({}), OWN),
            (
                "comptoir.ingestion.v1.TrackingPlanService/TryTrackingPlan",
                Read,
                json!({"plan": {"sourceId": source}}),
                NONE,
            ),
            ("comptoir.ingestion.v1.TrackingPlanService/DraftTrackingPlan", Read, json!({"sourceId": source}), NONE),
            ("comptoir.ingestion.v1.TrackingPlanService/ListViolations", Read, json!({"sourceId": source}), NONE),
            (
                "comptoir.ingestion.v1.TrackingPlanService/PutTrackingPlan",
                Write,
                json!({"plan": {"sourceId": source, "unplannedMode": "MODE_QUARANTINE"}}),
                NONE,
            ),
            (
                "comptoir.ingestion.v1.TrackingPlanService/DeleteTrackingPlan",
                Write,
                json!({"sourceId": source}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.ingestion.v1.SourceService/SetSourceQuota",
                Write,
                json!({"sourceId": source, "quota": {"eventsPerSecond": 1}}),
                NONE,
            ),
            (
                "comptoir.ingestion.v1.SourceService/SetSourceOrigins",
                Write,
                json!({"sourceId": source, "allowedOrigins": ["https://intruder.test"]}),
                NONE,
            ),
            (
                "comptoir.ingestion.v1.DeadLetterService/MendDeadLetters",
                Write,
                json!({"filter": {"sourceId": source}}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.ingestion.v1.IngestionService/Collect",
                Write,
                json!({"sourceId": source, "events": [event]}),
                NONE,
            ),
            ("comptoir.ingestion.v1.SourceService/CreateSource", Write, json!({"source": {"name": "alphasite"}}), OWN),
            ("comptoir.ingestion.v1.SourceService/CreateWriteKey", Write, json!({"sourceId": source}), NONE),
            (
                "comptoir.ingestion.v1.SourceService/RevokeWriteKey",
                Write,
                json!({"writeKeyId": alpha.write_key_id}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.ingestion.v1.DeadLetterService/ReplayDeadLetters",
                Write,
                json!({"items": [{"deadLetterId": alpha.dead_letter_id}]}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.ingestion.v1.DeadLetterService/DiscardDeadLetters",
                Write,
                json!({"deadLetterIds": [alpha.dead_letter_id]}),
                NONE_OR_NOTHING,
            ),
            ("comptoir.ingestion.v1.ConsentService/GetConsentPolicy", Read, json!({"sourceId": source}), NONE),
            ("comptoir.ingestion.v1.ConsentService/ListConsentPolicies", Read, json!({}), OWN),
            ("comptoir.ingestion.v1.ConsentService/ExplainConsent", Read, json!({"sourceId": source}), NONE),
            (
                "comptoir.ingestion.v1.ConsentService/SummarizeConsent",
                Read,
                json!({"sourceId": source}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.ingestion.v1.ConsentService/PutConsentPolicy",
                Write,
                json!({"policy": {"sourceId": source}}),
                NONE,
            ),
            ("comptoir.ingestion.v1.ConsentService/DeleteConsentPolicy", Write, json!({"sourceId": source}), NONE),
            ("comptoir.ingestion.v1.IngestionService/CollectHttp", Service, json!({"route": "batch"}), REFUSED),
            (
                "comptoir.ingestion.v1.SourceService/DescribeWriteKey",
                Service,
                json!({"writeKey": "wk_of_somebody"}),
                REFUSED,
            ),
            ("comptoir.log.v1.LogService/ListPartitions", Service, json!({}), REFUSED),
            ("comptoir.log.v1.LogService/ReportProgress", Service, json!({"follower": "identity"}), REFUSED),
            ("comptoir.log.v1.LogService/ListLags", Service, json!({}), REFUSED),
        ],
    );
}

fn identity(calls: &mut Vec<Call>, alpha: &Neighbour) {
    use Kind::{Read, Write};

    let (first, second) = (alpha.identifier("user_id"), alpha.identifier("email"));
    let pair = json!({"first": first, "second": second});
    let profile = &alpha.profile_id;
    add(
        calls,
        [
            ("comptoir.identity.v1.IdentityService/GetProfile", Read, json!({"profileId": profile}), NONE),
            ("comptoir.identity.v1.IdentityService/ListProfiles", Read, json!({}), OWN),
            ("comptoir.identity.v1.IdentityService/ListTimeline", Read, json!({"profileId": profile}), NONE),
            ("comptoir.identity.v1.IdentityService/ExplainLink", Read, pair.clone(), NONE_OR_NOTHING),
            ("comptoir.identity.v1.IdentityService/ListChanges", Read, json!({}), OWN),
            ("comptoir.identity.v1.IdentityService/SummarizeProfiles", Read, json!({}), OWN),
            ("comptoir.identity.v1.IdentityService/SeparateIdentifiers", Write, pair, NONE_OR_NOTHING),
            (
                "comptoir.identity.v1.IdentityService/SetIdentifierBlocked",
                Write,
                json!({"identifier": second, "blocked": true}),
                NONE_OR_NOTHING,
            ),
        ],
    );
}

fn scoring(calls: &mut Vec<Call>, alpha: &Neighbour) {
    use Kind::{Read, Write};

    let profile = &alpha.profile_id;
    add(
        calls,
        [
            ("comptoir.scoring.v1.ScoringService/GetScores", Read, json!({"profileId": profile}), NONE),
            ("comptoir.scoring.v1.ScoringService/GetRfmMatrix", Read, json!({}), OWN),
            ("comptoir.scoring.v1.ScoringService/ListRfmScores", Read, json!({}), OWN),
            ("comptoir.scoring.v1.ScoringService/SummarizeOrders", Read, json!({}), OWN),
            ("comptoir.scoring.v1.SegmentService/ListSegments", Read, json!({}), OWN),
            (
                "comptoir.scoring.v1.SegmentService/ListSegmentMembers",
                Read,
                json!({"segmentId": alpha.segment_id}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.scoring.v1.SegmentService/TestSegment",
                Read,
                json!({"profileId": profile, "expression": "stats.event_count > 0"}),
                NONE,
            ),
            (
                "comptoir.scoring.v1.SegmentService/PutSegment",
                Write,
                json!({"segment": {"segmentId": alpha.segment_id, "name": "Mine", "expression": "stats.order_count > 7"}}),
                OWN,
            ),
            (
                "comptoir.scoring.v1.SegmentService/DeleteSegment",
                Write,
                json!({"segmentId": alpha.segment_id}),
                NONE_OR_NOTHING,
            ),
        ],
    );
}

fn recommendation(calls: &mut Vec<Call>, alpha: &Neighbour) {
    use Kind::{Read, Write};

    let product = &alpha.product_id;
    add(
        calls,
        [
            ("comptoir.recommendation.v1.CatalogueService/GetProduct", Read, json!({"productId": product}), NONE),
            ("comptoir.recommendation.v1.CatalogueService/ListProducts", Read, json!({}), OWN),
            (
                "comptoir.recommendation.v1.RecommendationService/Recommend",
                Read,
                json!({"profileId": alpha.profile_id, "allowBought": true}),
                NONE_OR_NOTHING,
            ),
            (
                "comptoir.recommendation.v1.CatalogueService/UpsertProducts",
                Write,
                json!({"products": [{"productId": product, "title": "Mine", "stock": "0"}]}),
                OWN,
            ),
        ],
    );
}

fn campaign(calls: &mut Vec<Call>, alpha: &Neighbour) {
    use Kind::{Read, Service, Write};

    let (template, named) = (&alpha.template_id, &alpha.campaign_id);
    let address = json!({"channel": "CHANNEL_EMAIL", "address": alpha.suppressed});
    let caused = json!({"channel": "CHANNEL_EMAIL", "address": alpha.suppressed, "cause": "manual"});
    let fresh = json!({
        "campaignId": named, "name": "Mine", "channel": "CHANNEL_EMAIL", "templateId": template, "abandonedBasket": {},
    });
    add(
        calls,
        [
            ("comptoir.campaign.v1.TemplateService/GetTemplate", Read, json!({"templateId": template}), NONE),
            ("comptoir.campaign.v1.TemplateService/ListTemplates", Read, json!({}), OWN),
            (
                "comptoir.campaign.v1.TemplateService/PreviewTemplate",
                Read,
                json!({"templateId": template, "profileId": alpha.profile_id}),
                NONE,
            ),
            ("comptoir.campaign.v1.CampaignService/GetCampaign", Read, json!({"campaignId": named}), NONE),
            ("comptoir.campaign.v1.CampaignService/ListCampaigns", Read, json!({}), OWN),
            ("comptoir.campaign.v1.CampaignService/GetContactPolicy", Read, json!({}), OWN),
            (
                "comptoir.campaign.v1.MessageService/ListMessages",
                Read,
                json!({"profileId": alpha.profile_id}),
                NONE_OR_NOTHING,
            ),
            ("comptoir.campaign.v1.MessageService/GetMessage", Read, json!({"messageId": alpha.message_id}), NONE),
            ("comptoir.campaign.v1.MessageService/SummarizeMessages", Read, json!({}), OWN),
            ("comptoir.campaign.v1.SuppressionService/GetSuppression", Read, address.clone(), OWN),
            (
                "comptoir.campaign.v1.CampaignService/SetCampaignPaused",
                Write,
                json!({"campaignId": named, "paused": true}),
                NONE,
            ),
            (
                "comptoir.campaign.v1.TemplateService/PutTemplate",
                Write,
                json!({"template": {"templateId": template, "subject": "Mine", "text": "Mine {{ unsubscribe_url }}"}}),
                OWN,
            ),
            ("comptoir.campaign.v1.CampaignService/PutCampaign", Write, json!({"campaign": fresh}), OWN),
            (
                "comptoir.campaign.v1.CampaignService/SetContactPolicy",
                Write,
                json!({"policy": {"capMessages": 1, "quietStartMinute": 1, "quietEndMinute": 2}}),
                OWN,
            ),
            ("comptoir.campaign.v1.SuppressionService/RemoveSuppression", Write, address, OWN),
            ("comptoir.campaign.v1.SuppressionService/AddSuppression", Write, caused, OWN),
            ("comptoir.campaign.v1.LinkService/FollowLink", Service, json!({"token": "x"}), REFUSED),
            ("comptoir.campaign.v1.LinkService/RecordOpen", Service, json!({"token": "x"}), REFUSED),
            ("comptoir.campaign.v1.LinkService/Unsubscribe", Service, json!({"token": "x"}), REFUSED),
            ("comptoir.campaign.v1.LinkService/DescribeUnsubscribe", Service, json!({"token": "x"}), REFUSED),
        ],
    );
}
