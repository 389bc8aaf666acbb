use kit::{Error, TenantId, Violations};
use proto::scoring::v1::{PutSegmentRequest, PutSegmentResponse};

use super::segment::{self, check_segment_id, compiled, shown};
use crate::engine::{Engine, MAX_SEGMENTS, keeper};
use crate::store::segments::StoredSegment;
use crate::store::{BEFORE_ALL, segments, shards};

/// Creates a segment or replaces its rule. Returns once that is kept; everyone is judged soon after.
///
/// Putting the same rule again judges nobody.
pub(super) async fn put_segment(
    engine: &Engine,
    tenant: &TenantId,
    request: PutSegmentRequest,
) -> Result<PutSegmentResponse, Error> {
    let asked = request.segment.unwrap_or_default();
    let mut violations = Violations::new();
    check_segment_id(&asked.segment_id, "segment.segment_id", &mut violations);
    violations.check(asked.name.chars().count() <= 100, "segment.name", "must be at most 100 characters");
    let rule = violations.take(compiled(&asked.expression).await?, "segment.expression");
    violations.finish()?;

    let reads_cuts = rule.is_some_and(|rule| rule.reads_cuts());
    if reads_cuts {
        // So that everyone is judged by cuts of today, not by those of when they last mattered.
        keeper::refresh_cuts(engine, tenant).await?;
    }

    let mut tx = engine.db.begin().await?;
    let known = segments::find_in(&mut tx, tenant, &asked.segment_id).await?;
    if known.is_none() {
        let others = segments::list_in(&mut tx, tenant, BEFORE_ALL, MAX_SEGMENTS).await?;
        if others.len() >= MAX_SEGMENTS as usize {
            let message = format!("a tenant has at most {MAX_SEGMENTS} segments; delete one first");
            return Err(Error::failed_precondition("SEGMENTS_EXHAUSTED", message));
        }
    }
    let versions = match &known {
        Some(known) if known.expression == asked.expression => (known.created_version, known.version),
        _ => {
            let version = shards::next_rules_version(&mut tx, tenant).await?;
            (known.as_ref().map_or(version, |known| known.created_version), version)
        }
    };
    let segment = StoredSegment {
        segment_id: asked.segment_id,
        name: asked.name,
        expression: asked.expression,
        created_version: versions.0,
        version: versions.1,
        update_us: engine.clock.now_us(),
    };
    segments::put(&mut tx, tenant, &segment).await?;
    segment::note_what_is_read(&mut tx, tenant).await?;
    tx.commit().await?;
    engine.wake_keeper();

    let member_count = segments::count(&engine.db, tenant, &segment.segment_id).await?;
    Ok(PutSegmentResponse { segment: Some(shown(segment, member_count)) })
}
