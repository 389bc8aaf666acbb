//! Reading everything of a kind through the public API, page by page.

use std::collections::BTreeMap;

use comptoir::api::Api;
use kit::Error;
use proto::{
    campaign::v1::{Campaign, ListCampaignsRequest, ListMessagesRequest, Message},
    event::v1::Event,
    identity::v1::{ListProfilesRequest, ListTimelineRequest, Profile},
    ingestion::v1::{
        DeadLetter, ListDeadLettersRequest, ListSourcesRequest, Source, SummarizeEventsRequest,
        summarize_events_response::SourceSummary,
    },
    recommendation::v1::{ListProductsRequest, Product},
    scoring::v1::{
        ListRfmScoresRequest, ListSegmentMembersRequest, ListSegmentsRequest, Segment, list_rfm_scores_response::Entry,
        list_segment_members_response::Member,
    },
};

// Every list RPC has the same three fields, and no trait that says so.
macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident: $client:ident . $method:ident ($request:ident, $size:literal) . $field:ident -> $item:ty;)+) => {
        $(
            $(#[$doc])*
            pub async fn $name(api: &Api) -> Result<Vec<$item>, Error> {
                let mut all = Vec::new();
                let mut request = $request { page_size: $size, ..$request::default() };
                loop {
                    let page = api.$client().$method(request.clone()).await?.into_inner();
                    all.extend(page.$field);
                    if page.next_page_token.is_empty() {
                        return Ok(all);
                    }
                    request.page_token = page.next_page_token;
                }
            }
        )+
    };
}

lists! {
    /// Every profile. In pages so small that several are needed.
    profiles: identity.list_profiles(ListProfilesRequest, 50).profiles -> Profile;
    /// Every person with an RFM cell.
    rfm_scores: scoring.list_rfm_scores(ListRfmScoresRequest, 1_000).entries -> Entry;
    /// Every segment.
    segments: segments.list_segments(ListSegmentsRequest, 100).segments -> Segment;
    /// Every campaign.
    campaigns: campaigns.list_campaigns(ListCampaignsRequest, 100).campaigns -> Campaign;
    /// Every message, sent or withheld.
    messages: messages.list_messages(ListMessagesRequest, 100).messages -> Message;
    /// Every source.
    sources: sources.list_sources(ListSourcesRequest, 100).sources -> Source;
    /// Every dead letter.
    dead_letters: dead_letters.list_dead_letters(ListDeadLettersRequest, 100).dead_letters -> DeadLetter;
    /// The whole catalogue.
    products: catalogue.list_products(ListProductsRequest, 100).products -> Product;
}

/// Returns everybody in a segment.
pub async fn members(api: &Api, segment_id: &str) -> Result<Vec<Member>, Error> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListSegmentMembersRequest { segment_id: segment_id.into(), page_size: 1_000, page_token };
        let page = api.segments().list_segment_members(request).await?.into_inner();
        all.extend(page.members);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        page_token = page.next_page_token;
    }
}

/// Returns all that happened to a person, newest first.
pub async fn timeline(api: &Api, profile_id: &str) -> Result<Vec<Event>, Error> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListTimelineRequest { profile_id: profile_id.into(), page_size: 100, page_token };
        let page = api.identity().list_timeline(request).await?.into_inner();
        all.extend(page.events);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        page_token = page.next_page_token;
    }
}

/// Returns what each source sent, by the source's name, but for how much of it was late: that depends on when it was
/// received.
pub async fn event_counts(api: &Api) -> Result<BTreeMap<String, SourceSummary>, Error> {
    let names: BTreeMap<String, String> =
        sources(api).await?.into_iter().map(|source| (source.source_id, source.name)).collect();
    let summary = api.ingestion().summarize_events(SummarizeEventsRequest::default()).await?.into_inner();
    let named = summary.sources.into_iter().map(|source| {
        let name = names.get(&source.source_id).unwrap_or(&source.source_id).clone();
        (name, SourceSummary { source_id: String::new(), late: 0, ..source })
    });
    Ok(named.collect())
}
