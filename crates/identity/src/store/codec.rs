//! How components and timelines are written into bytes.
//!
//! A first byte tells the version; a later version reads the earlier ones. Numbers are variable-length integers, signed
//! ones zigzag; texts and lists carry their length; sources, which thousands of facts share, are listed once.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::{
    component::{Component, ComponentId, Counts, Cut, Edge, NO_CLUSTER, Node, Place, Sighted},
    person::{Answer, Person, Trait},
    timeline::{Pointer, Timeline},
};

const VERSION: u8 = 1;

/// Bytes that hold no component or timeline.
#[derive(Debug, thiserror::Error)]
#[error("a stored component or timeline is damaged")]
pub(crate) struct Damaged;

impl From<Damaged> for store::Error {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged.to_string())
    }
}

/// Returns the bytes of a component; its number is not among them.
pub(crate) fn encode_component(component: &Component) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.byte(VERSION);
    writer.byte(u8::from(component.cut.shared) | u8::from(component.cut.blocked) << 1);
    let counted = &component.counted;
    for count in [counted.profiles, counted.identified, counted.identifiers, counted.refused] {
        writer.signed(count);
    }
    writer.list(&component.nodes, Writer::node);
    writer.list(&component.edges, Writer::edge);
    writer.list(&component.people, Writer::person);
    writer.bytes
}

/// Returns the component `id` that `bytes` hold.
pub(crate) fn decode_component(id: ComponentId, bytes: &[u8]) -> Result<Component, Damaged> {
    let mut reader = Reader { bytes, sources: Vec::new() };
    if reader.byte()? != VERSION {
        return Err(Damaged);
    }
    let cut = reader.byte()?;
    Ok(Component {
        id,
        cut: Cut { shared: cut & 1 != 0, blocked: cut & 2 != 0 },
        counted: Counts {
            profiles: reader.signed()?,
            identified: reader.signed()?,
            identifiers: reader.signed()?,
            refused: reader.signed()?,
        },
        nodes: reader.list(Reader::node)?,
        edges: reader.list(Reader::edge)?,
        people: reader.list(Reader::person)?,
    })
}

/// Returns the bytes of a chunk of a timeline.
pub(crate) fn encode_pointers(pointers: &[Pointer]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.byte(VERSION);
    writer.pointers(pointers);
    writer.bytes
}

/// Returns the chunk of a timeline that `bytes` hold.
pub(crate) fn decode_pointers(bytes: &[u8]) -> Result<Vec<Pointer>, Damaged> {
    let mut reader = Reader { bytes, sources: Vec::new() };
    if reader.byte()? != VERSION {
        return Err(Damaged);
    }
    reader.pointers()
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    /// Sources written so far: each is spelled out once.
    sources: Vec<Arc<str>>,
}

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn uuid(&mut self, id: Uuid) {
        self.bytes.extend_from_slice(id.as_bytes());
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    fn source(&mut self, source: &Arc<str>) {
        match self.sources.iter().position(|known| known == source) {
            Some(index) => self.number(index as u64),
            None => {
                self.number(self.sources.len() as u64);
                self.text(source);
                self.sources.push(Arc::clone(source));
            }
        }
    }

    fn sighted(&mut self, sighted: &Sighted) {
        self.signed(sighted.time_us);
        self.uuid(sighted.event_id);
        self.source(&sighted.source);
    }

    fn node(&mut self, node: &Node) {
        let place = match node.place {
            Place::Inside => 0,
            Place::Cut => 1,
            Place::Worthless => 2,
        };
        self.byte(place | u8::from(node.original.is_some()) << 4);
        self.bytes.extend_from_slice(&node.key.to_be_bytes());
        self.text(&node.kind);
        self.text(&node.value);
        if let Some(original) = &node.original {
            self.text(original);
        }
        self.signed(node.first_us);
        self.sighted(&node.last);
        self.number(u64::from(node.cluster.wrapping_add(1)));
    }

    fn edge(&mut self, edge: &Edge) {
        self.number(u64::from(edge.a));
        self.number(u64::from(edge.b));
        self.sighted(&edge.first);
        self.number(edge.observations);
        self.byte(u8::from(edge.declared));
    }

    fn person(&mut self, person: &Person) {
        self.byte(u8::from(person.id.is_some()));
        if let Some(id) = person.id {
            self.uuid(id);
        }
        self.list(&person.absorbed, |writer, id| writer.uuid(*id));
        self.signed(person.first_us);
        self.signed(person.last_us);
        self.number(person.events);
        self.list(&person.traits, |writer, known| {
            writer.text(&known.name);
            writer.text(&known.value);
            writer.byte(u8::from(known.said));
            writer.sighted(&known.told);
        });
        self.list(&person.consents, |writer, answer| {
            writer.text(&answer.purpose);
            writer.text(&answer.channel);
            writer.byte(u8::from(answer.granted));
            writer.signed(answer.decided_us);
            writer.text(&answer.proof);
        });
        self.pointers(&person.timeline.head);
        self.signed(person.timeline.stored_chunks);
        self.bytes.extend_from_slice(&person.published.to_be_bytes());
    }

    /// Each pointer as the difference from the one before.
    fn pointers(&mut self, pointers: &[Pointer]) {
        self.number(pointers.len() as u64);
        let mut before = Pointer { time_us: 0, offset: 0 };
        for pointer in pointers {
            self.signed(pointer.time_us.wrapping_sub(before.time_us));
            self.signed(pointer.offset.wrapping_sub(before.offset) as i64);
            before = *pointer;
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    sources: Vec<Arc<str>>,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Damaged> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Damaged)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.take(N)?.try_into().map_err(|_| Damaged)
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        Ok(self.array::<1>()?[0])
    }

    fn flag(&mut self) -> Result<bool, Damaged> {
        Ok(self.byte()? != 0)
    }

    fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    fn small(&mut self) -> Result<u32, Damaged> {
        self.number()?.try_into().map_err(|_| Damaged)
    }

    fn signed(&mut self) -> Result<i64, Damaged> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn text(&mut self) -> Result<&'b str, Damaged> {
        let length = self.small()? as usize;
        std::str::from_utf8(self.take(length)?).map_err(|_| Damaged)
    }

    fn uuid(&mut self) -> Result<Uuid, Damaged> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, Damaged>) -> Result<Vec<T>, Damaged> {
        let length = self.small()? as usize;
        // A damaged length must not reserve the memory of the machine: every item takes a byte at least.
        let mut items = Vec::with_capacity(length.min(self.bytes.len()));
        for _ in 0..length {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn source(&mut self) -> Result<Arc<str>, Damaged> {
        let index = self.small()? as usize;
        if index == self.sources.len() {
            let source = Arc::from(self.text()?);
            self.sources.push(source);
        }
        self.sources.get(index).cloned().ok_or(Damaged)
    }

    fn sighted(&mut self) -> Result<Sighted, Damaged> {
        Ok(Sighted { time_us: self.signed()?, event_id: self.uuid()?, source: self.source()? })
    }

    fn node(&mut self) -> Result<Node, Damaged> {
        let flags = self.byte()?;
        let place = match flags & 0x0f {
            0 => Place::Inside,
            1 => Place::Cut,
            2 => Place::Worthless,
            _ => return Err(Damaged),
        };
        let key = u128::from_be_bytes(self.array()?);
        let kind = self.text()?.into();
        let value = self.text()?.into();
        let original = if flags & 0x10 != 0 { Some(self.text()?.into()) } else { None };
        let first_us = self.signed()?;
        let last = self.sighted()?;
        let cluster = self.small()?.checked_sub(1).unwrap_or(NO_CLUSTER);
        Ok(Node { key, kind, value, original, first_us, last, cluster, place })
    }

    fn edge(&mut self) -> Result<Edge, Damaged> {
        Ok(Edge {
            a: self.small()?,
            b: self.small()?,
            first: self.sighted()?,
            observations: self.number()?,
            declared: self.flag()?,
        })
    }

    fn person(&mut self) -> Result<Person, Damaged> {
        let id = if self.flag()? { Some(self.uuid()?) } else { None };
        Ok(Person {
            id,
            absorbed: self.list(Self::uuid)?,
            first_us: self.signed()?,
            last_us: self.signed()?,
            events: self.number()?,
            traits: self.list(|reader| {
                Ok(Trait {
                    name: reader.text()?.into(),
                    value: reader.text()?.into(),
                    said: reader.flag()?,
                    told: reader.sighted()?,
                })
            })?,
            consents: self.list(|reader| {
                Ok(Answer {
                    purpose: reader.text()?.into(),
                    channel: reader.text()?.into(),
                    granted: reader.flag()?,
                    decided_us: reader.signed()?,
                    proof: reader.text()?.into(),
                })
            })?,
            timeline: Timeline { head: self.pointers()?, stored_chunks: self.signed()?, full: Vec::new() },
            published: u64::from_be_bytes(self.array()?),
        })
    }

    fn pointers(&mut self) -> Result<Vec<Pointer>, Damaged> {
        let mut before = Pointer { time_us: 0, offset: 0 };
        self.list(|reader| {
            before = Pointer {
                time_us: before.time_us.wrapping_add(reader.signed()?),
                offset: before.offset.wrapping_add(reader.signed()? as u64),
            };
            Ok(before)
        })
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
