//! Writing small databases of MaxMind's format, so that none of others need be kept here.

use std::net::IpAddr;

/// A value of the data section.
#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    Double(f64),
    Number { kind: u8, bytes: Vec<u8> },
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn map<const N: usize>(members: [(&str, Value); N]) -> Self {
        Self::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// A record as databases of cities have it.
    pub(crate) fn place(country: &str, region: &str, city: &str, north: f64, east: f64, zone: &str) -> Self {
        let named = |name: &str| Self::map([("names", Self::map([("en", Self::text(name))]))]);
        Self::map([
            ("country", Self::map([("iso_code", Self::text(country))])),
            ("subdivisions", Self::List(vec![named(region)])),
            ("city", named(city)),
            (
                "location",
                Self::map([
                    ("latitude", Self::Double(north)),
                    ("longitude", Self::Double(east)),
                    ("time_zone", Self::text(zone)),
                ]),
            ),
        ])
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                head(2, text.len(), out);
                out.extend(text.as_bytes());
            }
            Self::Double(number) => {
                head(3, 8, out);
                out.extend(number.to_be_bytes());
            }
            Self::Number { kind, bytes } => {
                head(*kind, bytes.len(), out);
                out.extend(bytes);
            }
            Self::List(values) => {
                head(11, values.len(), out);
                values.iter().for_each(|value| value.write(out));
            }
            Self::Map(members) => {
                head(7, members.len(), out);
                for (key, value) in members {
                    Self::text(key).write(out);
                    value.write(out);
                }
            }
        }
    }
}

/// Writes the type and the size of a value.
fn head(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (small, extended) = if kind > 7 { (0, Some(kind - 7)) } else { (kind, None) };
    let first = u8::try_from(size).expect("values of tests are small");
    out.push(small << 5 | first.min(29));
    out.extend(extended);
    if first >= 29 {
        out.push(first - 29);
    }
}

/// A branch of the tree: nothing, another node, or a place in the data.
#[derive(Clone, Copy)]
enum Branch {
    Nothing,
    Node(usize),
    Data(usize),
}

/// Returns a database of networks such as "203.0.113.0/24", which must not overlap.
pub(crate) fn database(networks: &[(&str, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Branch::Nothing; 2]];
    let mut data = Vec::new();
    for (network, value) in networks {
        let (address, bits) = network.split_once('/').expect("a network has a length");
        let bits: usize = bits.parse().expect("a number of bits");
        let (address, bits) = match address.parse().expect("an address") {
            // In a tree of IPv6 those of IPv4 lie below ::/96.
            IpAddr::V4(address) => (u128::from(u32::from(address)), bits + 96),
            IpAddr::V6(address) => (u128::from(address), bits),
        };
        let mut node = 0;
        for depth in 0..bits {
            let side = usize::from(address >> (127 - depth) & 1 == 1);
            if depth == bits - 1 {
                nodes[node][side] = Branch::Data(data.len());
            } else {
                node = match nodes[node][side] {
                    Branch::Node(next) => next,
                    _ => {
                        nodes.push([Branch::Nothing; 2]);
                        let next = nodes.len() - 1;
                        nodes[node][side] = Branch::Node(next);
                        next
                    }
                };
            }
        }
        value.write(&mut data);
    }
    assemble(&nodes, &data)
}

fn assemble(nodes: &[[Branch; 2]], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for branch in nodes.iter().flatten() {
        let record = match branch {
            Branch::Nothing => nodes.len(),
            Branch::Node(node) => *node,
            Branch::Data(offset) => nodes.len() + 16 + offset,
        };
        out.extend(&u32::try_from(record).expect("a small database").to_be_bytes()[1..]);
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let small = |number: u16| Value::Number { kind: 5, bytes: number.to_be_bytes().to_vec() };
    let count = u32::try_from(nodes.len()).expect("a small database");
    let metadata = Value::map([
        ("binary_format_major_version", small(2)),
        ("binary_format_minor_version", small(0)),
        ("build_epoch", Value::Number { kind: 9, bytes: 1_748_779_200_u64.to_be_bytes().to_vec() }),
        ("database_type", Value::text("Test-City")),
        ("description", Value::map([("en", Value::text("written by a test"))])),
        ("ip_version", small(6)),
        ("languages", Value::List(vec![Value::text("en")])),
        ("node_count", Value::Number { kind: 6, bytes: count.to_be_bytes().to_vec() }),
        ("record_size", small(24)),
    ]);
    metadata.write(&mut out);
    out
}
