//! The part of a tenant's evidence that is in memory: components by number, identifiers by where they live, and what has
//! changed since it was last saved.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{
    component::{Component, ComponentId, Cut, Edge, NO_CLUSTER, Node, Place, Sighted},
    identifier::{Ident, Key},
    person::{Answer, Person, Told},
    rules::Rules,
};

/// What one event says about identity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sighting {
    pub(crate) sighted: Sighted,
    /// Identifiers that point to somebody, each once.
    pub(crate) useful: Vec<Ident>,
    /// Identifiers that point to nobody, kept to explain why they did not join.
    pub(crate) worthless: Vec<Ident>,
    /// The identifier that was declared to be the same person as the others.
    pub(crate) declared: Option<Key>,
    pub(crate) told: Vec<Told>,
    pub(crate) answers: Vec<Answer>,
}

/// Where a person is: a component and an index into its people.
pub(crate) type Seat = (ComponentId, u32);

/// Components in memory.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(super) components: HashMap<ComponentId, Slot>,
    homes: HashMap<Key, ComponentId>,
    /// Number of the next new component.
    pub(crate) next_component: ComponentId,
    /// Components whose people are to be computed again.
    pub(super) touched: BTreeSet<ComponentId>,
    /// What to save.
    pub(crate) unsaved: Unsaved,
    batch: u64,
}

/// What has changed since the last save.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Components that changed.
    pub(crate) components: BTreeSet<ComponentId>,
    /// Stored components that are no more.
    pub(crate) gone: BTreeSet<ComponentId>,
    /// Identifiers that live in another component than is stored, or are new.
    pub(crate) rehomed: BTreeMap<Key, ComponentId>,
    /// Profiles that live in another component than is stored, or are new.
    pub(crate) moved_people: BTreeMap<Uuid, ComponentId>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) component: Component,
    stored: bool,
    last_used: u64,
}

impl Graph {
    /// Returns the keys that are not in memory, each once.
    pub(crate) fn missing(&self, keys: impl IntoIterator<Item = Key>) -> Vec<Key> {
        let missing: BTreeSet<Key> = keys.into_iter().filter(|key| !self.homes.contains_key(key)).collect();
        missing.into_iter().collect()
    }

    /// Tells whether a component is in memory.
    pub(crate) fn holds(&self, id: ComponentId) -> bool {
        self.components.contains_key(&id)
    }

    /// Puts a stored component into memory.
    pub(crate) fn load(&mut self, component: Component) {
        self.seat_homes(&component);
        let slot = Slot { last_used: self.batch, stored: true, component };
        self.components.insert(slot.component.id, slot);
    }

    /// Returns a component that is in memory.
    pub(crate) fn component(&self, id: ComponentId) -> Option<&Component> {
        self.components.get(&id).map(|slot| &slot.component)
    }

    /// Returns a component that is in memory, to be changed; it is not thereby marked to be saved.
    pub(crate) fn component_mut(&mut self, id: ComponentId) -> Option<&mut Component> {
        self.components.get_mut(&id).map(|slot| &mut slot.component)
    }

    /// Returns the component in which an identifier lives.
    pub(crate) fn home(&self, key: Key) -> Option<&Component> {
        self.component(*self.homes.get(&key)?)
    }

    /// Returns the person in a seat, which will be saved.
    pub(crate) fn person_mut(&mut self, (id, cluster): Seat) -> &mut Person {
        self.unsaved.components.insert(id);
        let slot = self.components.get_mut(&id).expect("a seat is in a component in memory");
        &mut slot.component.people[cluster as usize]
    }

    /// Returns where the person of an identifier sits.
    pub(crate) fn seat_of(&self, key: Key) -> Option<Seat> {
        let component = self.home(key)?;
        let node = component.nodes.iter().find(|node| node.key == key && node.place == Place::Inside)?;
        (node.cluster != NO_CLUSTER).then_some((component.id, node.cluster))
    }

    /// Returns whose an event is: the person of its strongest identifier that joins; failing that, of its strongest that
    /// does not. Of two of one strength the smaller key decides, never the order in which they were sent.
    pub(crate) fn route(&self, useful: &[Ident], rules: &Rules) -> Option<Seat> {
        let best = useful
            .iter()
            .filter_map(|ident| Some((ident, self.home(ident.key)?)))
            .min_by_key(|(ident, home)| (home.cut.any(), u8::MAX - rules.kind(&ident.kind).strength, ident.key))?;
        self.seat_of(best.0.key)
    }

    /// Takes in the evidence of one event. Its identifiers that are stored must be in memory.
    pub(crate) fn observe(&mut self, sighting: &Sighting) {
        for ident in &sighting.useful {
            self.see(ident, &sighting.sighted);
        }
        for (index, first) in sighting.useful.iter().enumerate() {
            for second in &sighting.useful[index + 1..] {
                let declared = sighting.declared.is_some_and(|key| key == first.key || key == second.key);
                self.link(first, second, &sighting.sighted, declared);
            }
            for worthless in &sighting.worthless {
                let home = self.homes[&first.key];
                if !self.components[&home].component.cut.any() {
                    self.add_edge(home, first, Place::Inside, worthless, Place::Worthless, &sighting.sighted, false);
                }
            }
        }
    }

    fn see(&mut self, ident: &Ident, sighted: &Sighted) {
        let Some(home) = self.homes.get(&ident.key).copied() else {
            let id = self.new_component_id();
            let nodes = vec![Node::new(ident, Place::Inside, sighted)];
            self.put(Component { id, nodes, ..Component::default() });
            self.touched.insert(id);
            return;
        };
        let batch = self.batch;
        let slot = self.components.get_mut(&home).expect("a home is in memory");
        slot.last_used = batch;
        let position = slot.component.position(ident.key).expect("an identifier is in its home");
        slot.component.nodes[position as usize].see(ident.original.as_deref(), sighted);
        self.unsaved.components.insert(home);
    }

    fn link(&mut self, first: &Ident, second: &Ident, sighted: &Sighted, declared: bool) {
        let (one, other) = (self.homes[&first.key], self.homes[&second.key]);
        let (one_cut, other_cut) = (self.cut(one), self.cut(other));
        let add = |graph: &mut Self, home, first_place, second_place| {
            graph.add_edge(home, first, first_place, second, second_place, sighted, declared);
        };
        match (one_cut.any(), other_cut.any()) {
            (false, false) => {
                let home = if one == other { one } else { self.unite(one, other) };
                add(self, home, Place::Inside, Place::Inside);
            }
            (one_is_cut, other_is_cut) => {
                // Evidence with a blocked identifier stays with it too, to be there when it is freed. One that is
                // shared is so for ever, and has too many to keep.
                if !one_is_cut || !one_cut.shared {
                    add(self, one, Place::Inside, Place::Cut);
                }
                if !other_is_cut || !other_cut.shared {
                    add(self, other, Place::Cut, Place::Inside);
                }
            }
        }
    }

    fn cut(&self, id: ComponentId) -> Cut {
        self.components[&id].component.cut
    }

    #[expect(clippy::too_many_arguments, reason = "two ends, each an identifier and its place")]
    fn add_edge(
        &mut self,
        home: ComponentId,
        first: &Ident,
        first_place: Place,
        second: &Ident,
        second_place: Place,
        sighted: &Sighted,
        declared: bool,
    ) {
        self.unsaved.components.insert(home);
        let component = &mut self.components.get_mut(&home).expect("a home is in memory").component;
        let a = component.position_or_insert(first, first_place, sighted);
        let b = component.position_or_insert(second, second_place, sighted);
        let known = component.edges.iter_mut().find(|edge| (edge.a, edge.b) == (a, b) || (edge.a, edge.b) == (b, a));
        let Some(edge) = known else {
            component.edges.push(Edge { a, b, first: sighted.clone(), observations: 1, declared });
            self.touched.insert(home);
            return;
        };
        edge.observations += 1;
        // An earlier first sighting, or a declaration, moves the edge forward in the order in which evidence is taken.
        if sighted.is_before(&edge.first) {
            if sighted.time_us < edge.first.time_us {
                self.touched.insert(home);
            }
            edge.first = sighted.clone();
        }
        if declared && !edge.declared {
            edge.declared = true;
            self.touched.insert(home);
        }
    }

    /// Makes one component of two; the larger keeps its number.
    pub(super) fn unite(&mut self, one: ComponentId, other: ComponentId) -> ComponentId {
        let size = |id: &ComponentId| (self.components[id].component.nodes.len(), -id);
        let (kept, gone) = if size(&one) >= size(&other) { (one, other) } else { (other, one) };
        let moving = self.remove(gone);
        for node in moving.nodes.iter().filter(|node| node.place == Place::Inside) {
            self.homes.insert(node.key, kept);
            self.unsaved.rehomed.insert(node.key, kept);
        }
        for id in moving.people.iter().filter_map(|person| person.id) {
            self.unsaved.moved_people.insert(id, kept);
        }
        let slot = self.components.get_mut(&kept).expect("the larger component is in memory");
        slot.component.take_in(moving);
        self.unsaved.components.insert(kept);
        self.touched.insert(kept);
        kept
    }

    /// Takes a component out of memory for good; a stored one will be deleted.
    pub(super) fn remove(&mut self, id: ComponentId) -> Component {
        let slot = self.components.remove(&id).expect("the component is in memory");
        if slot.stored {
            self.unsaved.gone.insert(id);
        }
        self.unsaved.components.remove(&id);
        self.touched.remove(&id);
        slot.component
    }

    /// Puts a new or rebuilt component into memory, to be saved.
    pub(super) fn put(&mut self, component: Component) {
        let id = component.id;
        self.seat_homes(&component);
        for node in component.nodes.iter().filter(|node| node.place == Place::Inside) {
            self.unsaved.rehomed.insert(node.key, id);
        }
        for person in component.people.iter().filter_map(|person| person.id) {
            self.unsaved.moved_people.insert(person, id);
        }
        // A rebuilt component takes the row that it had.
        let stored = self.unsaved.gone.remove(&id);
        self.components.insert(id, Slot { component, stored, last_used: self.batch });
        self.unsaved.components.insert(id);
    }

    pub(super) fn new_component_id(&mut self) -> ComponentId {
        self.next_component += 1;
        self.next_component
    }

    fn seat_homes(&mut self, component: &Component) {
        for node in component.nodes.iter().filter(|node| node.place == Place::Inside) {
            self.homes.insert(node.key, component.id);
        }
    }

    /// Marks everything as saved and drops what was not used for longest, down to `most` components.
    pub(crate) fn saved(&mut self, most: usize) {
        for id in std::mem::take(&mut self.unsaved).components {
            if let Some(slot) = self.components.get_mut(&id) {
                slot.stored = true;
            }
        }
        self.touched.clear();
        self.batch += 1;
        if self.components.len() > most {
            self.evict(most * 3 / 4);
        }
    }

    fn evict(&mut self, keep: usize) {
        let mut ages: Vec<u64> = self.components.values().map(|slot| slot.last_used).collect();
        ages.sort_unstable_by(|left, right| right.cmp(left));
        let oldest_kept = ages.get(keep).copied().unwrap_or_default();
        self.components.retain(|_, slot| slot.last_used > oldest_kept);
        let components = &self.components;
        self.homes.retain(|_, home| components.contains_key(home));
    }

    /// Changes the component of an identifier; its people are then to be computed again.
    pub(crate) fn touch(&mut self, key: Key) {
        if let Some(home) = self.homes.get(&key) {
            self.touched.insert(*home);
            self.unsaved.components.insert(*home);
        }
    }

    /// Returns every component in memory, by number.
    #[cfg(test)]
    pub(crate) fn components(&self) -> BTreeMap<ComponentId, &Component> {
        self.components.iter().map(|(id, slot)| (*id, &slot.component)).collect()
    }
}

impl Component {
    fn position_or_insert(&mut self, ident: &Ident, place: Place, sighted: &Sighted) -> u32 {
        self.position(ident.key).unwrap_or_else(|| {
            self.nodes.push(Node::new(ident, place, sighted));
            (self.nodes.len() - 1) as u32
        })
    }

    /// Takes in all of another component. What stands in both is the same evidence, kept on both sides of a cut.
    fn take_in(&mut self, other: Self) {
        let cluster_offset = self.people.len() as u32;
        let mut moved_to = Vec::with_capacity(other.nodes.len());
        let mut in_both = 0;
        for mut node in other.nodes {
            if node.cluster != NO_CLUSTER {
                node.cluster += cluster_offset;
            }
            match self.position(node.key) {
                Some(position) => {
                    in_both += 1;
                    if node.place == Place::Inside {
                        self.nodes[position as usize] = node;
                    }
                    moved_to.push(position);
                }
                None => {
                    self.nodes.push(node);
                    moved_to.push((self.nodes.len() - 1) as u32);
                }
            }
        }
        for mut edge in other.edges {
            (edge.a, edge.b) = (moved_to[edge.a as usize], moved_to[edge.b as usize]);
            let pair = (edge.a.min(edge.b), edge.a.max(edge.b));
            let known = in_both >= 2 && self.edges.iter().any(|own| (own.a.min(own.b), own.a.max(own.b)) == pair);
            if !known {
                self.edges.push(edge);
            }
        }
        self.people.extend(other.people);
        self.counted.profiles += other.counted.profiles;
        self.counted.identified += other.counted.identified;
        self.counted.identifiers += other.counted.identifiers;
        self.counted.refused += other.counted.refused;
    }
}
