//! What is known of one person: the golden record, the consents in force, and where the person's events stand.
//!
//! Everything here is the largest of what was told under a total order, so that neither the order of arrival nor a
//! repetition matters, and two people's states merge into the state that one person would have had.

use uuid::Uuid;

use super::{component::Sighted, timeline::Timeline};

/// State of one person. A person without events has no id yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Person {
    /// UUIDv7, drawn with the first event; never derived from an identifier, never used again for another.
    pub(crate) id: Option<Uuid>,
    /// Profiles that were merged into it, directly or not.
    pub(crate) absorbed: Vec<Uuid>,
    /// Event times; meaningless without events.
    pub(crate) first_us: i64,
    pub(crate) last_us: i64,
    pub(crate) events: u64,
    /// Sorted by name.
    pub(crate) traits: Vec<Trait>,
    /// Sorted by purpose and channel.
    pub(crate) consents: Vec<Answer>,
    pub(crate) timeline: Timeline,
    /// Fingerprint of what was last published of it.
    pub(crate) published: u64,
}

/// One value of the golden record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trait {
    pub(crate) name: Box<str>,
    pub(crate) value: Box<str>,
    /// Whether the person or shop said so, or it was only gathered from circumstances; what was said wins.
    pub(crate) said: bool,
    pub(crate) told: Sighted,
}

/// A person's answer to a purpose on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) purpose: Box<str>,
    pub(crate) channel: Box<str>,
    pub(crate) granted: bool,
    pub(crate) decided_us: i64,
    pub(crate) proof: Box<str>,
}

/// A fact that an event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) name: Box<str>,
    pub(crate) value: Box<str>,
    pub(crate) said: bool,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            id: None,
            absorbed: Vec::new(),
            first_us: i64::MAX,
            last_us: i64::MIN,
            events: 0,
            traits: Vec::new(),
            consents: Vec::new(),
            timeline: Timeline::default(),
            published: 0,
        }
    }
}

impl Person {
    /// Returns somebody with the same id and history of merges, of whom nothing else is known.
    pub(crate) fn reborn(&self) -> Self {
        Self { id: self.id, absorbed: self.absorbed.clone(), ..Self::default() }
    }

    /// Folds what an event tells.
    pub(crate) fn fold(&mut self, sighted: &Sighted, told: &[Told], answers: &[Answer]) {
        self.first_us = self.first_us.min(sighted.time_us);
        self.last_us = self.last_us.max(sighted.time_us);
        self.events += 1;
        for fact in told {
            self.tell(&fact.name, &fact.value, fact.said, sighted);
        }
        for answer in answers {
            self.answer(answer);
        }
    }

    /// Takes over what is known of another. The events themselves are moved by the caller.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.first_us = self.first_us.min(other.first_us);
        self.last_us = self.last_us.max(other.last_us);
        self.events += other.events;
        for known in &other.traits {
            self.tell(&known.name, &known.value, known.said, &known.told);
        }
        for answer in &other.consents {
            self.answer(answer);
        }
    }

    fn tell(&mut self, name: &str, value: &str, said: bool, told: &Sighted) {
        match self.traits.binary_search_by(|known| (*known.name).cmp(name)) {
            Ok(index) => {
                let known = &mut self.traits[index];
                let same = known.value.as_ref() == value;
                // Event ids are drawn on receipt, so they come last: a value must not win by arriving later.
                let newer = (said, told.time_us, value, told.event_id)
                    > (known.said, known.told.time_us, known.value.as_ref(), known.told.event_id);
                if newer {
                    if !same {
                        known.value = value.into();
                    }
                    known.said = said;
                    known.told = told.clone();
                }
            }
            Err(index) => {
                let known = Trait { name: name.into(), value: value.into(), said, told: told.clone() };
                self.traits.insert(index, known);
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let found = self
            .consents
            .binary_search_by(|known| (&known.purpose, &known.channel).cmp(&(&answer.purpose, &answer.channel)));
        match found {
            Ok(index) => {
                let known = &mut self.consents[index];
                // The newest counts; of two at the same instant the refusal.
                let newer = (answer.decided_us, !answer.granted, &answer.proof)
                    > (known.decided_us, !known.granted, &known.proof);
                if newer {
                    *known = answer.clone();
                }
            }
            Err(index) => self.consents.insert(index, answer.clone()),
        }
    }
}
