//! Writes small databases in MaxMind's form: networks of IPv6 (IPv4 below `::/96`), each with a value.
//!
//! Layout: a binary tree of 24-bit records, 16 zero bytes, the values, the marker, the metadata.
//! What does not fit into that (values beyond 16 MiB, texts beyond 284 bytes) is not for tests.

/// A value of a database.
#[derive(Debug, Clone)]
pub enum PlaceValue {
    /// A text.
    Text(&'static str),
    /// A number.
    Double(f64),
    /// Names with values.
    Map(Vec<(&'static str, PlaceValue)>),
    /// Values.
    List(Vec<PlaceValue>),
    /// A small number.
    U16(u16),
    /// A number.
    U32(u32),
    /// A large number.
    U64(u64),
}

impl PlaceValue {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                control(2, text.len(), out);
                out.extend(text.as_bytes());
            }
            Self::Double(x) => {
                control(3, 8, out);
                out.extend(x.to_be_bytes());
            }
            Self::U16(n) => {
                control(5, 2, out);
                out.extend(n.to_be_bytes());
            }
            Self::U32(n) => {
                control(6, 4, out);
                out.extend(n.to_be_bytes());
            }
            Self::Map(entries) => {
                control(7, entries.len(), out);
                for (key, value) in entries {
                    Self::Text(key).write(out);
                    value.write(out);
                }
            }
            Self::U64(n) => {
                control(9, 8, out);
                out.extend(n.to_be_bytes());
            }
            Self::List(items) => {
                control(11, items.len(), out);
                for item in items {
                    item.write(out);
                }
            }
        }
    }
}

/// A value's head: its kind and length; kinds from 8 on stand in a byte of their own.
fn control(kind: u8, length: usize, out: &mut Vec<u8>) {
    let length = u8::try_from(length.min(284)).unwrap_or(u8::MAX);
    let (high, extended) = match kind.checked_sub(7) {
        Some(beyond) if beyond > 0 => (0, Some(beyond)),
        _ => (kind, None),
    };
    out.push(high << 5 | length.min(29));
    out.extend(extended);
    if length >= 29 {
        out.push(length - 29);
    }
}

/// Where a bit of an address leads.
#[derive(Debug, Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// A database of these networks: an address, how many of its first bits count, and what is known.
/// IPv4 addresses have their 32 bits last, after 96 that are zero. No network may hold another.
pub fn places(layout: &'static str, networks: &[(u128, u8, PlaceValue)]) -> Vec<u8> {
    let mut nodes = vec![[Record::Nothing; 2]];
    let mut data = Vec::new();
    for (address, bits, value) in networks {
        let offset = data.len();
        value.write(&mut data);
        let mut node = 0;
        for at in 0..*bits {
            let side = usize::from((address >> (127 - at)) & 1 == 1);
            let next = nodes.len();
            let Some(record) = nodes.get_mut(node).and_then(|n| n.get_mut(side)) else {
                break;
            };
            match *record {
                _ if at + 1 == *bits => *record = Record::Data(offset),
                Record::Node(there) => node = there,
                Record::Nothing | Record::Data(_) => {
                    *record = Record::Node(next);
                    nodes.push([Record::Nothing; 2]);
                    node = next;
                }
            }
        }
    }
    let count = nodes.len();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut out = Vec::new();
    for record in nodes.iter().flatten() {
        let to = match record {
            Record::Nothing => count,
            Record::Node(node) => *node,
            Record::Data(offset) => count + 16 + offset,
        };
        out.extend(number(to).to_be_bytes().into_iter().skip(1));
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(layout, number(count)).write(&mut out);
    out
}

fn metadata(layout: &'static str, nodes: u32) -> PlaceValue {
    use PlaceValue::{List, Map, Text, U16, U32, U64};
    Map(vec![
        ("node_count", U32(nodes)),
        ("record_size", U16(24)),
        ("ip_version", U16(6)),
        ("database_type", Text(layout)),
        ("languages", List(vec![Text("en")])),
        ("binary_format_major_version", U16(2)),
        ("binary_format_minor_version", U16(0)),
        ("build_epoch", U64(1_700_000_000)),
        ("description", Map(vec![("en", Text("made for a test"))])),
    ])
}
