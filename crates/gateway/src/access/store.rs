use ::store::{Db, Error, Tx, on, within};
use kit::TenantId;

/// The gateway's own tables.
#[derive(Clone)]
pub(crate) struct AccessStore {
    db: Db,
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct TenantRow {
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) created_us: i64,
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct KeyRow {
    pub(crate) api_key_id: String,
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) prefix: String,
    /// Scopes, parted by a space.
    pub(crate) scopes: String,
    pub(crate) created_us: i64,
}

const INSERT_TENANT: &str = "
    INSERT INTO tenants (tenant_id, name, created_us)
    VALUES ($1, $2, $3)";
const LIST_TENANTS: &str = "
    SELECT tenant_id, name, created_us
      FROM tenants
     WHERE tenant_id > $1
     ORDER BY tenant_id
     LIMIT $2";
const COUNT_TENANT: &str = "
    SELECT COUNT(*)
      FROM tenants
     WHERE tenant_id = $1";
const INSERT_KEY: &str = "
    INSERT INTO api_keys (api_key_id, tenant_id, name, prefix, secret_hash, scopes, created_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const FIND_KEY: &str = "
    SELECT api_key_id, tenant_id, name, prefix, scopes, created_us
      FROM api_keys
     WHERE secret_hash = $1 AND revoked_us IS NULL";
const LIST_KEYS: &str = "
    SELECT api_key_id, tenant_id, name, prefix, scopes, created_us
      FROM api_keys
     WHERE tenant_id = $1 AND revoked_us IS NULL AND api_key_id > $2
     ORDER BY api_key_id
     LIMIT $3";
const REVOKE_KEY: &str = "
    UPDATE api_keys
       SET revoked_us = $1
     WHERE api_key_id = $2 AND revoked_us IS NULL";
const REVOKE_KEY_OF_TENANT: &str = "
    UPDATE api_keys
       SET revoked_us = $1
     WHERE api_key_id = $2 AND tenant_id = $3 AND revoked_us IS NULL";

/// Every statement, for the test that prepares them on both engines.
#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 8] =
    [INSERT_TENANT, LIST_TENANTS, COUNT_TENANT, INSERT_KEY, FIND_KEY, LIST_KEYS, REVOKE_KEY, REVOKE_KEY_OF_TENANT];

impl AccessStore {
    pub(crate) fn new(db: Db) -> Self {
        Self { db }
    }

    /// Fails with [`Error::Conflict`] when the tenant exists.
    pub(crate) async fn insert_tenant(&self, row: &TenantRow) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        within!(&mut tx, conn => sqlx::query(INSERT_TENANT)
            .bind(&row.tenant_id)
            .bind(&row.name)
            .bind(row.created_us)
            .execute(&mut *conn)
            .await
            .map(|_| ()))?;
        tx.commit().await
    }

    pub(crate) async fn list_tenants(&self, after: &str, limit: i64) -> Result<Vec<TenantRow>, Error> {
        Ok(on!(&self.db, pool => sqlx::query_as(LIST_TENANTS).bind(after).bind(limit).fetch_all(pool).await)?)
    }

    pub(crate) async fn tenant_exists(&self, tenant: &TenantId) -> Result<bool, Error> {
        let count: i64 = on!(&self.db, pool => sqlx::query_scalar(COUNT_TENANT)
            .bind(tenant.as_str())
            .fetch_one(pool)
            .await)?;
        Ok(count > 0)
    }

    pub(crate) async fn insert_key(&self, row: &KeyRow, hash: &[u8]) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        within!(&mut tx, conn => sqlx::query(INSERT_KEY)
            .bind(&row.api_key_id)
            .bind(&row.tenant_id)
            .bind(&row.name)
            .bind(&row.prefix)
            .bind(hash)
            .bind(&row.scopes)
            .bind(row.created_us)
            .execute(&mut *conn)
            .await
            .map(|_| ()))?;
        tx.commit().await
    }

    pub(crate) async fn find_key(&self, hash: &[u8]) -> Result<Option<KeyRow>, Error> {
        Ok(on!(&self.db, pool => sqlx::query_as(FIND_KEY).bind(hash).fetch_optional(pool).await)?)
    }

    pub(crate) async fn list_keys(&self, tenant: &TenantId, after: &str, limit: i64) -> Result<Vec<KeyRow>, Error> {
        Ok(on!(&self.db, pool => sqlx::query_as(LIST_KEYS)
            .bind(tenant.as_str())
            .bind(after)
            .bind(limit)
            .fetch_all(pool)
            .await)?)
    }

    /// Ends a key, of `tenant` only when one is given.
    pub(crate) async fn revoke_key(
        &self,
        api_key_id: &str,
        tenant: Option<&TenantId>,
        now_us: i64,
    ) -> Result<(), Error> {
        let mut tx: Tx = self.db.begin().await?;
        match tenant {
            Some(tenant) => within!(&mut tx, conn => sqlx::query(REVOKE_KEY_OF_TENANT)
                .bind(now_us)
                .bind(api_key_id)
                .bind(tenant.as_str())
                .execute(&mut *conn)
                .await
                .map(|_| ()))?,
            None => within!(&mut tx, conn => sqlx::query(REVOKE_KEY)
                .bind(now_us)
                .bind(api_key_id)
                .execute(&mut *conn)
                .await
                .map(|_| ()))?,
        }
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MIGRATIONS;

    #[tokio::test]
    async fn every_statement_prepares_on_both_engines() {
        for db in ::store::testing::databases(&[&MIGRATIONS]).await {
            for statement in STATEMENTS {
                let prepared = on!(&*db, pool => {
                    use sqlx::Executor;
                    pool.prepare(sqlx::SqlSafeStr::into_sql_str(statement)).await.map(|_| ())
                });
                assert!(prepared.is_ok(), "{}: {statement}: {prepared:?}", db.engine());
            }
        }
    }

    #[tokio::test]
    async fn a_key_is_found_by_its_hash_until_it_is_revoked() {
        for db in ::store::testing::databases(&[&MIGRATIONS]).await {
            let store = AccessStore::new(db.handle());
            let shop: TenantId = "shop".parse().unwrap();
            let rival: TenantId = "rival".parse().unwrap();
            let tenant = TenantRow { tenant_id: "shop".into(), name: "Shop".into(), created_us: 1 };
            store.insert_tenant(&tenant).await.unwrap();
            let key = KeyRow {
                api_key_id: "k1".into(),
                tenant_id: "shop".into(),
                name: "till".into(),
                prefix: "csk_abcd".into(),
                scopes: "events:write".into(),
                created_us: 2,
            };
            store.insert_key(&key, b"hash").await.unwrap();

            assert!(matches!(store.insert_tenant(&tenant).await, Err(Error::Conflict(_))), "{}", db.engine());
            assert_eq!(store.find_key(b"hash").await.unwrap().unwrap().api_key_id, "k1");
            store.revoke_key("k1", Some(&rival), 3).await.unwrap();
            assert_eq!(store.list_keys(&shop, "", 10).await.unwrap().len(), 1);
            store.revoke_key("k1", Some(&shop), 3).await.unwrap();
            assert!(store.find_key(b"hash").await.unwrap().is_none());
            assert!(store.list_keys(&shop, "", 10).await.unwrap().is_empty());
        }
    }
}
