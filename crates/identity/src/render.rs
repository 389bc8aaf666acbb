//! Writing what the domain knows as the contract's messages.

use kit::time::timestamp;
use proto::identity::v1::{Evidence, Profile, Trait, evidence};
use proto::r#type::v1::{Consent, ConsentState, Identifier};

use crate::domain::{
    component::{Component, Edge, Sighted},
    explain::{Finding, Verdict},
    fingerprint::{CONTACTS, contact, identifiers},
    settle::Link,
};

/// Returns the profile of the person `cluster` of `component`.
pub(crate) fn profile(component: &Component, cluster: usize) -> Profile {
    let person = &component.people[cluster];
    let nodes = identifiers(component, cluster);
    let mut traits: Vec<Trait> = person
        .traits
        .iter()
        .map(|known| golden(&known.name, &known.value, &known.told))
        .chain(CONTACTS.iter().filter_map(|kind| {
            let node = contact(&nodes, kind)?;
            Some(golden(kind, node.seen_as(), &node.last))
        }))
        .collect();
    traits.sort_by(|left, right| left.name.cmp(&right.name));
    let seen = person.events > 0;
    Profile {
        profile_id: person.id.map(|id| id.to_string()).unwrap_or_default(),
        identifiers: nodes.iter().map(|node| identifier(&node.kind, node.seen_as())).collect(),
        traits,
        consents: person
            .consents
            .iter()
            .map(|answer| Consent {
                purpose: answer.purpose.to_string(),
                channel: answer.channel.to_string(),
                state: if answer.granted { ConsentState::Granted } else { ConsentState::Denied }.into(),
                decided_time: Some(timestamp(answer.decided_us)),
                proof: answer.proof.to_string(),
            })
            .collect(),
        first_seen_time: seen.then(|| timestamp(person.first_us)),
        last_seen_time: seen.then(|| timestamp(person.last_us)),
        event_count: person.events,
        absorbed_profile_ids: person.absorbed.iter().map(ToString::to_string).collect(),
    }
}

fn golden(name: &str, value: &str, told: &Sighted) -> Trait {
    Trait {
        name: name.to_owned(),
        value: value.to_owned(),
        event_time: Some(timestamp(told.time_us)),
        source_id: told.source.to_string(),
        event_id: told.event_id.to_string(),
    }
}

/// Returns the evidence behind a merge.
pub(crate) fn accepted(link: &Link) -> Evidence {
    let rule = if link.edge.declared {
        "declared to be the same person".to_owned()
    } else {
        format!("{} and {} seen together in one event", link.first.0, link.second.0)
    };
    evidence(&link.first, &link.second, &link.edge, evidence::Verdict::Accepted, rule)
}

/// Returns evidence with its verdict.
pub(crate) fn finding(finding: &Finding) -> Evidence {
    let verdict = match finding.verdict {
        Verdict::Accepted => evidence::Verdict::Accepted,
        Verdict::BlockedValue => evidence::Verdict::BlockedValue,
        Verdict::LimitExceeded => evidence::Verdict::LimitExceeded,
        Verdict::SharedIdentifier => evidence::Verdict::SharedIdentifier,
        Verdict::Separated => evidence::Verdict::Separated,
    };
    evidence(&finding.first, &finding.second, &finding.edge, verdict, finding.rule.clone())
}

fn evidence(
    first: &(Box<str>, Box<str>),
    second: &(Box<str>, Box<str>),
    edge: &Edge,
    verdict: evidence::Verdict,
    rule: String,
) -> Evidence {
    Evidence {
        first: Some(identifier(&first.0, &first.1)),
        second: Some(identifier(&second.0, &second.1)),
        observations: edge.observations,
        first_time: Some(timestamp(edge.first.time_us)),
        event_id: edge.first.event_id.to_string(),
        source_id: edge.first.source.to_string(),
        verdict: verdict.into(),
        rule,
    }
}

fn identifier(kind: &str, value: &str) -> Identifier {
    Identifier { kind: kind.to_owned(), value: value.to_owned() }
}
