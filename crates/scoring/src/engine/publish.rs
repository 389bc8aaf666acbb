//! The score log: entries and exits, in the transaction that holds them.

use ::store::{Error, Tx};
use bytes::Bytes;
use eventlog::{EventLog, Record};
use kit::TenantId;
use prost::Message;
use proto::scoring::v1::{ScoreRecord, SegmentEntered, SegmentExited, score_record::Body};

use super::work::Told;
use crate::domain::judge::{How, Transition};
use kit::time::timestamp;

/// Appends entries and exits, in their order.
pub(crate) async fn append(log: &EventLog, tx: &mut Tx, tenant: &TenantId, told: &[Told]) -> Result<(), Error> {
    if told.is_empty() {
        return Ok(());
    }
    log.append(tx, tenant, told.iter().map(record).collect()).await?;
    Ok(())
}

fn record(told: &Told) -> Record {
    let (body, event_time_us) = match &told.transition {
        Transition::Entered { segment_id, enter_us, how } => {
            let entered = SegmentEntered {
                segment_id: segment_id.clone(),
                enter_time: Some(timestamp(*enter_us)),
                backfilled: *how != How::Lived,
                restated: *how == How::Restated,
                ..SegmentEntered::default()
            };
            (Body::SegmentEntered(entered), *enter_us)
        }
        Transition::Redated { segment_id, enter_us, former_us, how } => {
            let entered = SegmentEntered {
                segment_id: segment_id.clone(),
                enter_time: Some(timestamp(*enter_us)),
                backfilled: *how != How::Lived,
                former_enter_time: Some(timestamp(*former_us)),
                restated: *how == How::Restated,
            };
            (Body::SegmentEntered(entered), *enter_us)
        }
        Transition::Exited { segment_id, exit_us } => {
            let exited = SegmentExited { segment_id: segment_id.clone(), exit_time: Some(timestamp(*exit_us)) };
            (Body::SegmentExited(exited), *exit_us)
        }
    };
    let record = ScoreRecord { profile_id: told.profile_id.clone(), body: Some(body) };
    Record {
        key: Bytes::copy_from_slice(told.profile_id.as_bytes()),
        payload: record.encode_to_vec().into(),
        event_time_us,
        traceparent: told.traceparent.as_deref().and_then(traced),
    }
}

/// Returns the trace to go on with: a span of ours below the event's, or the event's own while traces are off.
fn traced(traceparent: &str) -> Option<String> {
    let span = tracing::info_span!("scoring.judge");
    kit::telemetry::set_parent(&span, traceparent);
    span.in_scope(kit::telemetry::traceparent).or_else(|| Some(traceparent.to_owned()))
}
