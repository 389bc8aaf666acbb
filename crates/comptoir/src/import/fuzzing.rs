//! What is fuzzed of the import. Not an interface: the target in `fuzz/` calls it, and the test that replays its seeds.

use std::path::Path;

use chrono::DateTime;
use prost::Message;

use super::{
    Mapping,
    event::{MAX_EVENT_BYTES, build},
    mapping::Format,
    read::read,
    records::{RecordKind, RecordMapping, check_rows},
};

/// Stands on a line of its own between mapping and file.
const BETWEEN: &[u8] = b"\n---\n";
/// 2026-01-01, after which nothing can have happened.
const NOW_SECONDS: i64 = 1_767_225_600;

/// A mapping and a file read by it. The first line is what the rows are (`orders`, `customers`, …) and the ending of the file;
/// then comes the mapping, a line `---` and the file. `folder` is where the file is written to be read.
pub fn mapping(data: &[u8], folder: &Path) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let head = String::from_utf8_lossy(&data[..end]);
    let (kind, ending) = head.split_once(' ').unwrap_or((&head, "csv"));
    let rest = data.get(end + 1..).unwrap_or_default();
    let cut = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    let (text, content) = cut.map_or((rest, &[][..]), |at| (&rest[..at], &rest[at + BETWEEN.len()..]));
    let Ok(text) = std::str::from_utf8(text) else { return };

    let path = folder.join(if ending == "jsonl" { "rows.jsonl" } else { "rows.csv" });
    std::fs::write(&path, content).expect("the folder can be written to");
    match RecordKind::ALL.into_iter().find(|known| known.name() == kind) {
        Some(kind) => records(text, kind, &path),
        None => orders(text, &path),
    }
}

/// The decoder of Parquet is not ours, and is known to panic on damaged files: the import runs it where that does no harm.
fn is_ours(format: Option<Format>) -> bool {
    format != Some(Format::Parquet)
}

fn orders(text: &str, path: &Path) {
    let Ok(mapping) = Mapping::parse(text) else { return };
    if !is_ours(mapping.file.format) {
        return;
    }
    let now = DateTime::from_timestamp(NOW_SECONDS, 0).expect("a time");
    let Ok(contents) = read(path, &mapping, None, now, |_, _| {}) else { return };
    let report = &contents.report;
    let rejected: u64 = report.rejected.values().sum();
    assert_eq!(report.lines, report.lines_accepted + rejected, "a line is lost");
    let orders = &contents.orders;
    let mut lines = 0;
    for (order, of_order) in orders.iter() {
        lines += of_order.len() as u64;
        let built = build(order, of_order, &mapping.orders.customer_kind, &orders.texts);
        assert_eq!(built.bytes, built.event.encoded_len());
        assert!(built.bytes <= MAX_EVENT_BYTES, "an order is larger than an event may be");
        assert!(built.total_micros >= 0 && built.lines <= of_order.len());
    }
    assert_eq!(lines, report.lines_accepted, "a line is in no order");
    let products = orders.products.to_catalogue(&orders.texts, &mapping.provenance.provenance());
    assert_eq!(products.len() as u64, report.products);
}

fn records(text: &str, kind: RecordKind, path: &Path) {
    let Ok(mapping) = RecordMapping::parse(text, kind) else { return };
    if !is_ours(mapping.file.format) {
        return;
    }
    let now = DateTime::from_timestamp(NOW_SECONDS, 0).expect("a time");
    let Ok(report) = check_rows(kind, path, mapping, now) else { return };
    let rejected: u64 = report.rejected.values().sum();
    assert_eq!(report.lines, report.records + rejected, "a row is lost");
}
