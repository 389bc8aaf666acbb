//! What came of the year, read through the public API.

use std::collections::BTreeMap;

use proto::{
    campaign::v1::{Reason, SummarizeMessagesRequest, message::State},
    identity::v1::{
        ExplainLinkRequest, GetProfileRequest, ListChangesRequest, SummarizeProfilesRequest, get_profile_request::Key,
    },
    ingestion::v1::SummarizeEventsRequest,
    recommendation::v1::{RecommendRequest, Strategy},
    scoring::v1::{
        GetRfmMatrixRequest, GetRfmMatrixResponse, ListRfmScoresRequest, ListSegmentsRequest, SummarizeOrdersRequest,
    },
    r#type::v1::Identifier,
};
use simulator::World;

use super::Stages;
use crate::{api::Api, progress::Progress, shop::Lived};

pub(super) async fn print(api: &Api, world: &World, lived: &Lived, stages: &mut Stages) -> anyhow::Result<()> {
    let progress = Progress::silent("asking");
    let mut page = Page::default();
    events(&mut page, api, world, lived).await?;
    people(&mut page, api, world).await?;
    orders(&mut page, api, world).await?;
    rfm(&mut page, api).await?;
    segments(&mut page, api).await?;
    recommendations(&mut page, api).await?;
    messages(&mut page, api, lived).await?;
    stages.push(("asking the API", progress.end("")));

    page.title("Time");
    for (stage, took) in stages.iter() {
        page.line(format!("{stage:<24} {:>7.1} s", took.as_secs_f64()));
    }
    println!("{}", page.0);
    Ok(())
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn title(&mut self, title: &str) {
        self.0.push_str(&format!("\n{title}\n{}\n", "-".repeat(title.len())));
    }

    fn line(&mut self, line: String) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }
}

async fn events(page: &mut Page, api: &Api, world: &World, lived: &Lived) -> anyhow::Result<()> {
    let sources = api.ingestion().summarize_events(SummarizeEventsRequest::default()).await?.into_inner().sources;
    let sum = |count: fn(&proto::ingestion::v1::summarize_events_response::SourceSummary) -> u64| -> u64 {
        sources.iter().map(count).sum()
    };
    page.title("Events");
    page.line(format!("delivered    {:>8} in {} bodies", lived.events, lived.bodies));
    page.line(format!("accepted     {:>8} (messages and clicks included)", sum(|s| s.accepted)));
    page.line(format!("duplicates   {:>8} ({} were injected)", sum(|s| s.duplicate), world.truth().duplicates));
    page.line(format!("quarantined  {:>8}", sum(|s| s.quarantined)));
    Ok(())
}

async fn people(page: &mut Page, api: &Api, world: &World) -> anyhow::Result<()> {
    let truth = world.truth();
    let summary = api.identity().summarize_profiles(SummarizeProfilesRequest {}).await?.into_inner();
    page.title("People");
    page.line(format!("there are    {:>8} who left a signal", truth.people_seen));
    page.line(format!(
        "found        {:>8} profiles, {} of them identified",
        summary.profiles, summary.identified_profiles
    ));
    page.line(format!(
        "could be     {:>8} by the evidence there is ({} identified)",
        truth.groups.len(),
        truth.identified_groups
    ));
    page.line(format!("merges       {:>8}", summary.merges));
    page.line(format!("refused      {:>8} pieces of evidence", summary.refused_evidence));

    let changes =
        api.identity().list_changes(ListChangesRequest { page_size: 50, ..ListChangesRequest::default() }).await?;
    let survivors = changes.into_inner().changes.into_iter().map(|change| change.profile_id);
    for profile_id in survivors {
        let request = GetProfileRequest { key: Some(Key::ProfileId(profile_id)) };
        let Ok(found) = api.identity().get_profile(request).await else { continue };
        let identifiers = found.into_inner().profile.unwrap_or_default().identifiers;
        let email = identifiers.iter().find(|identifier| identifier.kind == "email").cloned();
        let device = identifiers.iter().find(|identifier| identifier.kind == "anonymous_id").cloned();
        let (Some(first), Some(second)) = (email, device) else { continue };
        return explain(page, api, first, second).await;
    }
    Ok(())
}

async fn explain(page: &mut Page, api: &Api, first: Identifier, second: Identifier) -> anyhow::Result<()> {
    let request = ExplainLinkRequest { first: Some(first), second: Some(second) };
    let explained = api.identity().explain_link(request).await?.into_inner();
    page.line(format!("for example: {}", explained.summary));
    for step in explained.path {
        let (first, second) = (step.first.unwrap_or_default(), step.second.unwrap_or_default());
        page.line(format!(
            "  {}:{} -- {}:{} ({} times, event {})",
            first.kind, first.value, second.kind, second.value, step.observations, step.event_id
        ));
    }
    Ok(())
}

async fn orders(page: &mut Page, api: &Api, world: &World) -> anyhow::Result<()> {
    let summary = api.scoring().summarize_orders(SummarizeOrdersRequest {}).await?.into_inner();
    page.title("Orders");
    page.line(format!(
        "there are    {:>8} ({} were told twice)",
        world.truth().orders,
        world.truth().orders_sent_twice
    ));
    page.line(format!("found        {:>8} by {} buyers", summary.order_count, summary.buyer_count));
    for country in summary.countries {
        let net = country.net_value.unwrap_or_default();
        page.line(format!(
            "  {:<4} {:>6} orders {:>14} {}",
            country.country, country.order_count, net.units, net.currency_code
        ));
    }
    Ok(())
}

async fn rfm(page: &mut Page, api: &Api) -> anyhow::Result<()> {
    let matrix = api.scoring().get_rfm_matrix(GetRfmMatrixRequest::default()).await?.into_inner();
    page.title(&format!("RFM of {} buyers", matrix.buyer_count));
    let mut grid: BTreeMap<(i32, i32), u64> = BTreeMap::new();
    let mut names: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for cell in &matrix.cells {
        let rfm = cell.rfm.clone().unwrap_or_default();
        *grid.entry((rfm.recency, rfm.frequency)).or_default() += cell.profile_count;
        let name = names.entry(rfm.segment).or_default();
        name.0 += cell.profile_count;
        name.1 += cell.net_value.as_ref().map_or(0, |value| value.units);
    }
    page.line("recency \\ frequency      1      2      3      4      5".into());
    for recency in (1..=5).rev() {
        let counts: String =
            (1..=5).map(|frequency| format!("{:>7}", grid.get(&(recency, frequency)).copied().unwrap_or(0))).collect();
        page.line(format!("                  {recency}{counts}"));
    }
    named(page, &matrix, names);
    Ok(())
}

fn named(page: &mut Page, matrix: &GetRfmMatrixResponse, names: BTreeMap<String, (u64, i64)>) {
    let total: i64 = names.values().map(|(_, value)| value).sum();
    for (name, (people, value)) in names {
        let share = if total > 0 { 100.0 * value as f64 / total as f64 } else { 0.0 };
        page.line(format!("  {name:<22} {people:>5} people {share:>5.1} % of the value in {}", matrix.currency));
    }
}

async fn segments(page: &mut Page, api: &Api) -> anyhow::Result<()> {
    let segments = api.segments().list_segments(ListSegmentsRequest::default()).await?.into_inner().segments;
    page.title("Segments");
    for segment in segments {
        page.line(format!("{:<18} {:>6} people   {}", segment.segment_id, segment.member_count, segment.expression));
    }
    Ok(())
}

async fn recommendations(page: &mut Page, api: &Api) -> anyhow::Result<()> {
    let champions =
        ListRfmScoresRequest { segment: "champions".into(), page_size: 1, ..ListRfmScoresRequest::default() };
    let champion = api.scoring().list_rfm_scores(champions).await?.into_inner().entries.into_iter().next();
    let profile_id = champion.map(|entry| entry.profile_id).unwrap_or_default();
    let request = RecommendRequest { profile_id, limit: 5, ..RecommendRequest::default() };
    let items = api.recommendation().recommend(request).await?.into_inner().items;
    page.title("Recommended to one champion");
    for item in items {
        let strategy = Strategy::try_from(item.strategy).unwrap_or_default().as_str_name().to_ascii_lowercase();
        let title = item.product.unwrap_or_default().title;
        page.line(format!("  {title:<32} {:<28} {}", strategy.replace("strategy_", ""), item.reason));
    }
    Ok(())
}

async fn messages(page: &mut Page, api: &Api, lived: &Lived) -> anyhow::Result<()> {
    let summary = api.messages().summarize_messages(SummarizeMessagesRequest {}).await?.into_inner();
    page.title("Messages");
    let mut rows: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for count in summary.counts {
        let state = State::try_from(count.state).unwrap_or_default().as_str_name().to_ascii_lowercase();
        let reason = Reason::try_from(count.reason).unwrap_or_default().as_str_name().to_ascii_lowercase();
        let reason = reason.replace("reason_", "").replace("unspecified", "");
        *rows.entry((count.campaign_id, state.replace("state_", ""), reason)).or_default() += count.count;
    }
    for ((campaign, state, reason), count) in rows {
        page.line(format!("  {campaign:<18} {state:<10} {reason:<16} {count:>6}"));
    }
    page.line(format!(
        "{} mails arrived; {} were clicked, {} people unsubscribed",
        lived.mails, summary.clicked, summary.unsubscribed
    ));
    Ok(())
}
