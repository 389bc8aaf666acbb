use std::collections::BTreeMap;

use kit::time::{timestamp, valid_micros};
use kit::{Error, TenantId, Violations};
use proto::scoring::v1::get_rfm_matrix_response::Cell;
use proto::scoring::v1::{GetRfmMatrixRequest, GetRfmMatrixResponse};

use crate::domain::rfm::{Buyer, Cuts};
use crate::engine::Engine;
use crate::store::buyers;
use crate::wire::{money, rfm};

/// Returns the RFM matrix, exact as of the moment of the call: everybody is scanned.
///
/// Another `as_of_time` moves the end that recency is counted to; orders after it are not taken out.
pub(super) async fn get_rfm_matrix(
    engine: &Engine,
    tenant: &TenantId,
    request: GetRfmMatrixRequest,
) -> Result<GetRfmMatrixResponse, Error> {
    let mut violations = Violations::new();
    let as_of_us = match &request.as_of_time {
        None => Some(engine.clock.now_us()),
        Some(as_of_time) => valid_micros(as_of_time),
    };
    violations.check(as_of_us.is_some(), "as_of_time", "must be a valid time");
    violations.finish()?;
    let as_of_us = as_of_us.unwrap_or_default();

    let currency = buyers::main_currency(&engine.db, tenant).await?;
    let mut everybody: Vec<Buyer> = Vec::new();
    buyers::scan(&engine.db, tenant, &currency, |_, buyer| everybody.push(buyer)).await?;
    let cuts = Cuts::of(&everybody, currency.as_str());
    let cuts_at = cuts.at(as_of_us);

    let mut tallies: BTreeMap<crate::domain::rfm::Cell, (u64, u64, i64)> = BTreeMap::new();
    for buyer in &everybody {
        let (profiles, orders, net_micros) = tallies.entry(cuts_at.cell(*buyer)).or_default();
        *profiles += 1;
        *orders += buyer.order_count;
        *net_micros = net_micros.wrapping_add(buyer.net_micros);
    }
    let cells = tallies.into_iter().map(|(cell, (profile_count, order_count, net_micros))| Cell {
        rfm: Some(rfm(cell)),
        profile_count,
        order_count,
        net_value: Some(money(&currency, net_micros)),
    });
    Ok(GetRfmMatrixResponse {
        cells: cells.collect(),
        recency_cuts_days: shown(everybody.is_empty(), cuts_at.recency),
        frequency_cuts: shown(everybody.is_empty(), cuts.frequency()),
        monetary_cuts_micros: shown(everybody.is_empty(), cuts.monetary()),
        buyer_count: cuts.buyer_count,
        currency,
        as_of_time: Some(timestamp(as_of_us)),
    })
}

/// Without buyers there is nothing to cut.
fn shown(is_empty: bool, cuts: [f64; 4]) -> Vec<f64> {
    if is_empty { Vec::new() } else { cuts.to_vec() }
}
