//! What tenants want to say.

use ::store::{Db, Error, Tx, on, within};
use kit::TenantId;
use prost::Message;
use proto::campaign::v1::Campaign;

use super::unpack;
use crate::domain::campaign::{Definition, definition};

const PUT: &str = "
    INSERT INTO campaigns (tenant_id, campaign_id, put_us, paused, definition)
    VALUES ($1, $2, $3, 0, $4)
    ON CONFLICT (tenant_id, campaign_id) DO UPDATE
       SET put_us = excluded.put_us, definition = excluded.definition
     WHERE campaigns.definition <> excluded.definition";
const PAUSE: &str = "
    UPDATE campaigns
       SET paused = $3
     WHERE tenant_id = $1 AND campaign_id = $2";
const FIND: &str = "
    SELECT put_us, paused, definition
      FROM campaigns
     WHERE tenant_id = $1 AND campaign_id = $2";
const LIST: &str = "
    SELECT put_us, paused, definition
      FROM campaigns
     WHERE tenant_id = $1 AND campaign_id > $2
     ORDER BY campaign_id
     LIMIT $3";
const ALL: &str = "
    SELECT put_us, paused, definition
      FROM campaigns
     WHERE tenant_id = $1
     ORDER BY campaign_id";
const TENANTS: &str = "
    SELECT DISTINCT tenant_id
      FROM campaigns
     ORDER BY tenant_id";

type Row = (i64, i64, Vec<u8>);

/// A campaign with when it was put and whether it is paused.
pub(crate) struct Kept {
    pub(crate) campaign: Campaign,
    pub(crate) put_us: i64,
    pub(crate) paused: bool,
}

/// Creates or replaces a campaign. One that is the same already keeps the time it was put.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, campaign: &Campaign, now_us: i64) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(PUT)
            .bind(tenant.as_str())
            .bind(&campaign.campaign_id)
            .bind(now_us)
            .bind(campaign.encode_to_vec())
            .execute(&mut *conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Pauses a campaign or lets it go on; returns whether there is one.
pub(crate) async fn pause(tx: &mut Tx, tenant: &TenantId, campaign_id: &str, paused: bool) -> Result<bool, Error> {
    let changed = within!(tx, conn => {
        sqlx::query(PAUSE)
            .bind(tenant.as_str())
            .bind(campaign_id)
            .bind(i64::from(paused))
            .execute(&mut *conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(changed > 0)
}

/// Returns a campaign.
pub(crate) async fn find(db: &Db, tenant: &TenantId, campaign_id: &str) -> Result<Option<Kept>, Error> {
    let row: Option<Row> = on!(*db, pool => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(campaign_id).fetch_optional(pool).await
    })?;
    row.map(read).transpose()
}

/// Returns up to `limit` campaigns after `after`, by id.
pub(crate) async fn list(db: &Db, tenant: &TenantId, after: &str, limit: i64) -> Result<Vec<Kept>, Error> {
    let rows: Vec<Row> = on!(*db, pool => {
        sqlx::query_as(LIST).bind(tenant.as_str()).bind(after).bind(limit).fetch_all(pool).await
    })?;
    rows.into_iter().map(read).collect()
}

/// Returns all campaigns of a tenant, by id, as they stand in a transaction.
pub(crate) async fn definitions(tx: &mut Tx, tenant: &TenantId) -> Result<Vec<Definition>, Error> {
    let rows: Vec<Row> = within!(tx, conn => {
        sqlx::query_as(ALL).bind(tenant.as_str()).fetch_all(&mut *conn).await
    })?;
    in_use(rows)
}

/// Returns all campaigns of a tenant, by id.
pub(crate) async fn read_definitions(db: &Db, tenant: &TenantId) -> Result<Vec<Definition>, Error> {
    let rows: Vec<Row> = on!(*db, pool => sqlx::query_as(ALL).bind(tenant.as_str()).fetch_all(pool).await)?;
    in_use(rows)
}

/// Returns the tenants that have campaigns.
pub(crate) async fn tenants(db: &Db) -> Result<Vec<TenantId>, Error> {
    let ids: Vec<String> = on!(*db, pool => sqlx::query_scalar(TENANTS).fetch_all(pool).await)?;
    ids.iter()
        .map(|id| TenantId::try_from(id.as_str()).map_err(|_| Error::Damaged("a stored tenant id".into())))
        .collect()
}

fn in_use(rows: Vec<Row>) -> Result<Vec<Definition>, Error> {
    let kept: Vec<Kept> = rows.into_iter().map(read).collect::<Result<_, Error>>()?;
    Ok(kept.iter().filter_map(|kept| definition(&kept.campaign, kept.put_us, kept.paused)).collect())
}

fn read((put_us, paused, definition): Row) -> Result<Kept, Error> {
    Ok(Kept { campaign: unpack(&definition, "campaign")?, put_us, paused: paused != 0 })
}
