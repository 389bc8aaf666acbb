//! Nobody reaches over the border between tenants, by any RPC.

mod calls;
mod neighbour;

use std::collections::{BTreeMap, BTreeSet};

use comptoir::{shop::Stage, web::Web};
use comptoir_integration_tests::{
    Embedded, Engine, Subject,
    http::{call_json, json},
    scenario,
};
use http::StatusCode;
use prost_reflect::DescriptorPool;
use proto::gateway::v1::CreateApiKeyRequest;
use serde_json::Value;

use self::{
    calls::{Call, Kind, calls},
    neighbour::{Neighbour, SECRET, settle_in},
};

/// Packages whose messages are types and that serve nothing.
const OURS: &str = "comptoir.";

#[tokio::test(flavor = "multi_thread")]
async fn no_rpc_shows_or_changes_what_is_another_tenants() -> anyhow::Result<()> {
    let subject = Embedded::start(Engine::Sqlite, scenario::start()).await?;
    let alpha = settle_in(&subject, "alpha").await?;
    let intruder = subject.operator()?.create_tenant("beta").await?;
    let calls = calls(&alpha);
    check_that_none_is_forgotten(&calls);
    let mut web = subject.web()?;

    let before = what_alpha_sees(&mut web, &alpha, &calls).await?;
    // Reads first: what the intruder then writes is its own.
    for kind in [Kind::Read, Kind::Write, Kind::Service, Kind::Operator] {
        for call in calls.iter().filter(|call| call.kind == kind) {
            let answer = call_json(&mut web, Some(&intruder), call.method, call.body.to_string()).await?;
            let told = json(&answer);
            let code = if answer.status == StatusCode::OK { "ok" } else { told["code"].as_str().unwrap_or_default() };
            assert!(call.to_others.contains(&code), "{} answered {code}: {told}", call.method);
            let text = told.to_string().to_lowercase();
            assert!(!text.contains(SECRET), "{} shows what is another's: {told}", call.method);
        }
    }
    subject.settle().await?;
    let after = what_alpha_sees(&mut web, &alpha, &calls).await?;

    for (method, told) in &before {
        assert_eq!(told, &after[method], "{method} shows a change that somebody else made");
    }
    subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rpc_answers_without_a_key_or_without_its_scope() -> anyhow::Result<()> {
    let subject = Embedded::start(Engine::Sqlite, scenario::start()).await?;
    let alpha = settle_in(&subject, "alpha").await?;
    let mut narrow = BTreeMap::new();
    for scope in ["events:write", "recommend:read"] {
        let request = CreateApiKeyRequest { tenant_id: "alpha".into(), name: scope.into(), scopes: vec![scope.into()] };
        let key = subject.api(&alpha.key)?.access().create_api_key(request).await?.into_inner().secret;
        narrow.insert(scope, key);
    }
    let mut web = subject.web()?;

    for call in calls(&alpha) {
        let refused = [
            (None, StatusCode::UNAUTHORIZED),
            (Some("csk_made_up"), StatusCode::UNAUTHORIZED),
            (Some(narrow[call.too_narrow_scope()].as_str()), StatusCode::FORBIDDEN),
        ];
        for (key, status) in refused {
            if status == StatusCode::FORBIDDEN && call.method.ends_with("/WhoAmI") {
                continue;
            }
            let answer = call_json(&mut web, key, call.method, call.body.to_string()).await?;
            assert_eq!(answer.status, status, "{}: {}", call.method, json(&answer));
        }
    }
    subject.stop().await
}

/// Every unary RPC of every contract is in the table.
fn check_that_none_is_forgotten(calls: &[Call]) {
    let contracts = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let unary: BTreeSet<String> = contracts
        .services()
        .filter(|service| service.full_name().starts_with(OURS))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .filter(|method| !method.is_client_streaming() && !method.is_server_streaming())
        .map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    let tried: BTreeSet<String> = calls.iter().map(|call| call.method.to_owned()).collect();
    assert_eq!(unary, tried, "RPCs and the table of tries");
}

/// Returns what each read shows to the tenant itself; that it answers shows that the tries are of calls that work.
async fn what_alpha_sees(web: &mut Web, alpha: &Neighbour, calls: &[Call]) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut seen = BTreeMap::new();
    for call in calls.iter().filter(|call| call.kind == Kind::Read) {
        let answer = call_json(web, Some(&alpha.key), call.method, call.body.to_string()).await?;
        assert_eq!(answer.status, StatusCode::OK, "{} by its own tenant: {}", call.method, json(&answer));
        seen.insert(format!("{} {}", call.method, call.body), json(&answer));
    }
    Ok(seen)
}
