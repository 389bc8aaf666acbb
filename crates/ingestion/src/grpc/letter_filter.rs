//! Filters, places and pages of dead letters.

use kit::{Violations, paging};
use proto::ingestion::v1::DeadLetterFilter;

use crate::domain::instant::from_timestamp;
use crate::domain::limits::fits;
use crate::store::dead_letters::{DeadLetterRow, Filter, Order, Place};

/// Payloads of one page, unless a single one is larger: a page must fit into a message.
const PAGE_BYTES: usize = 8 << 20;
/// Longest text looked for, in characters.
const MAX_TEXT_CHARS: usize = 100;

pub(super) fn parse(filter: Option<DeadLetterFilter>, violations: &mut Violations) -> Filter {
    let filter = filter.unwrap_or_default();
    let fits_text = fits(&filter.text, MAX_TEXT_CHARS);
    violations.check(fits_text, "filter.text", format!("must be at most {MAX_TEXT_CHARS} characters"));
    let mut time = |time: Option<prost_types::Timestamp>, field: &str| {
        let parsed = time.as_ref().map(from_timestamp).transpose();
        violations.check(parsed.is_ok(), field, "must be a valid timestamp of 1970 or later");
        parsed.ok().flatten()
    };
    let from_us = time(filter.from_time, "filter.from_time").unwrap_or(0);
    let until_us = time(filter.until_time, "filter.until_time").unwrap_or(i64::MAX);
    let DeadLetterFilter { source_id, reason, library_prefix, event_name, text, .. } = filter;
    Filter { source_id, reason, library_prefix, event_name, from_us, until_us, text }
}

/// Returns where a page begins.
pub(super) fn place(token: &str, order: Order, violations: &mut Violations) -> Place {
    let read = |place: &str| {
        let (receive_us, dead_letter_id) = place.split_once(':')?;
        Some(Place { receive_us: receive_us.parse().ok()?, dead_letter_id: dead_letter_id.to_owned() })
    };
    paging::place(token, read, violations).unwrap_or_else(|| {
        let receive_us = if order == Order::NewestFirst { i64::MAX } else { -1 };
        Place { receive_us, dead_letter_id: String::new() }
    })
}

/// Cuts rows, of which there may be one too many, to a page. Returns the token of the next.
pub(super) fn cut(rows: &mut Vec<DeadLetterRow>, size: usize) -> String {
    let all = rows.len();
    rows.truncate(fitting(rows).min(size));
    match rows.last() {
        Some(last) if rows.len() < all => paging::token(&format!("{}:{}", last.receive_us, last.dead_letter_id)),
        _ => String::new(),
    }
}

fn fitting(rows: &[DeadLetterRow]) -> usize {
    let mut bytes = 0;
    let beyond = rows.iter().position(|row| {
        bytes += row.payload.len();
        bytes > PAGE_BYTES
    });
    beyond.unwrap_or(rows.len()).max(1)
}
