//! A year of real orders (Online Retail II, UCI 502): what the services find is what the rows say, counted another way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use comptoir::{
    api::Api,
    import::{ImportOptions, ImportReport, Mapping, import_orders},
    shop::Stage,
};
use comptoir_integration_tests::{Embedded, Engine, Subject, picture::micros, read};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
};
use proto::{
    ingestion::v1::Source,
    scoring::v1::{GetRfmMatrixRequest, Rfm, SummarizeOrdersRequest},
};

const DAY_US: i64 = 86_400_000_000;

fn file() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("COMPTOIR_DATA") else {
        eprintln!("skipped: COMPTOIR_DATA does not name the folder of real data");
        return None;
    };
    Some(Path::new(&folder).join("online_retail_ii/online_retail_2009_2010.parquet"))
}

/// The day after the last order.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_291_939_200, 0).expect("10 December 2010 is a time")
}

/// What the rows say.
#[derive(Default)]
struct Rows {
    orders: BTreeMap<String, Invoice>,
    cancellations: BTreeMap<String, Invoice>,
}

#[derive(Default, Clone)]
struct Invoice {
    customer: String,
    country: String,
    micros: i64,
    time_us: i64,
}

/// What is known of a buyer.
#[derive(Default)]
struct Buyer {
    last_order_us: i64,
    orders: u64,
    net_micros: i64,
}

fn read_rows(path: &Path) -> anyhow::Result<Rows> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let mut rows = Rows::default();
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let (invoice, quantity, price) = (row.get_string(0)?, row.get_long(3)?, row.get_double(5)?);
        let Ok(customer) = row.get_double(6) else { continue };
        let cancelled = invoice.starts_with('C');
        // Gifts, corrections of stock and of books are no sales.
        if price <= 0.0 || (quantity < 0) != cancelled || quantity == 0 {
            continue;
        }
        let price_micros = (price * 1e4).round() as i64 * 100;
        let kind = if cancelled { &mut rows.cancellations } else { &mut rows.orders };
        let time_us = london_us(row.get_string(4)?)?;
        let entry = kind.entry(invoice.clone()).or_insert_with(|| Invoice { time_us, ..Invoice::default() });
        entry.customer = format!("{customer:.0}");
        entry.country.clone_from(row.get_string(7)?);
        entry.micros += (quantity * price_micros).abs();
        entry.time_us = entry.time_us.min(time_us);
    }
    Ok(rows)
}

/// A time in London: an hour ahead of UTC in the summer of 2010.
fn london_us(text: &str) -> anyhow::Result<i64> {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")?;
    let at = |month, day| NaiveDate::from_ymd_opt(2010, month, day).and_then(|date| date.and_hms_opt(2, 0, 0));
    let summer = at(3, 28).is_some_and(|begin| begin <= time) && at(10, 31).is_some_and(|end| time < end);
    Ok(time.and_utc().timestamp_micros() - if summer { 3_600_000_000 } else { 0 })
}

impl Rows {
    fn buyers(&self) -> BTreeMap<&str, Buyer> {
        let mut buyers: BTreeMap<&str, Buyer> = BTreeMap::new();
        for order in self.orders.values() {
            let buyer = buyers.entry(&order.customer).or_default();
            buyer.orders += 1;
            buyer.net_micros += order.micros;
            buyer.last_order_us = buyer.last_order_us.max(order.time_us);
        }
        for back in self.cancellations.values() {
            // Whoever only gave back bought before the file begins: no buyer here.
            if let Some(buyer) = buyers.get_mut(back.customer.as_str()) {
                buyer.net_micros -= back.micros;
            }
        }
        buyers
    }

    /// Returns orders, buyers, net and refunded value of each country.
    fn countries(&self) -> BTreeMap<String, (u64, u64, i64, i64)> {
        let mut sums: BTreeMap<String, (u64, u64, i64, i64)> = BTreeMap::new();
        let mut buyers: BTreeSet<(&str, &str)> = BTreeSet::new();
        for order in self.orders.values() {
            let sum = sums.entry(order.country.clone()).or_default();
            sum.0 += 1;
            sum.1 += u64::from(buyers.insert((&order.country, &order.customer)));
            sum.2 += order.micros;
        }
        for back in self.cancellations.values() {
            let sum = sums.entry(back.country.clone()).or_default();
            sum.2 -= back.micros;
            sum.3 += back.micros;
        }
        sums
    }

    /// Returns the RFM cell of each buyer.
    fn cells(&self) -> BTreeMap<String, (i32, i32, i32)> {
        let buyers = self.buyers();
        let days = |buyer: &Buyer| ((now().timestamp_micros() - buyer.last_order_us) / DAY_US) as f64;
        let cuts = |value: &dyn Fn(&Buyer) -> f64| {
            let mut values: Vec<f64> = buyers.values().map(value).collect();
            values.sort_by(f64::total_cmp);
            [0.2, 0.4, 0.6, 0.8].map(|share| quantile(&values, share))
        };
        let orders = |buyer: &Buyer| buyer.orders as f64;
        let net = |buyer: &Buyer| buyer.net_micros as f64;
        let (by_days, by_orders, by_net) = (cuts(&days), cuts(&orders), cuts(&net));
        let above = |cuts: &[f64; 4], value: f64| cuts.iter().filter(|cut| value > **cut).count() as i32;
        let cell = |buyer: &Buyer| {
            (5 - above(&by_days, days(buyer)), 1 + above(&by_orders, orders(buyer)), 1 + above(&by_net, net(buyer)))
        };
        buyers.iter().map(|(customer, buyer)| ((*customer).to_owned(), cell(buyer))).collect()
    }
}

/// Type 7 of Hyndman and Fan (1996), of values in ascending order.
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = (values.len() - 1) as f64 * share;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

async fn import(api: &Api, source_id: &str, path: &Path) -> anyhow::Result<ImportReport> {
    let mapping = Mapping::named_or_read("online_retail_ii")?;
    let options = ImportOptions::new(path, mapping, source_id, now());
    Ok(import_orders(options, Some(api.channel()), |_, _, _| {}).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_year_is_found_as_its_rows_say() -> anyhow::Result<()> {
    let Some(path) = file() else { return Ok(()) };
    let subject = Embedded::start(Engine::Sqlite, now()).await?;
    let key = subject.operator()?.create_tenant("gifts").await?;
    let api = subject.api(&key)?;
    let created = api.create_source(Source { name: "till".into(), kind: "import".into(), ..Source::default() }).await?;
    let source_id = created.source.unwrap_or_default().source_id;

    let report = import(&api, &source_id, &path).await?;
    subject.settle().await?;

    let rows = read_rows(&path)?;
    assert_eq!(report.lines, report.lines_accepted + report.lines_rejected());
    assert_eq!((report.orders, report.cancellations), (rows.orders.len() as u64, rows.cancellations.len() as u64));
    assert_eq!((report.accepted, report.events_quarantined()), (report.orders + report.cancellations, 0));
    check_sums(&api, &rows).await?;
    check_cells(&api, &rows).await?;

    let before = api.scoring().summarize_orders(SummarizeOrdersRequest {}).await?.into_inner();
    let again = import(&api, &source_id, &path).await?;
    subject.settle().await?;
    assert_eq!((again.accepted, again.duplicates), (0, report.accepted), "an import repeated adds nothing");
    assert_eq!(api.scoring().summarize_orders(SummarizeOrdersRequest {}).await?.into_inner(), before);
    subject.stop().await
}

async fn check_sums(api: &Api, rows: &Rows) -> anyhow::Result<()> {
    let sums = api.scoring().summarize_orders(SummarizeOrdersRequest {}).await?.into_inner();
    let found: BTreeMap<String, (u64, u64, i64, i64)> = sums
        .countries
        .iter()
        .map(|country| {
            let amount = |money: &Option<_>| money.as_ref().map(micros).unwrap_or_default();
            let counts = (country.order_count, country.buyer_count);
            let values = (amount(&country.net_value), amount(&country.refunded_value));
            (country.country.clone(), (counts.0, counts.1, values.0, values.1))
        })
        .collect();

    assert_eq!(sums.order_count, rows.orders.len() as u64);
    assert_eq!(sums.buyer_count, rows.buyers().len() as u64);
    assert_eq!(found, rows.countries());
    Ok(())
}

async fn check_cells(api: &Api, rows: &Rows) -> anyhow::Result<()> {
    let mut customers: BTreeMap<String, String> = BTreeMap::new();
    for profile in read::profiles(api).await? {
        let customer = profile.identifiers.iter().find(|identifier| identifier.kind == "user_id");
        customers.insert(profile.profile_id, customer.expect("a customer has a number").value.clone());
    }
    let cell = |rfm: &Rfm| (rfm.recency, rfm.frequency, rfm.monetary);
    let found: BTreeMap<String, (i32, i32, i32)> = read::rfm_scores(api)
        .await?
        .iter()
        .map(|entry| (customers[&entry.profile_id].clone(), cell(&entry.rfm.clone().unwrap_or_default())))
        .collect();
    let expected = rows.cells();
    let different: Vec<_> = expected.iter().filter(|(customer, cell)| found.get(*customer) != Some(cell)).collect();
    assert!(different.is_empty(), "{} of {} cells differ: {different:?}", different.len(), expected.len());
    assert_eq!(found.len(), expected.len());

    let matrix = api.scoring().get_rfm_matrix(GetRfmMatrixRequest::default()).await?.into_inner();
    let mut counted: BTreeMap<(i32, i32, i32), u64> = BTreeMap::new();
    for cell in expected.values() {
        *counted.entry(*cell).or_default() += 1;
    }
    let shown: BTreeMap<(i32, i32, i32), u64> =
        matrix.cells.iter().map(|entry| (cell(&entry.rfm.clone().unwrap_or_default()), entry.profile_count)).collect();
    assert_eq!(shown, counted);
    assert_eq!(matrix.buyer_count, expected.len() as u64);
    Ok(())
}
