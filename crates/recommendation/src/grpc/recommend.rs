use kit::{Error, TenantId, Violations};
use prost_types::Timestamp;
use proto::recommendation::v1::{
    self as wire, RecommendRequest, RecommendResponse,
    recommend_response::{Item, RuleEffect},
};

use super::{Rpc, person, product};
use crate::domain::choose::{Answer, Ask, Strategy, choose};

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: i32 = 100;
const MAX_PRODUCT_IDS: usize = 50;
const MAX_CATEGORIES: usize = 20;
const MAX_PROFILE_ID: usize = 256;

pub(super) async fn handle(
    rpc: &Rpc,
    tenant: &TenantId,
    request: RecommendRequest,
) -> Result<RecommendResponse, Error> {
    let question = parse(request, rpc.clock.now_us())?;
    let shelf = rpc.shelves.fresh(tenant).await?;
    let person = person::find(rpc, tenant, &question.profile_id).await?;

    let ask = Ask {
        product_ids: &question.product_ids,
        profile: &person.profile,
        limit: question.limit,
        include_categories: &question.include_categories,
        exclude_categories: &question.exclude_categories,
        allow_bought: question.allow_bought,
        as_of_us: question.as_of_us,
    };
    let answer = choose(&ask, &shelf.book(), &shelf.catalogue());
    Ok(RecommendResponse { not_personal_reason: person.not_personal_reason.to_owned(), ..render(answer) })
}

struct Question {
    profile_id: String,
    product_ids: Vec<String>,
    limit: usize,
    include_categories: Vec<String>,
    exclude_categories: Vec<String>,
    allow_bought: bool,
    as_of_us: i64,
}

fn parse(request: RecommendRequest, now_us: i64) -> Result<Question, Error> {
    let mut violations = Violations::new();
    let profile_id_fits = request.profile_id.chars().count() <= MAX_PROFILE_ID;
    violations.check(profile_id_fits, "profile_id", "must be at most 256 characters");
    violations.check(request.product_ids.len() <= MAX_PRODUCT_IDS, "product_ids", "must be at most 50");
    for (index, product_id) in request.product_ids.iter().enumerate() {
        product::check_id(&mut violations, format!("product_ids[{index}]"), product_id);
    }
    violations.check((0..=MAX_LIMIT).contains(&request.limit), "limit", "must be 0 to 100");
    let include_categories = parse_categories(&mut violations, "include_categories", &request.include_categories);
    let exclude_categories = parse_categories(&mut violations, "exclude_categories", &request.exclude_categories);
    let as_of_us = match request.as_of_time {
        Some(time) => parse_time(&mut violations, "as_of_time", time),
        None => now_us,
    };
    violations.finish()?;

    let limit = if request.limit == 0 { DEFAULT_LIMIT } else { request.limit as usize };
    Ok(Question {
        profile_id: request.profile_id,
        product_ids: request.product_ids,
        limit,
        include_categories,
        exclude_categories,
        allow_bought: request.allow_bought,
        as_of_us,
    })
}

fn parse_categories(violations: &mut Violations, field: &str, categories: &[String]) -> Vec<String> {
    violations.check(categories.len() <= MAX_CATEGORIES, field, "must be at most 20");
    let mut parsed = Vec::with_capacity(categories.len().min(MAX_CATEGORIES));
    for (index, text) in categories.iter().enumerate().take(MAX_CATEGORIES) {
        let name = format!("{field}[{index}]");
        let category = product::parse_category(violations, name.as_str(), text);
        violations.check(!category.is_empty(), name, "must not be empty");
        parsed.push(category);
    }
    parsed
}

fn parse_time(violations: &mut Violations, field: &str, time: Timestamp) -> i64 {
    let time_us = kit::time::valid_micros(&time);
    violations.check(time_us.is_some(), field, "must be a time of the years 1 to 9999");
    time_us.unwrap_or_default()
}

fn render(answer: Answer) -> RecommendResponse {
    let items = answer.picks.into_iter().map(|pick| Item {
        product: Some(product::render(&pick.product)),
        score: pick.score,
        strategy: strategy(pick.strategy).into(),
        because_product_ids: pick.because.iter().map(|product_id| product_id.to_string()).collect(),
        reason: pick.reason,
    });
    let rule_effects =
        answer.effects.into_iter().map(|(rule, removed)| RuleEffect { rule: rule.name().to_owned(), removed });
    RecommendResponse { items: items.collect(), rule_effects: rule_effects.collect(), ..RecommendResponse::default() }
}

fn strategy(strategy: Strategy) -> wire::Strategy {
    match strategy {
        Strategy::BoughtTogether => wire::Strategy::BoughtTogether,
        Strategy::ViewedTogether => wire::Strategy::ViewedTogether,
        Strategy::Personal => wire::Strategy::Personal,
        Strategy::Popular => wire::Strategy::Popular,
    }
}
