//! A component: identifiers that evidence connects, with the people they make.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    identifier::{Ident, Key},
    person::Person,
    rules::Rules,
};

/// The cluster of a node that is not yet, or never, part of a person.
pub(crate) const NO_CLUSTER: u32 = u32::MAX;

/// Number of a component within its tenant.
pub(crate) type ComponentId = i64;

/// Identifiers connected by evidence, accepted or not, and the people that [`canon`](super::canon) makes of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Component {
    pub(crate) id: ComponentId,
    /// Set when this is the component of one identifier that joins nobody, which is `nodes[0]`.
    pub(crate) cut: Cut,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// One entry for each cluster; `Node::cluster` points here.
    pub(crate) people: Vec<Person>,
    /// What of it stands in the tenant's counts.
    pub(crate) counted: Counts,
}

/// Why an identifier joins nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// It was seen with too many people. It never ends.
    pub(crate) shared: bool,
    /// Somebody blocked it.
    pub(crate) blocked: bool,
}

impl Cut {
    pub(crate) fn any(self) -> bool {
        self.shared || self.blocked
    }
}

/// An identifier in a component.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) key: Key,
    pub(crate) kind: Box<str>,
    pub(crate) value: Box<str>,
    /// As it was last seen, when it differs from `value`.
    pub(crate) original: Option<Box<str>>,
    pub(crate) first_us: i64,
    pub(crate) last: Sighted,
    /// Index into `Component::people`, or [`NO_CLUSTER`].
    pub(crate) cluster: u32,
    pub(crate) place: Place,
}

/// Where an identifier belongs that stands in a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Here.
    Inside,
    /// In a component of its own, as it joins nobody; here only for the evidence with those inside.
    Cut,
    /// Nowhere: a value that identifies nobody.
    Worthless,
}

/// When something was last told, and by what.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sighted {
    pub(crate) time_us: i64,
    pub(crate) event_id: Uuid,
    pub(crate) source: Arc<str>,
}

/// Evidence: two identifiers were seen together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edge {
    /// Indices into `Component::nodes`.
    pub(crate) a: u32,
    pub(crate) b: u32,
    /// The first sighting, by event time and then event id.
    pub(crate) first: Sighted,
    pub(crate) observations: u64,
    /// Somebody declared that the two are one (an alias), rather than their being seen together.
    pub(crate) declared: bool,
}

/// Numbers for the tenant's summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) profiles: i64,
    pub(crate) identified: i64,
    pub(crate) identifiers: i64,
    pub(crate) refused: i64,
}

impl Component {
    /// Returns the index of the node with `key`.
    pub(crate) fn position(&self, key: Key) -> Option<u32> {
        self.nodes.iter().position(|node| node.key == key).map(|index| index as u32)
    }

    /// Returns the person that the identifier `key` belongs to.
    pub(crate) fn person_of(&self, key: Key) -> Option<&Person> {
        let node = self.nodes.iter().find(|node| node.key == key && node.place == Place::Inside)?;
        self.people.get(node.cluster as usize)
    }

    /// Returns the index in `people` of the profile `id`.
    pub(crate) fn cluster_of_profile(&self, id: Uuid) -> Option<usize> {
        self.people.iter().position(|person| person.id == Some(id))
    }

    /// Returns the nodes of the person with index `cluster`.
    pub(crate) fn members(&self, cluster: usize) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.cluster as usize == cluster && node.place == Place::Inside)
    }

    /// Tells whether an edge joins: both ends are inside and in one person.
    pub(crate) fn joins(&self, edge: &Edge) -> bool {
        let (first, second) = (&self.nodes[edge.a as usize], &self.nodes[edge.b as usize]);
        first.place == Place::Inside && second.place == Place::Inside && first.cluster == second.cluster
    }

    /// Counts what it holds.
    pub(crate) fn count(&self, rules: &Rules) -> Counts {
        let mut identified = vec![false; self.people.len()];
        let mut identifiers = 0;
        for node in self.nodes.iter().filter(|node| node.place == Place::Inside) {
            identifiers += 1;
            if let Some(flag) = identified.get_mut(node.cluster as usize) {
                *flag |= rules.kind(&node.kind).strong;
            }
        }
        let known = |cluster: &usize| self.people[*cluster].events > 0;
        // Evidence with an identifier that joins nobody is counted where the other end lives.
        let refused = if self.cut.any() { 0 } else { self.edges.iter().filter(|edge| !self.joins(edge)).count() };
        Counts {
            profiles: (0..self.people.len()).filter(known).count() as i64,
            identified: (0..self.people.len()).filter(known).filter(|cluster| identified[*cluster]).count() as i64,
            identifiers,
            refused: refused as i64,
        }
    }
}

impl Node {
    pub(crate) fn new(ident: &Ident, place: Place, sighted: &Sighted) -> Self {
        Self {
            key: ident.key,
            kind: ident.kind.clone(),
            value: ident.value.clone(),
            original: ident.original.clone(),
            first_us: sighted.time_us,
            last: sighted.clone(),
            cluster: NO_CLUSTER,
            place,
        }
    }

    /// Notes that it was seen. Of two sightings at one instant the larger original stays, so that order does not matter.
    pub(crate) fn see(&mut self, original: Option<&str>, sighted: &Sighted) {
        self.first_us = self.first_us.min(sighted.time_us);
        let newer = (sighted.time_us, original.unwrap_or(&self.value), sighted.event_id)
            > (self.last.time_us, self.seen_as(), self.last.event_id);
        if newer {
            if self.original.as_deref() != original {
                self.original = original.map(Into::into);
            }
            self.last = sighted.clone();
        }
    }

    /// Returns the value as it was last seen.
    pub(crate) fn seen_as(&self) -> &str {
        self.original.as_deref().unwrap_or(&self.value)
    }
}

impl Sighted {
    /// Tells whether it comes before `other`: by time, then by event.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        (self.time_us, self.event_id) < (other.time_us, other.event_id)
    }
}
