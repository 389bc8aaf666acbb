//! Telling whether what others see of a person has changed.

use super::{
    component::{Component, Node},
    person::Person,
};

/// How far a kind of identifier is a means of contact, which the golden record shows as a trait.
pub(crate) const CONTACTS: [&str; 2] = ["email", "phone"];

/// Returns the identifiers of a person, by kind and value.
pub(crate) fn identifiers(component: &Component, cluster: usize) -> Vec<&Node> {
    let mut nodes: Vec<&Node> = component.members(cluster).collect();
    nodes.sort_by(|left, right| (&left.kind, &left.value).cmp(&(&right.kind, &right.value)));
    nodes
}

/// Returns the person's identifier of `kind` that was seen last.
pub(crate) fn contact<'n>(nodes: &[&'n Node], kind: &str) -> Option<&'n Node> {
    let of_kind = nodes.iter().copied().filter(|node| *node.kind == *kind);
    of_kind.max_by(|left, right| (left.last.time_us, left.seen_as()).cmp(&(right.last.time_us, right.seen_as())))
}

/// Returns a number that is another whenever identifiers, traits or consents are others. Never 0, which stands for
/// "never published".
///
/// Of a consent's time only the order counts in which a purpose was answered on its channels, as that decides which answer
/// is in force: most events say again what was said before, and whoever follows need not hear it again.
pub(crate) fn fingerprint(component: &Component, cluster: usize) -> u64 {
    let person: &Person = &component.people[cluster];
    let nodes = identifiers(component, cluster);
    let mut hash = Fnv::default();
    for node in &nodes {
        hash.text(&node.kind);
        hash.text(node.seen_as());
    }
    for kind in CONTACTS {
        hash.text(contact(&nodes, kind).map_or("", Node::seen_as));
    }
    for known in &person.traits {
        hash.text(&known.name);
        hash.text(&known.value);
    }
    for answer in &person.consents {
        hash.text(&answer.purpose);
        hash.text(&answer.channel);
        hash.text(&answer.proof);
        let before = person.consents.iter().filter(|other| other.purpose == answer.purpose);
        let rank = before.filter(|other| other.decided_us < answer.decided_us).count();
        hash.bytes(&rank.to_le_bytes());
        hash.bytes(&[u8::from(answer.granted)]);
    }
    hash.0.max(1)
}

/// FNV-1a: the same in every build, unlike the standard library's.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }
}
