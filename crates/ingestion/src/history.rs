//! What a source sent last, read back from the log.

use eventlog::EventLog;
use kit::TenantId;
use prost::Message;
use proto::event::v1::Event;
use store::Error;

/// Records looked at for each event that is wanted, at most: other sources share the log.
const SCANNED_PER_EVENT: usize = 20;
/// Records looked at in any case.
const LEAST_SCANNED: usize = 20_000;
/// Records looked at between two moments at which other tasks may run.
const SCANNED_AT_ONCE: usize = 64;

/// Shows about the last `wanted` events of a source, the newest of each partition first.
///
/// It goes back in all partitions by turns, so it is near the end of the log everywhere; it gives up where the source
/// has sent too little among others.
pub(crate) async fn see_last(
    log: &EventLog,
    tenant: &TenantId,
    source_id: &str,
    wanted: usize,
    mut see: impl FnMut(Event),
) -> Result<(), Error> {
    let ends = log.ends().await?;
    let mut ends: Vec<(u32, u64)> = ends
        .into_iter()
        .filter(|(partition, _)| partition.tenant == *tenant)
        .map(|(partition, end)| (partition.partition, end))
        .collect();
    let step = (wanted / ends.len().max(1)).clamp(100, 2_000) as u64;
    let mut scans_left = wanted.saturating_mul(SCANNED_PER_EVENT).max(LEAST_SCANNED);
    let mut left = wanted;
    while ends.iter().any(|(_, end)| *end > 0) {
        for (partition, end) in ends.iter_mut().filter(|(_, end)| *end > 0) {
            let from = end.saturating_sub(step);
            let records = log.read(tenant, *partition, from, (*end - from) as usize).await?;
            let until = std::mem::replace(end, from);
            // Retention took what came before.
            if records.first().is_none_or(|first| first.offset > from) {
                *end = 0;
            }
            for record in records.into_iter().rev().filter(|record| record.offset < until) {
                if left == 0 || scans_left == 0 {
                    return Ok(());
                }
                scans_left -= 1;
                if scans_left.is_multiple_of(SCANNED_AT_ONCE) {
                    tokio::task::yield_now().await;
                }
                let Ok(event) = Event::decode(record.record.payload) else { continue };
                if event.source_id == source_id {
                    left -= 1;
                    see(event);
                }
            }
        }
    }
    Ok(())
}
