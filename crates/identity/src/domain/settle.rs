//! Computing people again where evidence has changed, and telling what became of those who were there before.

use uuid::Uuid;

use super::{
    canon::{Canon, canon},
    component::{Component, ComponentId, Cut, Edge, NO_CLUSTER, Node, Place},
    graph::Graph,
    identifier::Key,
    person::Person,
    policy::Policy,
};

/// What became of people.
#[derive(Debug, Default)]
pub(crate) struct Settlement {
    pub(crate) merges: Vec<Merge>,
    pub(crate) spreads: Vec<Spread>,
}

/// Profiles that became one.
#[derive(Debug)]
pub(crate) struct Merge {
    /// The one with the oldest first event.
    pub(crate) survivor: Uuid,
    /// An identifier of the survivor, to find it by.
    pub(crate) anchor: Key,
    /// Those absorbed, as they were. Their events all go to the survivor, unless they are among the spreads.
    pub(crate) absorbed: Vec<Person>,
    /// The evidence, when one piece joins the survivor and the only one absorbed.
    pub(crate) link: Option<Link>,
}

/// A profile whose identifiers are no longer one person. Its events are to be read again to see whose they are.
#[derive(Debug)]
pub(crate) struct Spread {
    /// As it was.
    pub(crate) person: Person,
    /// The profile that took its place, when it did not keep it.
    pub(crate) absorbed_by: Option<Uuid>,
    /// Its strongest identifier: who has it now has its place.
    pub(crate) anchor: Key,
}

/// A piece of evidence, by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    pub(crate) first: (Box<str>, Box<str>),
    pub(crate) second: (Box<str>, Box<str>),
    pub(crate) edge: Edge,
}

impl Graph {
    /// Computes the people of every component that changed. With `reroute`, events of all people in them are read again.
    pub(crate) fn settle(&mut self, policy: &Policy, reroute: bool) -> Settlement {
        let mut settlement = Settlement::default();
        for id in std::mem::take(&mut self.touched) {
            self.settle_one(id, policy, reroute, &mut settlement);
        }
        settlement
    }

    fn settle_one(&mut self, id: ComponentId, policy: &Policy, reroute: bool, settlement: &mut Settlement) {
        let Some(slot) = self.components.get_mut(&id) else { return };
        let component = &mut slot.component;
        let fresh_cuts = fresh_cuts(component, policy);
        if component.cut.any() {
            component.cut.blocked |= fresh_cuts.iter().any(|(_, cut)| cut.blocked);
            if fresh_cuts.iter().any(|(_, cut)| cut.shared) {
                component.forget_neighbours();
            }
            if component.people.is_empty() {
                component.people.push(Person::default());
            }
            return;
        }
        for (index, _) in &fresh_cuts {
            component.nodes[*index as usize].place = Place::Cut;
        }
        let canon = canon(&component.nodes, &component.edges, &policy.rules, &policy.separations);
        let one_person = fresh_cuts.is_empty() && canon.part_count == 1 && canon.cluster_count == 1;
        if one_person && component.people.len() <= 1 && !reroute {
            component.people.resize_with(1, Person::default);
            for node in component.nodes.iter_mut().filter(|node| node.place == Place::Inside) {
                node.cluster = 0;
            }
            return;
        }
        let component = self.remove(id);
        let mut ids = vec![id];
        while ids.len() < canon.part_count as usize + fresh_cuts.len() {
            ids.push(self.new_component_id());
        }
        for part in regroup(component, &fresh_cuts, &canon, policy, &ids, reroute, settlement) {
            self.put(part);
        }
    }

    /// Makes a blocked identifier join again, with the evidence that was kept with it. The components of the identifiers
    /// it was seen with must be in memory; see [`Component::neighbours`].
    pub(crate) fn reopen(&mut self, key: Key) {
        let Some((home, neighbours)) = self.home(key).map(|home| (home.id, home.neighbours())) else { return };
        self.touch(key);
        let component = &mut self.components.get_mut(&home).expect("a home is in memory").component;
        component.cut.blocked = false;
        if component.cut.shared {
            return;
        }
        let mut united = home;
        for neighbour in neighbours {
            match self.home(neighbour).map(|other| (other.id, other.cut.any())) {
                Some((other, false)) if other != united => united = self.unite(united, other),
                _ => {}
            }
        }
    }
}

impl Component {
    /// Returns the identifiers outside that this one was seen with.
    pub(crate) fn neighbours(&self) -> Vec<Key> {
        self.nodes.iter().filter(|node| node.place == Place::Cut).map(|node| node.key).collect()
    }

    fn forget_neighbours(&mut self) {
        self.cut.shared = true;
        self.edges.clear();
        self.nodes.truncate(1);
    }
}

/// Returns the nodes inside that join nobody, with the reason. How many an identifier was seen with only ever grows, so
/// that sharing, like everything here, depends on what was seen and not on when.
fn fresh_cuts(component: &Component, policy: &Policy) -> Vec<(u32, Cut)> {
    let rules = &policy.rules;
    let may_be_shared = component.edges.len() > rules.least_sharing();
    if !may_be_shared && policy.overrides.is_empty() {
        return Vec::new();
    }
    let mut degrees = vec![0_usize; component.nodes.len()];
    for edge in &component.edges {
        degrees[edge.a as usize] += 1;
        degrees[edge.b as usize] += 1;
    }
    let inside = component.nodes.iter().enumerate().filter(|(_, node)| node.place == Place::Inside);
    inside
        .map(|(index, node)| {
            let shared = degrees[index] > rules.least_sharing() && is_shared(component, index as u32, policy);
            (index as u32, Cut { shared, blocked: policy.is_blocked(node.key) })
        })
        .filter(|(_, cut)| cut.any())
        .collect()
}

fn is_shared(component: &Component, index: u32, policy: &Policy) -> bool {
    let kind = &component.nodes[index as usize].kind;
    let rule = policy.rules.kind(kind);
    let mut neighbours = 0_u32;
    let mut strong: Vec<(&str, u32)> = Vec::new();
    for edge in &component.edges {
        let other = match (edge.a == index, edge.b == index) {
            (true, _) => edge.b,
            (_, true) => edge.a,
            _ => continue,
        };
        let other = &component.nodes[other as usize];
        if other.place == Place::Worthless {
            continue;
        }
        neighbours += 1;
        if other.kind == *kind || !policy.rules.kind(&other.kind).strong {
            continue;
        }
        match strong.iter_mut().find(|(name, _)| **name == *other.kind) {
            Some((_, count)) => *count += 1,
            None => strong.push((&other.kind, 1)),
        }
    }
    neighbours > policy.rules.crowded_above || strong.iter().any(|(_, count)| *count > rule.shared_above)
}

/// Cuts a component into its parts and its identifiers that join nobody, and seats the people: a profile stays with its
/// strongest identifier; of several in one place the one with the oldest first event survives.
fn regroup(
    component: Component,
    fresh_cuts: &[(u32, Cut)],
    canon: &Canon,
    policy: &Policy,
    ids: &[ComponentId],
    reroute: bool,
    settlement: &mut Settlement,
) -> Vec<Component> {
    let mut labels = canon.clusters.clone();
    let mut parts = canon.parts.clone();
    for (number, (index, _)) in fresh_cuts.iter().enumerate() {
        labels[*index as usize] = canon.cluster_count + number as u32;
        parts[*index as usize] = canon.part_count + number as u32;
    }
    let label_count = canon.cluster_count as usize + fresh_cuts.len();
    let seating = Seating { labels: &labels, label_count, cut_from: canon.cluster_count, policy, reroute };
    let people = seat_people(&component, &seating, settlement);
    build_parts(component, fresh_cuts, &labels, &parts, ids, people)
}

/// The people that nodes make now, by label.
struct Seating<'s> {
    /// Of each node.
    labels: &'s [u32],
    label_count: usize,
    /// The first label of an identifier that joins nobody.
    cut_from: u32,
    policy: &'s Policy,
    reroute: bool,
}

/// What happens to one person who was there before.
struct Fate {
    label: u32,
    anchor: Key,
    spread: bool,
}

fn seat_people(component: &Component, seating: &Seating<'_>, settlement: &mut Settlement) -> Vec<Person> {
    let fates: Vec<Option<Fate>> =
        (0..component.people.len()).map(|cluster| fate(component, cluster, seating)).collect();
    let mut seated = vec![Person::default(); seating.label_count];
    for (label, seat) in seated.iter_mut().enumerate() {
        let mut claimants: Vec<usize> = (0..fates.len())
            .filter(|cluster| fates[*cluster].as_ref().is_some_and(|fate| fate.label as usize == label))
            .collect();
        claimants.sort_by_key(|cluster| (component.people[*cluster].first_us, component.people[*cluster].id));
        let Some((survivor, absorbed)) = claimants.split_first() else { continue };
        let fate_of = |cluster: usize| fates[cluster].as_ref().expect("a claimant has a fate");

        let old = &component.people[*survivor];
        *seat = if fate_of(*survivor).spread { old.reborn() } else { old.clone() };
        for cluster in claimants.iter().copied().filter(|cluster| fate_of(*cluster).spread) {
            settlement.spreads.push(Spread {
                person: component.people[cluster].clone(),
                absorbed_by: old.id.filter(|_| cluster != *survivor),
                anchor: fate_of(cluster).anchor,
            });
        }
        if absorbed.is_empty() {
            continue;
        }
        for cluster in absorbed {
            let other = &component.people[*cluster];
            seat.absorbed.extend(other.id);
            seat.absorbed.extend(&other.absorbed);
            if !fate_of(*cluster).spread {
                seat.absorb(other);
            }
        }
        settlement.merges.push(Merge {
            survivor: old.id.expect("claimants have ids"),
            anchor: fate_of(*survivor).anchor,
            absorbed: absorbed.iter().map(|cluster| component.people[*cluster].clone()).collect(),
            link: match absorbed {
                [only] => deciding_link(component, *survivor as u32, *only as u32, seating.labels),
                _ => None,
            },
        });
    }
    seated
}

/// Where a person who has a profile goes.
fn fate(component: &Component, cluster: usize, seating: &Seating<'_>) -> Option<Fate> {
    component.people[cluster].id?;
    let members = || component.nodes.iter().enumerate().filter(|(_, node)| node.cluster as usize == cluster);
    let strength = |node: &Node| u8::MAX - seating.policy.rules.kind(&node.kind).strength;
    let (index, anchor) = members().min_by_key(|(_, node)| (strength(node), node.first_us, node.key))?;
    let label = seating.labels[index];
    // An identifier that has come to join nobody no longer tells whose an event is.
    let loses = |index: usize| seating.labels[index] != label || seating.labels[index] >= seating.cut_from;
    let spread = seating.reroute || members().any(|(index, _)| loses(index));
    Some(Fate { label, anchor: anchor.key, spread })
}

fn deciding_link(component: &Component, survivor: u32, absorbed: u32, labels: &[u32]) -> Option<Link> {
    let cluster = |index: u32| component.nodes[index as usize].cluster;
    let joins =
        |edge: &&Edge| labels[edge.a as usize] == labels[edge.b as usize] && labels[edge.a as usize] != NO_CLUSTER;
    let between = |edge: &&Edge| {
        let ends = (cluster(edge.a), cluster(edge.b));
        ends == (survivor, absorbed) || ends == (absorbed, survivor)
    };
    let edge = component
        .edges
        .iter()
        .filter(joins)
        .filter(between)
        .min_by_key(|edge| (edge.first.time_us, edge.first.event_id))?;
    let end = |index: u32| {
        let node = &component.nodes[index as usize];
        (node.kind.clone(), node.value.clone())
    };
    Some(Link { first: end(edge.a), second: end(edge.b), edge: edge.clone() })
}

fn build_parts(
    component: Component,
    fresh_cuts: &[(u32, Cut)],
    labels: &[u32],
    parts: &[u32],
    ids: &[ComponentId],
    people: Vec<Person>,
) -> Vec<Component> {
    let cut_from = ids.len() - fresh_cuts.len();
    let mut built: Vec<Component> = ids.iter().map(|id| Component { id: *id, ..Component::default() }).collect();
    // What was counted of the whole is taken back once, with the first part.
    built[0].counted = component.counted;
    for (number, (_, cut)) in fresh_cuts.iter().enumerate() {
        built[cut_from + number].cut = *cut;
    }

    // Seats: labels are numbered through the parts, people within each.
    let mut seats = vec![NO_CLUSTER; people.len()];
    let mut people: Vec<Option<Person>> = people.into_iter().map(Some).collect();
    let mut position = vec![0_u32; component.nodes.len()];
    for (index, node) in component.nodes.iter().enumerate().filter(|(index, _)| parts[*index] != NO_CLUSTER) {
        let home = &mut built[parts[index] as usize];
        let label = labels[index] as usize;
        if let Some(person) = people[label].take() {
            seats[label] = home.people.len() as u32;
            home.people.push(person);
        }
        position[index] = home.nodes.len() as u32;
        home.nodes.push(Node { place: Place::Inside, cluster: seats[label], ..node.clone() });
    }

    for edge in &component.edges {
        let (one, other) = (parts[edge.a as usize], parts[edge.b as usize]);
        if one == other && one != NO_CLUSTER {
            let (a, b) = (position[edge.a as usize], position[edge.b as usize]);
            built[one as usize].edges.push(Edge { a, b, ..edge.clone() });
            continue;
        }
        for (part, inside, outside) in [(one, edge.a, edge.b), (other, edge.b, edge.a)] {
            if part == NO_CLUSTER || built[part as usize].cut.shared {
                continue;
            }
            let outsider = &component.nodes[outside as usize];
            let place = if outsider.place == Place::Worthless { Place::Worthless } else { Place::Cut };
            let a = position[inside as usize];
            let b = built[part as usize].outsider(outsider, place);
            built[part as usize].edges.push(Edge { a, b, ..edge.clone() });
        }
    }
    built
}

impl Component {
    fn outsider(&mut self, node: &Node, place: Place) -> u32 {
        self.position(node.key).unwrap_or_else(|| {
            self.nodes.push(Node { place, cluster: NO_CLUSTER, ..node.clone() });
            (self.nodes.len() - 1) as u32
        })
    }
}
