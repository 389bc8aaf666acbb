//! What messages look like.

use ::store::{Db, Error, Tx, on, within};
use kit::TenantId;
use prost::Message;
use proto::campaign::v1::Template;

use super::unpack;
use crate::domain::time::timestamp;

const PUT: &str = "
    INSERT INTO templates (tenant_id, template_id, version, update_us, definition)
    VALUES ($1, $2, 1, $3, $4)
    ON CONFLICT (tenant_id, template_id) DO UPDATE
       SET version = templates.version + 1, update_us = excluded.update_us, definition = excluded.definition
    RETURNING version";
const FIND: &str = "
    SELECT version, update_us, definition
      FROM templates
     WHERE tenant_id = $1 AND template_id = $2";
const LIST: &str = "
    SELECT version, update_us, definition
      FROM templates
     WHERE tenant_id = $1 AND template_id > $2
     ORDER BY template_id
     LIMIT $3";

type Row = (i64, i64, Vec<u8>);

/// Creates or replaces a template; returns its version.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, template: &Template, now_us: i64) -> Result<i64, Error> {
    let definition = Template { update_time: None, version: 0, ..template.clone() }.encode_to_vec();
    Ok(within!(tx, conn => {
        sqlx::query_scalar(PUT)
            .bind(tenant.as_str())
            .bind(&template.template_id)
            .bind(now_us)
            .bind(definition)
            .fetch_one(&mut *conn)
            .await
    })?)
}

/// Returns a template.
pub(crate) async fn find(db: &Db, tenant: &TenantId, template_id: &str) -> Result<Option<Template>, Error> {
    let row: Option<Row> = on!(*db, pool => {
        sqlx::query_as(FIND).bind(tenant.as_str()).bind(template_id).fetch_optional(pool).await
    })?;
    row.map(read).transpose()
}

/// Returns up to `limit` templates after `after`, by id.
pub(crate) async fn list(db: &Db, tenant: &TenantId, after: &str, limit: i64) -> Result<Vec<Template>, Error> {
    let rows: Vec<Row> = on!(*db, pool => {
        sqlx::query_as(LIST).bind(tenant.as_str()).bind(after).bind(limit).fetch_all(pool).await
    })?;
    rows.into_iter().map(read).collect()
}

fn read((version, update_us, definition): Row) -> Result<Template, Error> {
    let template: Template = unpack(&definition, "template")?;
    Ok(Template { version, update_time: Some(timestamp(update_us)), ..template })
}
