//! Why two identifiers are, or are not, one person.

use std::collections::VecDeque;

use super::{
    canon::{Canon, Refusal, canon},
    component::{Component, Edge, Node, Place},
    identifier::{Ident, Reading, read},
    policy::Policy,
};

/// Most pieces of refused evidence in one explanation.
const MOST_REFUSED: usize = 100;

/// An explanation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Explanation {
    pub(crate) linked: bool,
    /// The shortest way from the first to the second over evidence that joins.
    pub(crate) path: Vec<Finding>,
    /// Evidence of the people concerned that does not join.
    pub(crate) refused: Vec<Finding>,
    pub(crate) summary: String,
}

/// Evidence with its verdict.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) first: (Box<str>, Box<str>),
    pub(crate) second: (Box<str>, Box<str>),
    pub(crate) edge: Edge,
    pub(crate) verdict: Verdict,
    pub(crate) rule: String,
}

/// Whether evidence joins, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    BlockedValue,
    LimitExceeded,
    SharedIdentifier,
    Separated,
}

/// Explains how `first` and `second` stand to each other, given the components in which they live, if they are known.
pub(crate) fn explain(first: &Ident, second: &Ident, homes: [Option<&Component>; 2], policy: &Policy) -> Explanation {
    let mut explanation = Explanation { linked: false, path: Vec::new(), refused: Vec::new(), summary: String::new() };
    if let [Some(one), Some(other)] = homes {
        explanation.linked = one.id == other.id && same_person(one, first, second);
        if explanation.linked {
            let verdicts = verdicts(one, policy);
            explanation.path = shortest_path(one, &verdicts, first, second, policy);
        }
    }
    for (ident, home) in [(first, homes[0]), (second, homes[1])] {
        let findings = home.map(|home| refused(home, ident, policy)).unwrap_or_default();
        let news: Vec<Finding> =
            findings.into_iter().filter(|finding| !explanation.refused.contains(finding)).collect();
        explanation.refused.extend(news);
    }
    explanation.refused.truncate(MOST_REFUSED);
    explanation.summary = summary(first, second, homes, &explanation, policy);
    explanation
}

fn same_person(component: &Component, first: &Ident, second: &Ident) -> bool {
    let cluster = |ident: &Ident| {
        let node = component.nodes.iter().find(|node| node.key == ident.key && node.place == Place::Inside)?;
        Some(node.cluster)
    };
    cluster(first).is_some() && cluster(first) == cluster(second)
}

fn verdicts(component: &Component, policy: &Policy) -> Canon {
    canon(&component.nodes, &component.edges, &policy.rules, &policy.separations)
}

fn shortest_path(component: &Component, canon: &Canon, first: &Ident, second: &Ident, policy: &Policy) -> Vec<Finding> {
    let (Some(start), Some(end)) = (component.position(first.key), component.position(second.key)) else {
        return Vec::new();
    };
    let mut order: Vec<usize> = (0..component.edges.len()).filter(|index| canon.refusals[*index].is_none()).collect();
    // Of two ways of one length the older evidence is shown.
    order.sort_by_key(|index| (component.edges[*index].first.time_us, component.edges[*index].first.event_id));

    let mut came_by: Vec<Option<usize>> = vec![None; component.nodes.len()];
    let mut waiting = VecDeque::from([start]);
    while let Some(node) = waiting.pop_front() {
        if node == end {
            break;
        }
        for index in &order {
            let edge = &component.edges[*index];
            let Some(next) = other_end(edge, node) else { continue };
            if next != start && came_by[next as usize].is_none() {
                came_by[next as usize] = Some(*index);
                waiting.push_back(next);
            }
        }
    }

    let mut path = Vec::new();
    let mut node = end;
    while let Some(index) = came_by[node as usize] {
        let edge = &component.edges[index];
        let previous = other_end(edge, node).expect("a node is reached by an edge that it ends");
        path.push(finding(component, edge, previous, node, None, policy));
        node = previous;
    }
    path.reverse();
    path
}

fn other_end(edge: &Edge, node: u32) -> Option<u32> {
    match (edge.a == node, edge.b == node) {
        (true, _) => Some(edge.b),
        (_, true) => Some(edge.a),
        _ => None,
    }
}

/// Evidence that touches the person of `ident` and does not join.
fn refused(component: &Component, ident: &Ident, policy: &Policy) -> Vec<Finding> {
    let canon = verdicts(component, policy);
    let cluster = component.position(ident.key).map(|index| component.nodes[index as usize].cluster);
    let concerns = |index: u32| Some(component.nodes[index as usize].cluster) == cluster;
    let mut findings: Vec<Finding> = component
        .edges
        .iter()
        .zip(&canon.refusals)
        .filter(|(edge, _)| concerns(edge.a) || concerns(edge.b))
        .filter_map(|(edge, refusal)| Some(finding(component, edge, edge.a, edge.b, Some(refusal.as_ref()?), policy)))
        .collect();
    findings.sort_by_key(|finding| (finding.edge.first.time_us, finding.edge.first.event_id));
    findings
}

fn finding(
    component: &Component,
    edge: &Edge,
    from: u32,
    to: u32,
    refusal: Option<&Refusal>,
    policy: &Policy,
) -> Finding {
    let ends = [&component.nodes[from as usize], &component.nodes[to as usize]];
    let (verdict, rule) = match refusal {
        None if edge.declared => (Verdict::Accepted, "declared to be the same person".to_owned()),
        None => (Verdict::Accepted, format!("{} and {} seen together in one event", ends[0].kind, ends[1].kind)),
        Some(Refusal::Separated) => (Verdict::Separated, "somebody said that these people are different".to_owned()),
        Some(Refusal::Limit { kind, limit }) => {
            (Verdict::LimitExceeded, format!("one person has at most {limit} of {kind}"))
        }
        Some(Refusal::Outside) => outside(component, ends, policy),
    };
    let end = |node: &Node| (node.kind.clone(), node.value.clone());
    Finding { first: end(ends[0]), second: end(ends[1]), edge: edge.clone(), verdict, rule }
}

fn outside(component: &Component, ends: [&Node; 2], policy: &Policy) -> (Verdict, String) {
    for node in ends {
        let is_cut_here = component.cut.any() && node.place == Place::Inside;
        if node.place == Place::Inside && !is_cut_here {
            continue;
        }
        if policy.is_blocked(node.key) {
            return (Verdict::BlockedValue, format!("somebody blocked this {}", node.kind));
        }
        if node.place == Place::Worthless {
            return (Verdict::BlockedValue, why_worthless(&node.kind, &node.value, policy).to_owned());
        }
        return (Verdict::SharedIdentifier, shared_rule(&node.kind, policy));
    }
    (Verdict::BlockedValue, "an end joins nobody".to_owned())
}

fn why_worthless(kind: &str, value: &str, policy: &Policy) -> &'static str {
    match read(kind, value, &policy.rules) {
        Reading::Worthless(_, reason) => reason,
        _ => "a value that identified nobody when it was seen",
    }
}

fn shared_rule(kind: &str, policy: &Policy) -> String {
    let most = policy.rules.kind(kind).shared_above;
    format!("a {kind} seen with more than {most} different accounts, cards, addresses or numbers is shared")
}

fn summary(
    first: &Ident,
    second: &Ident,
    homes: [Option<&Component>; 2],
    explanation: &Explanation,
    policy: &Policy,
) -> String {
    let pair = format!("{} {} and {} {}", first.kind, first.value, second.kind, second.value);
    if first.key == second.key {
        return format!("{pair} are the same identifier.");
    }
    if explanation.linked {
        let steps = explanation.path.len();
        let seen: u64 = explanation.path.iter().map(|finding| finding.edge.observations).sum();
        let pieces = if steps == 1 { "piece" } else { "pieces" };
        return format!("{pair} are one person by {steps} {pieces} of evidence, observed {seen} times in all.");
    }
    for (ident, home) in [(first, homes[0]), (second, homes[1])] {
        let name = format!("{} {}", ident.kind, ident.value);
        if policy.is_blocked(ident.key) {
            return format!("{pair} are not linked: {name} is blocked.");
        }
        match home {
            None if matches!(policy.read(&ident.kind, &ident.value), Reading::Worthless(..)) => {
                let reason = why_worthless(&ident.kind, &ident.value, policy);
                return format!("{pair} are not linked: {name} identifies nobody ({reason}).");
            }
            None => return format!("{pair} are not linked: {name} was never seen."),
            Some(home) if home.cut.shared => {
                return format!("{pair} are not linked: {name} is shared by too many people.");
            }
            Some(_) => {}
        }
    }
    match explanation.refused.iter().find(|finding| finding.is_between(first, second)).or(explanation.refused.first()) {
        Some(finding) => format!("{pair} are different people; evidence was refused: {}.", finding.rule),
        None => format!("{pair} are different people: nothing was seen that joins them."),
    }
}

impl Finding {
    fn is_between(&self, first: &Ident, second: &Ident) -> bool {
        let one = (first.kind.clone(), first.value.clone());
        let other = (second.kind.clone(), second.value.clone());
        (self.first == one && self.second == other) || (self.first == other && self.second == one)
    }
}
