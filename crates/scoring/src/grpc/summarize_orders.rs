use std::collections::{BTreeMap, HashSet};

use kit::{Error, TenantId};
use proto::scoring::v1::SummarizeOrdersResponse;
use proto::scoring::v1::summarize_orders_response::CountrySummary;

use crate::domain::order::{Contribution, Order};
use crate::engine::Engine;
use crate::store::{BEFORE_ALL, orders};
use crate::wire::money;

/// Orders read at once.
const PAGE: u32 = 5_000;

#[derive(Default)]
struct Summary {
    order_count: u64,
    buyers: HashSet<u128>,
    net_micros: i64,
    refunded_micros: i64,
}

#[derive(Default)]
struct Sums {
    /// By country and currency.
    countries: BTreeMap<(String, String), Summary>,
    order_count: u64,
    buyers: HashSet<u128>,
}

/// Sums up all orders, each once by its id, also when it was told of two people who are not known to be one.
pub(super) async fn summarize_orders(engine: &Engine, tenant: &TenantId) -> Result<SummarizeOrdersResponse, Error> {
    let mut sums = Sums::default();
    let mut current: Option<(String, Order)> = None;
    let mut after = (BEFORE_ALL.to_owned(), BEFORE_ALL.to_owned());
    loop {
        let page = orders::page(&engine.db, tenant, (&after.0, &after.1), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        if let Some(last) = page.last() {
            after = (last.order_id.clone(), last.profile_id.clone());
        }
        for told in page {
            sums.add_buyer(&told.profile_id, &told.order.contribution());
            match &mut current {
                Some((order_id, order)) if *order_id == told.order_id => order.merge(told.order),
                _ => {
                    if let Some((_, done)) = current.replace((told.order_id, told.order)) {
                        sums.add(&done.contribution());
                    }
                }
            }
        }
        if is_last {
            break;
        }
    }
    if let Some((_, last)) = current {
        sums.add(&last.contribution());
    }

    let countries = sums.countries.into_iter().map(|((country, currency), summary)| CountrySummary {
        country,
        order_count: summary.order_count,
        buyer_count: summary.buyers.len() as u64,
        net_value: Some(money(&currency, summary.net_micros)),
        refunded_value: Some(money(&currency, summary.refunded_micros)),
    });
    Ok(SummarizeOrdersResponse {
        countries: countries.collect(),
        order_count: sums.order_count,
        buyer_count: sums.buyers.len() as u64,
    })
}

impl Sums {
    fn add(&mut self, contribution: &Contribution) {
        self.order_count += u64::from(contribution.counted_us.is_some());
        for sum in &contribution.sums {
            let summary = self.countries.entry((sum.country.clone(), sum.currency.clone())).or_default();
            summary.order_count += u64::from(sum.counts);
            summary.net_micros = summary.net_micros.wrapping_add(sum.net_micros);
            summary.refunded_micros = summary.refunded_micros.wrapping_add(sum.refunded_micros);
        }
    }

    fn add_buyer(&mut self, profile_id: &str, contribution: &Contribution) {
        for sum in contribution.sums.iter().filter(|sum| sum.counts) {
            let buyer = number(profile_id);
            self.buyers.insert(buyer);
            let summary = self.countries.entry((sum.country.clone(), sum.currency.clone())).or_default();
            summary.buyers.insert(buyer);
        }
    }
}

/// Profile ids are UUIDs; anything else is hashed, so that a million buyers take little memory either way.
fn number(profile_id: &str) -> u128 {
    match uuid::Uuid::try_parse(profile_id) {
        Ok(id) => id.as_u128(),
        Err(_) => uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, profile_id.as_bytes()).as_u128(),
    }
}
