//! What RFM is computed from: one row per buyer and currency.

use futures::TryStreamExt;
use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Db, Error, Tx};

use super::{push_list, signed, unsigned};
use crate::domain::rfm::Buyer;
use crate::domain::state::State;

const CURRENCIES: &str = "
    SELECT currency, CAST(SUM(order_count) AS BIGINT) AS orders
      FROM buyers
     WHERE tenant_id = $1 AND currency <> ''
     GROUP BY currency
     ORDER BY orders DESC, currency
     LIMIT 1";
const SCAN: &str = "
    SELECT profile_id, currency, order_count, last_order_us, net_micros
      FROM buyers
     WHERE tenant_id = $1
     ORDER BY profile_id, currency";

const PAGE: &str = "
    SELECT profile_id, currency, order_count, last_order_us, net_micros
      FROM buyers
     WHERE tenant_id = $1 AND profile_id > $2
     ORDER BY profile_id, currency
     LIMIT $3";

type Row = (String, String, i64, i64, i64);

/// A person whose values changed.
pub(crate) struct Changed<'a> {
    /// Who.
    pub(crate) profile_id: &'a str,
    /// What is known now.
    pub(crate) state: &'a State,
    /// Currencies that there may be rows of.
    pub(crate) stored: &'a [String],
}

/// Replaces what is kept of some people.
pub(crate) async fn save(tx: &mut Tx, tenant: &TenantId, people: &[Changed<'_>]) -> Result<(), Error> {
    const COLUMNS: usize = 6;
    let mut rows: Vec<Row> = Vec::with_capacity(people.len());
    for person in people {
        let last_order_us = person.state.stats.orders_us.map_or(0, |span| span.last_us);
        for (currency, value) in &person.state.stats.values {
            let count = signed(value.order_count);
            rows.push((person.profile_id.to_owned(), currency.clone(), count, last_order_us, value.net_micros));
        }
    }
    // Rare: the only order told in a currency was told again in another one.
    let has_outdated =
        |person: &&Changed<'_>| person.stored.iter().any(|currency| !person.state.stats.values.contains_key(currency));
    let outdated: Vec<&str> = people.iter().filter(has_outdated).map(|person| person.profile_id).collect();
    for chunk in store::chunks(&outdated, 1) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new("DELETE FROM buyers WHERE tenant_id = ");
            query.push_bind(tenant.to_string()).push(" AND profile_id IN (");
            push_list!(query, chunk);
            query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    for chunk in store::chunks(&rows, COLUMNS) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new(
                "INSERT INTO buyers (tenant_id, profile_id, currency, order_count, last_order_us, net_micros) ",
            );
            query.push_values(chunk, |mut row, (profile_id, currency, order_count, last_order_us, net_micros)| {
                row.push_bind(tenant.to_string())
                    .push_bind(profile_id.clone())
                    .push_bind(currency.clone())
                    .push_bind(*order_count)
                    .push_bind(*last_order_us)
                    .push_bind(*net_micros);
            });
            query.push(
                " ON CONFLICT (tenant_id, profile_id, currency) DO UPDATE
                  SET order_count = excluded.order_count, last_order_us = excluded.last_order_us,
                      net_micros = excluded.net_micros",
            );
            query.build().persistent(false).execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Returns the tenant's most frequent currency; empty while there is none.
pub(crate) async fn main_currency(db: &Db, tenant: &TenantId) -> Result<String, Error> {
    let found: Option<(String, i64)> = store::on!(db, pool => {
        sqlx::query_as(CURRENCIES).bind(tenant.as_str()).fetch_optional(pool).await
    })?;
    Ok(found.map(|(currency, _)| currency).unwrap_or_default())
}

/// Hands every buyer to `take`, by profile id, with the value in `currency`.
pub(crate) async fn scan(
    db: &Db,
    tenant: &TenantId,
    currency: &str,
    mut take: impl FnMut(String, Buyer),
) -> Result<(), Error> {
    let mut gather = Gather { currency, current: None };
    store::on!(db, pool => {
        let mut rows = sqlx::query_as::<_, Row>(SCAN).bind(tenant.as_str()).fetch(pool);
        while let Some(row) = rows.try_next().await? {
            gather.row(row, &mut take);
        }
        Ok::<(), sqlx::Error>(())
    })?;
    gather.end(&mut take);
    Ok(())
}

/// Gathers the rows of each person.
struct Gather<'c> {
    currency: &'c str,
    current: Option<(String, Buyer)>,
}

impl Gather<'_> {
    fn row(&mut self, row: Row, take: &mut impl FnMut(String, Buyer)) {
        let (profile_id, currency, order_count, last_order_us, net_micros) = row;
        let order_count = unsigned(order_count);
        let net_micros = if currency == self.currency { net_micros } else { 0 };
        match &mut self.current {
            Some((known, buyer)) if *known == profile_id => {
                buyer.order_count += order_count;
                buyer.net_micros = buyer.net_micros.wrapping_add(net_micros);
            }
            _ => {
                let buyer = Buyer { last_order_us, order_count, net_micros };
                hand_over(self.current.replace((profile_id, buyer)), take);
            }
        }
    }

    fn end(self, take: &mut impl FnMut(String, Buyer)) {
        hand_over(self.current, take);
    }
}

/// Some buyers, by profile id.
pub(crate) struct Page {
    /// The buyers, with the value in one currency.
    pub(crate) buyers: Vec<(String, Buyer)>,
    /// Whether more come after the last one.
    pub(crate) has_more: bool,
}

/// Returns the next buyers after one.
pub(crate) async fn page(db: &Db, tenant: &TenantId, currency: &str, after: &str) -> Result<Page, Error> {
    // More rows than anybody has currencies, so that each page comes further.
    const ROWS: usize = 2_000;
    let mut rows: Vec<Row> = store::on!(db, pool => {
        sqlx::query_as(PAGE).bind(tenant.as_str()).bind(after).bind(ROWS as i64).fetch_all(pool).await
    })?;
    let has_more = rows.len() == ROWS;
    if has_more {
        // The last person may go on beyond the page.
        let last = rows.last().map(|row| row.0.clone());
        rows.retain(|row| Some(&row.0) != last.as_ref());
    }
    let mut buyers = Vec::new();
    let mut gather = Gather { currency, current: None };
    for row in rows {
        gather.row(row, &mut |profile_id, buyer| buyers.push((profile_id, buyer)));
    }
    gather.end(&mut |profile_id, buyer| buyers.push((profile_id, buyer)));
    Ok(Page { buyers, has_more })
}

/// Who has only refunds is no buyer.
fn hand_over(done: Option<(String, Buyer)>, take: &mut impl FnMut(String, Buyer)) {
    if let Some((profile_id, buyer)) = done.filter(|(_, buyer)| buyer.order_count > 0) {
        take(profile_id, buyer);
    }
}

/// Every statement that stands as a constant, to be prepared by a test on both engines.
#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 3] = [CURRENCIES, SCAN, PAGE];
