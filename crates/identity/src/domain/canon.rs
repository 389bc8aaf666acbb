//! The one algorithm that matters: which identifiers are one person.
//!
//! [`canon`] is a pure function of the evidence, the rules and the separations. It walks the evidence like Kruskal's
//! algorithm, strongest and earliest first, and refuses what would break a rule. So people do not depend on the order in
//! which evidence arrived, and undoing a link is taking evidence away, or adding a separation, and computing again.

use std::collections::HashMap;

use super::{
    component::{Edge, NO_CLUSTER, Node, Place},
    identifier::Key,
    rules::Rules,
};

/// Pairs of identifiers that somebody said are different people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Separations(HashMap<Key, Vec<Key>>);

impl Separations {
    pub(crate) fn add(&mut self, first: Key, second: Key) {
        for (from, to) in [(first, second), (second, first)] {
            let partners = self.0.entry(from).or_default();
            if !partners.contains(&to) {
                partners.push(to);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn remove(&mut self, first: Key, second: Key) {
        for (from, to) in [(first, second), (second, first)] {
            if let Some(partners) = self.0.get_mut(&from) {
                partners.retain(|partner| *partner != to);
            }
        }
    }

    /// Returns the separated pairs among `nodes`, as indices.
    fn among(&self, nodes: &[Node]) -> Vec<(u32, u32)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut pairs = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            for partner in self.0.get(&node.key).into_iter().flatten() {
                if let Some(other) = nodes.iter().position(|other| other.key == *partner) {
                    pairs.push((index as u32, other as u32));
                }
            }
        }
        pairs
    }
}

/// What `canon` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Canon {
    /// The cluster of each node; [`NO_CLUSTER`] for those that are not inside.
    pub(crate) clusters: Vec<u32>,
    /// Which piece of the component each node is in, by evidence whether it joins or not; [`NO_CLUSTER`] likewise.
    pub(crate) parts: Vec<u32>,
    /// How many clusters there are.
    pub(crate) cluster_count: u32,
    /// How many parts there are.
    pub(crate) part_count: u32,
    /// Why each edge was refused, if it was.
    pub(crate) refusals: Vec<Option<Refusal>>,
}

/// Why evidence does not join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// One end joins nobody.
    Outside,
    /// The person would have too many of this kind.
    Limit { kind: Box<str>, limit: u32 },
    /// The person would hold a separated pair.
    Separated,
}

/// Computes the people among `nodes`.
pub(crate) fn canon(nodes: &[Node], edges: &[Edge], rules: &Rules, separations: &Separations) -> Canon {
    let separated = separations.among(nodes);
    let inside = |index: u32| nodes[index as usize].place == Place::Inside;
    let mut refusals = vec![None; edges.len()];

    let mut parts = Forest::new(nodes.len());
    for (edge, refusal) in edges.iter().zip(&mut refusals) {
        if inside(edge.a) && inside(edge.b) {
            parts.unite(edge.a, edge.b);
        } else {
            *refusal = Some(Refusal::Outside);
        }
    }
    let (part_of, part_count) = parts.labels(nodes);

    // What holds of the whole holds of every step towards it: a part that keeps the rules is one person.
    let kinds = Kinds::of(nodes, rules);
    let broken = broken_parts(&part_of, part_count, &kinds, &separated);
    if !broken.contains(&true) {
        return Canon { clusters: part_of.clone(), parts: part_of, cluster_count: part_count, part_count, refusals };
    }

    let mut order: Vec<usize> = (0..edges.len()).filter(|index| refusals[*index].is_none()).collect();
    order.sort_by_cached_key(|index| rank(&edges[*index], nodes, rules));
    let mut people = Clusters::new(nodes.len(), &kinds);
    for index in order {
        let edge = &edges[index];
        let refusal = if broken[part_of[edge.a as usize] as usize] {
            people.unite_if_allowed(edge.a, edge.b, &separated)
        } else {
            people.unite(edge.a, edge.b);
            None
        };
        refusals[index] = refusal;
    }
    let (clusters, cluster_count) = people.forest.labels(nodes);
    Canon { clusters, parts: part_of, cluster_count, part_count, refusals }
}

/// What sorts evidence: declared before seen, strong before weak, early before late, and then by the identifiers.
fn rank(edge: &Edge, nodes: &[Node], rules: &Rules) -> (bool, u8, u8, i64, Key, Key) {
    let (first, second) = (&nodes[edge.a as usize], &nodes[edge.b as usize]);
    let (one, other) = (rules.kind(&first.kind).strength, rules.kind(&second.kind).strength);
    (
        !edge.declared,
        u8::MAX - one.min(other),
        u8::MAX - one.max(other),
        edge.first.time_us,
        first.key.min(second.key),
        first.key.max(second.key),
    )
}

/// The kinds among some nodes, numbered.
struct Kinds<'n> {
    names: Vec<&'n str>,
    limits: Vec<u32>,
    of_node: Vec<u8>,
}

impl<'n> Kinds<'n> {
    fn of(nodes: &'n [Node], rules: &Rules) -> Self {
        let mut kinds = Self { names: Vec::new(), limits: Vec::new(), of_node: Vec::with_capacity(nodes.len()) };
        for node in nodes {
            let known = kinds.names.iter().position(|name| **name == *node.kind);
            let number = known.unwrap_or_else(|| {
                kinds.names.push(&node.kind);
                kinds.limits.push(rules.kind(&node.kind).limit);
                kinds.names.len() - 1
            });
            // A 256th kind in one component shares the count of the 255th.
            kinds.of_node.push(number.min(usize::from(u8::MAX)) as u8);
        }
        kinds
    }
}

/// Tells of each part whether it breaks a rule as a whole.
fn broken_parts(part_of: &[u32], part_count: u32, kinds: &Kinds<'_>, separated: &[(u32, u32)]) -> Vec<bool> {
    let width = kinds.names.len();
    let mut counts = vec![0_u32; part_count as usize * width];
    let mut broken = vec![false; part_count as usize];
    for (part, kind) in part_of.iter().zip(&kinds.of_node).filter(|(part, _)| **part != NO_CLUSTER) {
        let count = &mut counts[*part as usize * width + usize::from(*kind)];
        *count += 1;
        broken[*part as usize] |= *count > kinds.limits[usize::from(*kind)];
    }
    for (first, second) in separated {
        let part = part_of[*first as usize];
        if part != NO_CLUSTER && part == part_of[*second as usize] {
            broken[part as usize] = true;
        }
    }
    broken
}

/// Clusters that know how many identifiers of each kind they hold.
struct Clusters<'k, 'n> {
    forest: Forest,
    kinds: &'k Kinds<'n>,
    /// For each root, how many of each kind; `kinds.names.len()` numbers a root.
    counts: Vec<u32>,
}

impl<'k, 'n> Clusters<'k, 'n> {
    fn new(nodes: usize, kinds: &'k Kinds<'n>) -> Self {
        let width = kinds.names.len();
        let mut counts = vec![0; nodes * width];
        for (node, kind) in kinds.of_node.iter().enumerate() {
            counts[node * width + usize::from(*kind)] = 1;
        }
        Self { forest: Forest::new(nodes), kinds, counts }
    }

    fn unite_if_allowed(&mut self, first: u32, second: u32, separated: &[(u32, u32)]) -> Option<Refusal> {
        let (one, other) = (self.forest.root(first), self.forest.root(second));
        if one == other {
            return None;
        }
        for (left, right) in separated {
            let (left, right) = (self.forest.root(*left), self.forest.root(*right));
            if (left, right) == (one, other) || (left, right) == (other, one) {
                return Some(Refusal::Separated);
            }
        }
        let width = self.kinds.names.len();
        for kind in 0..width {
            let count = self.counts[one as usize * width + kind] + self.counts[other as usize * width + kind];
            let limit = self.kinds.limits[kind];
            if count > limit {
                return Some(Refusal::Limit { kind: self.kinds.names[kind].into(), limit });
            }
        }
        self.unite(one, other);
        None
    }

    fn unite(&mut self, first: u32, second: u32) {
        let (one, other) = (self.forest.root(first), self.forest.root(second));
        if one == other {
            return;
        }
        let root = self.forest.unite(one, other);
        let gone = if root == one { other } else { one };
        let width = self.kinds.names.len();
        for kind in 0..width {
            self.counts[root as usize * width + kind] += self.counts[gone as usize * width + kind];
        }
    }
}

/// Union-find.
struct Forest {
    parent: Vec<u32>,
}

impl Forest {
    fn new(size: usize) -> Self {
        Self { parent: (0..size as u32).collect() }
    }

    fn root(&mut self, mut node: u32) -> u32 {
        while self.parent[node as usize] != node {
            let grandparent = self.parent[self.parent[node as usize] as usize];
            self.parent[node as usize] = grandparent;
            node = grandparent;
        }
        node
    }

    /// Unites two sets and returns the root, which is the smaller of the two roots.
    fn unite(&mut self, first: u32, second: u32) -> u32 {
        let (one, other) = (self.root(first), self.root(second));
        let (root, gone) = (one.min(other), one.max(other));
        self.parent[gone as usize] = root;
        root
    }

    /// Numbers the sets of the nodes that are inside, by their first node.
    fn labels(&mut self, nodes: &[Node]) -> (Vec<u32>, u32) {
        let mut labels = vec![NO_CLUSTER; nodes.len()];
        let mut count = 0;
        for index in 0..nodes.len() {
            if nodes[index].place != Place::Inside {
                continue;
            }
            // A root is the smallest of its set, so it was labelled before.
            let root = self.root(index as u32) as usize;
            if root == index {
                labels[index] = count;
                count += 1;
            } else {
                labels[index] = labels[root];
            }
        }
        (labels, count)
    }
}
