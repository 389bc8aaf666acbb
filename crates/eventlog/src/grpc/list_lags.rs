use proto::log::v1::{Cursor, ListLagsResponse, list_lags_response};

use crate::log::EventLog;
use crate::store::followers::Lag;

pub(super) async fn list_lags(log: &EventLog) -> Result<ListLagsResponse, kit::Error> {
    let lags = log.lags().await?;
    Ok(ListLagsResponse { lags: lags.into_iter().map(render).collect() })
}

fn render(lag: Lag) -> list_lags_response::Lag {
    let cursor = Cursor { partition: Some(lag.partition.to_wire()), next_offset: lag.next_offset };
    let has_reported = lag.report_time_us > 0;
    list_lags_response::Lag {
        follower: lag.follower,
        cursor: Some(cursor),
        records: lag.records,
        report_time: has_reported.then(|| kit::time::timestamp(lag.report_time_us)),
    }
}
