//! Context signals, the newest word about each.

use std::collections::BTreeMap;

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::is_nowhere;
use crate::domain::signal::{Place, SignalRow};

/// Values of one row.
const COLUMNS: usize = 14;

const INSERT: &str = "
    INSERT INTO context_signals (tenant_id, kind, start_us, country, region, city, postal_code, end_us, source_id, party,
                                 medium, told_us, event_id, properties_json) ";
const UNLESS_NEWER: &str = "
    ON CONFLICT (tenant_id, kind, start_us, country, region, city, postal_code) DO UPDATE
       SET end_us = excluded.end_us,
           source_id = excluded.source_id,
           party = excluded.party,
           medium = excluded.medium,
           told_us = excluded.told_us,
           event_id = excluded.event_id,
           properties_json = excluded.properties_json
     WHERE (excluded.told_us, excluded.event_id) > (context_signals.told_us, context_signals.event_id)";
const LIST: &str = "
    SELECT kind, start_us, country, region, city, postal_code, end_us, source_id, party, medium, told_us, event_id,
           properties_json
      FROM context_signals
     WHERE tenant_id = $1
       AND ($2 = '' OR kind = $2)
       AND ($3 = '' OR country = '' OR country = $3)
       AND ($4 = '' OR region = '' OR region = $4)
       AND ($5 = '' OR city = '' OR city = $5)
       AND ($6 = '' OR postal_code = '' OR postal_code = $6)
       AND start_us < $7
       AND (end_us > $8 OR start_us >= $8)
       AND (start_us, kind, country, region, city, postal_code) > ($9, $10, $11, $12, $13, $14)
     ORDER BY start_us, kind, country, region, city, postal_code
     LIMIT $15";

/// Which signals are asked for. An empty part of the place, or an empty kind, lets everything pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) kind: String,
    pub(crate) place: Place,
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
}

/// Where a page begins: behind this signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct After {
    pub(crate) start_us: i64,
    pub(crate) kind: String,
    pub(crate) place: Place,
}

impl After {
    /// Before every signal.
    pub(crate) fn nothing() -> Self {
        Self { start_us: i64::MIN, kind: String::new(), place: Place::default() }
    }
}

/// Keeps signals; of several words about one the newest.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, signals: &[SignalRow]) -> Result<(), Error> {
    // One statement may not touch a row twice, and rows are locked in one order.
    let mut newest: BTreeMap<_, &SignalRow> = BTreeMap::new();
    for signal in signals {
        let kept = newest.entry(signal.key()).or_insert(signal);
        if signal.is_newer_than(kept) {
            *kept = signal;
        }
    }
    let newest: Vec<&SignalRow> = newest.into_values().collect();
    for chunk in store::chunks(&newest, COLUMNS) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new(INSERT);
            query.push_values(chunk, |mut row, signal| {
                row.push_bind(tenant.as_str())
                    .push_bind(&signal.kind)
                    .push_bind(signal.start_us)
                    .push_bind(&signal.place.country)
                    .push_bind(&signal.place.region)
                    .push_bind(&signal.place.city)
                    .push_bind(&signal.place.postal_code)
                    .push_bind(signal.end_us)
                    .push_bind(&signal.source_id)
                    .push_bind(signal.party)
                    .push_bind(signal.medium)
                    .push_bind(signal.told_us)
                    .push_bind(&signal.event_id)
                    .push_bind(&signal.properties_json);
            });
            query.push(UNLESS_NEWER);
            query.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    kind: String,
    start_us: i64,
    country: String,
    region: String,
    city: String,
    postal_code: String,
    end_us: i64,
    source_id: String,
    party: i64,
    medium: i64,
    told_us: i64,
    event_id: String,
    properties_json: Vec<u8>,
}

/// Returns at most `limit` signals behind `after`, by start, kind and place.
pub(crate) async fn list(
    db: &Db,
    tenant: &TenantId,
    wanted: &Wanted,
    after: &After,
    limit: i64,
) -> Result<Vec<SignalRow>, Error> {
    let (place, behind) = (&wanted.place, &after.place);
    let texts = [&wanted.kind, &place.country, &place.region, &place.city, &place.postal_code];
    if texts.into_iter().any(|text| is_nowhere(text)) {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = store::on!(db, pool => {
        let query = sqlx::query_as(LIST)
            .bind(tenant.as_str())
            .bind(&wanted.kind)
            .bind(&place.country)
            .bind(&place.region)
            .bind(&place.city)
            .bind(&place.postal_code)
            .bind(wanted.until_us)
            .bind(wanted.from_us)
            .bind(after.start_us)
            .bind(&after.kind)
            .bind(&behind.country)
            .bind(&behind.region)
            .bind(&behind.city)
            .bind(&behind.postal_code)
            .bind(limit);
        query.fetch_all(pool).await
    })?;
    Ok(rows.into_iter().map(signal).collect())
}

fn signal(row: Row) -> SignalRow {
    SignalRow {
        kind: row.kind,
        start_us: row.start_us,
        place: Place { country: row.country, region: row.region, city: row.city, postal_code: row.postal_code },
        end_us: row.end_us,
        source_id: row.source_id,
        party: row.party,
        medium: row.medium,
        told_us: row.told_us,
        event_id: row.event_id,
        properties_json: row.properties_json,
    }
}

/// Every whole statement, for the test that prepares them.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[LIST];
