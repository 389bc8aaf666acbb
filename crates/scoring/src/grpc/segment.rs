//! What the RPCs about segments share.

use ::store::Tx;
use kit::{Error, TenantId, Violations};
use proto::scoring::v1::Segment;

use crate::domain::rule::Rule;
use crate::engine::MAX_SEGMENTS;
use crate::store::segments::StoredSegment;
use crate::store::{BEFORE_ALL, segments, shards};
use kit::time::timestamp;

/// Largest length of a segment's id, in characters.
const MAX_SEGMENT_ID_CHARS: usize = 64;

/// Returns a segment as it is shown.
pub(super) fn shown(segment: StoredSegment, member_count: i64) -> Segment {
    Segment {
        segment_id: segment.segment_id,
        name: segment.name,
        expression: segment.expression,
        update_time: Some(timestamp(segment.update_us)),
        member_count: u64::try_from(member_count).unwrap_or(0),
    }
}

/// Checks a segment's id.
pub(super) fn check_segment_id(segment_id: &str, field: &str, violations: &mut Violations) {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let is_right = (1..=MAX_SEGMENT_ID_CHARS).contains(&segment_id.len()) && segment_id.bytes().all(allowed);
    violations.check(is_right, field, "must be 1 to 64 characters of a-z, 0-9, _ and -");
}

/// Compiles an expression off the threads that serve.
pub(super) async fn compiled(expression: &str) -> Result<Result<Rule, String>, Error> {
    let expression = expression.to_owned();
    let compiled = tokio::task::spawn_blocking(move || Rule::compile(&expression)).await.map_err(Error::internal)?;
    Ok(compiled.map_err(|error| error.to_string()))
}

/// Writes down whether any rule reads cuts, once a transaction has changed the rules.
pub(super) async fn note_what_is_read(tx: &mut Tx, tenant: &TenantId) -> Result<(), Error> {
    let rules = segments::list_in(tx, tenant, BEFORE_ALL, MAX_SEGMENTS).await?;
    let reads_cuts = rules.iter().any(|segment| Rule::compile(&segment.expression).is_ok_and(|rule| rule.reads_cuts()));
    Ok(shards::save_reads_cuts(tx, tenant, reads_cuts).await?)
}

/// Returns that there is no such segment.
pub(super) fn segment_not_found(segment_id: &str) -> Error {
    Error::not_found("SEGMENT_NOT_FOUND", format!("there is no segment {segment_id}"))
}
