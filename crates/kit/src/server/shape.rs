//! What a protobuf message becomes in memory, told from its bytes before it is decoded.
//!
//! Two bytes on the wire can be an empty element of a list, which takes up hundreds in memory: a message within its limit can
//! become a thousand times as large. The walk follows the contracts and adds up what the elements of lists will take.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message;
use prost_types::{
    DescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// Bytes of a text, a list or a map in memory, beside what is in it.
const HANDLE_BYTES: usize = 32;
/// Bytes of a number in memory.
const NUMBER_BYTES: usize = 8;
/// Messages that hold themselves are counted no deeper than this.
const MAX_DEPTH: usize = 8;

/// The contracts, as far as sizes go.
static SHAPES: LazyLock<Shapes> = LazyLock::new(|| Shapes::new(proto::FILE_DESCRIPTOR_SET));

struct Shapes {
    messages: Vec<Shape>,
    /// By path of an RPC: the message that it takes.
    inputs: HashMap<String, usize>,
}

/// A message type.
#[derive(Default)]
struct Shape {
    /// Bytes of one, with the messages that it holds singly.
    bytes: usize,
    /// What fields hold beside numbers, by field number.
    fields: HashMap<u32, Field>,
}

#[derive(Clone, Copy)]
struct Field {
    /// The message type, or none for text.
    message: Option<usize>,
    is_list: bool,
}

impl Shapes {
    fn new(descriptor_set: &[u8]) -> Self {
        let set = FileDescriptorSet::decode(descriptor_set).expect("the descriptors are compiled in");
        let mut found: Vec<(String, &DescriptorProto)> = Vec::new();
        for file in &set.file {
            for message in &file.message_type {
                collect(&format!(".{}", file.package()), message, &mut found);
            }
        }
        let indices: HashMap<&str, usize> =
            found.iter().enumerate().map(|(index, (name, _))| (name.as_str(), index)).collect();
        let messages = found
            .iter()
            .map(|(_, message)| Shape {
                bytes: bytes_of(message, &found, &indices, 0),
                fields: message
                    .field
                    .iter()
                    .filter(|field| matches!(field.r#type(), Type::Message | Type::String | Type::Bytes))
                    .map(|field| {
                        let message = indices.get(field.type_name()).copied();
                        (field.number() as u32, Field { message, is_list: field.label() == Label::Repeated })
                    })
                    .collect(),
            })
            .collect();
        let mut inputs = HashMap::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    if let Some(input) = indices.get(method.input_type()) {
                        inputs.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()), *input);
                    }
                }
            }
        }
        Self { messages, inputs }
    }
}

fn collect<'a>(prefix: &str, message: &'a DescriptorProto, found: &mut Vec<(String, &'a DescriptorProto)>) {
    let name = format!("{prefix}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, found);
    }
    found.push((name, message));
}

/// Returns the bytes of one message: of several alternatives the largest, and of lists what holds them.
fn bytes_of(
    message: &DescriptorProto,
    all: &[(String, &DescriptorProto)],
    indices: &HashMap<&str, usize>,
    depth: usize,
) -> usize {
    let mut sum = NUMBER_BYTES;
    let mut alternatives: HashMap<i32, usize> = HashMap::new();
    for field in &message.field {
        let bytes = match (field.label(), field.r#type()) {
            (Label::Repeated, _) | (_, Type::String | Type::Bytes) => HANDLE_BYTES,
            (_, Type::Message) if depth < MAX_DEPTH => match indices.get(field.type_name()) {
                Some(index) => bytes_of(all[*index].1, all, indices, depth + 1),
                None => HANDLE_BYTES,
            },
            _ => NUMBER_BYTES,
        };
        match field.oneof_index {
            Some(choice) => {
                let largest = alternatives.entry(choice).or_default();
                *largest = bytes.max(*largest);
            }
            None => sum += bytes,
        }
    }
    sum + alternatives.values().sum::<usize>()
}

/// Walks over the bytes of messages as they come.
pub(super) struct Walk {
    root: usize,
    /// Bytes seen of the current message.
    position: usize,
    /// The messages that are open, outermost first, each with where it ends.
    open: Vec<(usize, usize)>,
    /// Up to where bytes are of no interest.
    skip_to: usize,
    varint: Varint,
    expects: Expects,
    /// Bytes that the elements of lists will take.
    bytes: usize,
    /// What follows cannot be read, and decoding will stop here as well.
    is_broken: bool,
}

#[derive(Default)]
struct Varint {
    value: u64,
    shift: u32,
}

#[derive(Clone, Copy)]
enum Expects {
    Tag,
    Number,
    Length(Option<Field>),
}

/// The bytes hold what no sender of ours writes, and what cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfollowable;

impl Walk {
    /// Returns a walk over the messages that an RPC takes; none when no contract names it.
    pub(super) fn of(path: &str) -> Option<Self> {
        let root = *SHAPES.inputs.get(path)?;
        Some(Self {
            root,
            position: 0,
            open: Vec::new(),
            skip_to: 0,
            varint: Varint::default(),
            expects: Expects::Tag,
            bytes: 0,
            is_broken: false,
        })
    }

    /// Begins a message of `length` bytes.
    pub(super) fn begin(&mut self, length: usize) {
        let root = self.root;
        *self = Self {
            root,
            position: 0,
            open: vec![(root, length)],
            skip_to: 0,
            varint: Varint::default(),
            expects: Expects::Tag,
            bytes: SHAPES.messages[root].bytes,
            is_broken: false,
        };
    }

    /// Goes on, and returns how many bytes the message takes up in memory as far as it is known, without its texts.
    pub(super) fn go_on(&mut self, data: &[u8]) -> Result<usize, Unfollowable> {
        let start = self.position;
        let end = start + data.len();
        while self.position < end && !self.is_broken {
            if self.skip_to > self.position {
                self.position = self.skip_to.min(end);
                self.close();
                continue;
            }
            let byte = data[self.position - start];
            self.position += 1;
            if let Some(value) = self.varint.push(byte) {
                self.take(value?)?;
                self.close();
            }
        }
        self.position = end;
        Ok(self.bytes)
    }

    fn take(&mut self, value: u64) -> Result<(), Unfollowable> {
        match self.expects {
            Expects::Number => self.expects = Expects::Tag,
            Expects::Tag => {
                let number = (value >> 3) as u32;
                match value & 7 {
                    0 => self.expects = Expects::Number,
                    1 => self.skip_to = self.position + 8,
                    2 => {
                        let within = self.open.last().map(|(message, _)| &SHAPES.messages[*message]);
                        self.expects = Expects::Length(within.and_then(|shape| shape.fields.get(&number).copied()));
                    }
                    5 => self.skip_to = self.position + 4,
                    // Groups: what is in them is skipped by rules of their own.
                    3 | 4 => return Err(Unfollowable),
                    _ => self.is_broken = true,
                }
            }
            Expects::Length(field) => {
                self.expects = Expects::Tag;
                let end = usize::try_from(value).ok().and_then(|length| self.position.checked_add(length));
                let limit = self.open.last().map_or(0, |(_, end)| *end);
                let Some(end) = end.filter(|end| *end <= limit) else {
                    self.is_broken = true;
                    return Ok(());
                };
                match field {
                    Some(Field { message: Some(message), is_list }) => {
                        if is_list {
                            self.bytes += SHAPES.messages[message].bytes;
                        }
                        self.open.push((message, end));
                    }
                    Some(Field { message: None, is_list: true }) => {
                        self.bytes += HANDLE_BYTES;
                        self.skip_to = end;
                    }
                    _ => self.skip_to = end,
                }
            }
        }
        Ok(())
    }

    /// Leaves the messages that end here.
    fn close(&mut self) {
        while self.open.len() > 1 && self.open.last().is_some_and(|(_, end)| *end <= self.position) {
            self.open.pop();
        }
    }
}

impl Varint {
    /// Takes a byte; returns the number with its last.
    fn push(&mut self, byte: u8) -> Option<Result<u64, Unfollowable>> {
        if self.shift > 63 {
            return Some(Err(Unfollowable));
        }
        self.value |= u64::from(byte & 0x7f) << self.shift;
        self.shift += 7;
        (byte & 0x80 == 0).then(|| Ok(std::mem::take(self).value))
    }
}

#[cfg(test)]
mod tests {
    use proto::{
        event::v1::{Custom, Event, event::Body},
        ingestion::v1::CollectRequest,
        r#type::v1::Identifier,
    };

    use super::*;

    const COLLECT: &str = "/comptoir.ingestion.v1.IngestionService/Collect";

    fn walk(bytes: &[u8], step: usize) -> Result<usize, Unfollowable> {
        let mut walk = Walk::of(COLLECT).unwrap();
        walk.begin(bytes.len());
        let mut told = 0;
        for piece in bytes.chunks(step) {
            told = walk.go_on(piece)?;
        }
        Ok(told)
    }

    fn event() -> Event {
        Event {
            message_id: "m-1".into(),
            identifiers: vec![Identifier { kind: "user_id".into(), value: "u".repeat(300) }; 3],
            properties_json: r#"{"a":1}"#.into(),
            body: Some(Body::Custom(Custom {})),
            event_time: Some(prost_types::Timestamp { seconds: 1, nanos: -1 }),
            ..Event::default()
        }
    }

    #[test]
    fn the_elements_of_lists_are_counted_however_the_bytes_are_cut() {
        let request = |events: usize| CollectRequest { events: vec![event(); events], source_id: "s".into() };
        let one = walk(&request(1).encode_to_vec(), usize::MAX).unwrap();
        let whole = request(7).encode_to_vec();
        let told: Vec<_> = [1, 2, 3, 5, 64, whole.len()].into_iter().map(|step| walk(&whole, step).unwrap()).collect();

        assert!(told.iter().all(|bytes| *bytes == told[0]), "{told:?}");
        let of_an_event = (told[0] - one) / 6;
        assert_eq!(told[0], one + 6 * of_an_event);
        assert!(of_an_event >= size_of::<Event>() / 2, "{of_an_event} for {}", size_of::<Event>());
    }

    #[test]
    fn empty_elements_weigh_what_they_become() {
        let bomb = CollectRequest { events: vec![Event::default(); 10_000], source_id: String::new() };
        let told = walk(&bomb.encode_to_vec(), 4_096).unwrap();

        let truth = 10_000 * size_of::<Event>();
        assert!((truth / 2..truth * 4).contains(&told), "{told} for {truth}");
    }

    #[test]
    fn groups_are_not_followed_and_nonsense_ends_the_walk() {
        assert_eq!(walk(&[0x0b, 0x0a, 0x00, 0x0c], 1), Err(Unfollowable));
        assert_eq!(walk(&[0xff; 11], 1), Err(Unfollowable));
        assert!(walk(&[0x0a, 0x7f, 0x0a], 1).is_ok(), "a length beyond the end is decoding's to refuse");
        assert!(Walk::of("/comptoir.ingestion.v1.IngestionService/Burn").is_none());
    }
}
