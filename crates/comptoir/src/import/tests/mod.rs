//! Whole files through the importer, up to the events and up to the services.

mod csv_files;
mod online_retail;
mod parquet_files;
mod records;
mod sending;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use proto::event::v1::{Event, OrderActivity, event::Body};
use tempfile::TempDir;

use super::{ImportError, ImportReport, Mapping, event::build, read::read};

/// A mapping of plain columns.
const PLAIN: &str = r#"
    [columns]
    order = "order"
    customer = "customer"
    product = "product"
    product_name = "title"
    quantity = "quantity"
    price = "price"
    currency = { value = "EUR" }
    date = "date"
    country = "country"
    [orders]
    cancellation_prefix = "C"
"#;

const HEADER: &str = "order,customer,product,title,quantity,price,date,country";

/// What a file gives.
struct Given {
    events: Vec<Event>,
    report: ImportReport,
    /// Lines of the rejects file, without its header.
    rejects: Vec<String>,
}

impl Given {
    fn order(&self, index: usize) -> &OrderActivity {
        order_of(&self.events[index])
    }
}

fn order_of(event: &Event) -> &OrderActivity {
    match &event.body {
        Some(Body::OrderActivity(order)) => order,
        other => panic!("an order makes an order event, not {other:?}"),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn import_path(path: &Path, mapping: &Mapping) -> Result<Given, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let rejects = folder.path().join("rejects.csv");
    let mut contents = read(path, mapping, Some(&rejects), now(), |_, _| {})?;
    contents.rejects.finish()?;
    let orders = &contents.orders;
    let event = |(order, lines)| build(order, lines, &mapping.orders.customer_kind, &orders.texts).event;
    let events = orders.iter().map(event).collect();
    let rejects = std::fs::read_to_string(rejects).unwrap().lines().skip(1).map(str::to_owned).collect();
    Ok(Given { events, report: contents.report, rejects })
}

fn import(name: &str, content: impl AsRef<[u8]>, mapping: &str) -> Result<Given, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    import_path(&write(&folder, name, content), &Mapping::parse(mapping).unwrap())
}
