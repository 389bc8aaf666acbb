//! The real file, against a count made another way: with the record reader of the Parquet crate, straight from the rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

use chrono::{NaiveDate, NaiveDateTime};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
};
use proto::event::v1::order_activity::Action;

use super::{super::Reason, *};

fn file() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("COMPTOIR_DATA") else {
        eprintln!("skipped: COMPTOIR_DATA does not name the folder of real data");
        return None;
    };
    Some(Path::new(&folder).join("online_retail_ii/online_retail_2009_2010.parquet"))
}

/// What the rows say, counted as a person would.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    /// Value in millionths and earliest time of each invoice.
    invoices: BTreeMap<String, (i128, i64)>,
    customers: BTreeSet<String>,
    /// Value of the orders, in millionths.
    revenue: BTreeMap<String, i128>,
    rejected: BTreeMap<Reason, u64>,
    lines: u64,
}

fn count_rows(path: &Path) -> Count {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let mut count = Count::default();
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let invoice = row.get_string(0).unwrap();
        let cancelled = invoice.starts_with('C');
        let quantity = i128::from(row.get_long(3).unwrap());
        // The shortest decimal that is this float is what the shop wrote.
        let (whole, fraction) = format!("{:.4}", row.get_double(5).unwrap()).split_once('.').map(split).unwrap();
        let price = whole * 1_000_000 + fraction * 100;
        let reason = match row.get_double(6) {
            Err(_) => Some(Reason::MissingCustomer),
            Ok(_) if price == 0 => Some(Reason::ZeroPrice),
            Ok(_) if price < 0 => Some(Reason::NegativePrice),
            Ok(_) if quantity < 0 && !cancelled => Some(Reason::NegativeQuantity),
            Ok(_) if quantity > 0 && cancelled => Some(Reason::CancellationPositiveQuantity),
            Ok(_) => None,
        };
        if let Some(reason) = reason {
            *count.rejected.entry(reason).or_default() += 1;
            continue;
        }
        count.lines += 1;
        count.customers.insert(format!("{:.0}", row.get_double(6).unwrap()));
        let time = london(row.get_string(4).unwrap());
        let entry = count.invoices.entry(invoice.clone()).or_insert((0, time));
        *entry = (entry.0 + (quantity * price).abs(), entry.1.min(time));
        if !cancelled {
            *count.revenue.entry(row.get_string(7).unwrap().clone()).or_default() += quantity * price;
        }
    }
    count
}

fn split((whole, fraction): (&str, &str)) -> (i128, i128) {
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    (whole.parse().unwrap(), sign * fraction.parse::<i128>().unwrap())
}

/// Seconds since 1970 of a time in London in those two winters and the summer between.
fn london(text: &str) -> i64 {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap();
    let at = |month, day, hour| NaiveDate::from_ymd_opt(2010, month, day).unwrap().and_hms_opt(hour, 0, 0).unwrap();
    let summer = at(3, 28, 2) <= time && time < at(10, 31, 2);
    time.and_utc().timestamp() - if summer { 3_600 } else { 0 }
}

fn count_events(given: &Given) -> Count {
    let mut count = Count { rejected: given.report.rejected.clone(), ..Count::default() };
    for event in &given.events {
        let order = order_of(event);
        let total = order.total.as_ref().unwrap();
        assert_eq!(total.currency_code, "GBP");
        let value = i128::from(total.units) * 1_000_000 + i128::from(total.nanos / 1_000);
        let known = count.invoices.insert(order.order_id.clone(), (value, event.event_time.unwrap().seconds));
        assert_eq!(known, None, "one event each");
        assert_eq!(order.action() == Action::Refunded, order.order_id.starts_with('C'));
        count.customers.insert(event.identifiers[0].value.clone());
        count.lines += order.products.len() as u64;
        if order.action() == Action::Completed {
            let location = event.context.as_ref().and_then(|context| context.location.as_ref());
            *count.revenue.entry(location.unwrap().country.clone()).or_default() += value;
        }
    }
    count
}

#[test]
fn the_events_of_the_real_file_hold_what_its_rows_say() {
    let Some(path) = file() else { return };
    let mapping = Mapping::named_or_read("online_retail_ii").unwrap();

    let given = import_path(&path, &mapping).unwrap();

    let (by_events, by_rows) = (count_events(&given), count_rows(&path));
    assert_eq!(by_events.rejected, by_rows.rejected);
    assert_eq!(by_events.customers, by_rows.customers);
    assert_eq!(by_events.revenue, by_rows.revenue);
    assert_eq!(by_events, by_rows);
    let report = &given.report;
    assert_eq!(report.lines, 525_461);
    assert_eq!(report.lines, report.lines_accepted + report.lines_rejected());
    assert_eq!(given.rejects.len() as u64, report.lines_rejected());
    assert_eq!((report.orders, report.cancellations, report.customers), (19_213, 4_372, 4_381));
}
