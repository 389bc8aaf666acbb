//! Profiles that are no more, and who remains of them.

use std::collections::{BTreeSet, HashMap};

use ::store::{Error, Tx, chunks, within};
use kit::TenantId;
use sqlx::QueryBuilder;

const PUT: &str = "
    INSERT INTO gone_profiles (tenant_id, profile_id, survivor_id)
    VALUES ($1, $2, $3)
    ON CONFLICT (tenant_id, profile_id) DO UPDATE SET survivor_id = excluded.survivor_id";
const RETURNED: &str = "DELETE FROM gone_profiles WHERE tenant_id = $1 AND profile_id = $2";
const FIND_MANY: &str = "SELECT profile_id, survivor_id FROM gone_profiles WHERE tenant_id = ";

/// A chain of merges longer than this is cut: it can only be a circle.
const LONGEST_CHAIN: usize = 32;

/// Says that a profile is no more: merged into `survivor_id`, or erased when that is empty.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, profile_id: &str, survivor_id: &str) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(PUT).bind(tenant.as_str()).bind(profile_id).bind(survivor_id).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Says that a profile lives (again).
pub(crate) async fn returned(tx: &mut Tx, tenant: &TenantId, profile_id: &str) -> Result<(), Error> {
    within!(tx, conn => {
        sqlx::query(RETURNED).bind(tenant.as_str()).bind(profile_id).execute(&mut *conn).await.map(|_| ())
    })?;
    Ok(())
}

/// Returns, of these profiles, those that are no more with who remains of them: "" where nobody does.
pub(crate) async fn resolve(
    tx: &mut Tx,
    tenant: &TenantId,
    profile_ids: &[&str],
) -> Result<HashMap<String, String>, Error> {
    let mut links: HashMap<String, String> = HashMap::new();
    let mut wanted: BTreeSet<String> = profile_ids.iter().map(|id| (*id).to_owned()).collect();
    while !wanted.is_empty() {
        let asked: Vec<String> = std::mem::take(&mut wanted).into_iter().collect();
        for chunk in chunks(&asked, 1) {
            let rows: Vec<(String, String)> = within!(tx, conn => {
                let mut select = QueryBuilder::new(FIND_MANY);
                select.push_bind(tenant.as_str()).push(" AND profile_id IN (");
                let mut ids = select.separated(", ");
                for profile_id in chunk {
                    ids.push_bind(profile_id.as_str());
                }
                select.push(")");
                select.build_query_as().fetch_all(&mut *conn).await
            })?;
            for (profile_id, survivor_id) in rows {
                if !survivor_id.is_empty() && !links.contains_key(&survivor_id) {
                    wanted.insert(survivor_id.clone());
                }
                links.insert(profile_id, survivor_id);
            }
        }
    }
    let ends =
        profile_ids.iter().filter(|id| links.contains_key(**id)).map(|id| ((*id).to_owned(), end_of(&links, id)));
    Ok(ends.collect())
}

fn end_of(links: &HashMap<String, String>, profile_id: &str) -> String {
    let mut end = profile_id;
    for _ in 0..LONGEST_CHAIN {
        match links.get(end) {
            Some(next) => end = next,
            None => break,
        }
    }
    end.to_owned()
}
