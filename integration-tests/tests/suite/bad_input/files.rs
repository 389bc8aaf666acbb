//! Files to import, and the mappings that say how to read them.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use comptoir::import::{ImportError, ImportOptions, ImportReport, Mapping, Reason, import_orders};
use comptoir_integration_tests::scenario;
use tempfile::TempDir;

use super::Ground;

const MAPPING: &str = r#"
[columns]
order = "order"
customer = "customer"
product = "product"
quantity = "quantity"
price = "price"
currency = "currency"
date = "date"
"#;

const HEADER: &str = "order,customer,product,quantity,price,currency,date";

fn now() -> DateTime<Utc> {
    scenario::start()
}

fn mapping(folder: &TempDir, text: &str) -> Result<Mapping, ImportError> {
    let path = folder.path().join("mapping.toml");
    fs::write(&path, text).unwrap();
    Mapping::read(&path)
}

async fn import(ground: &Ground, file: &Path, mapping: Mapping) -> Result<ImportReport, ImportError> {
    let options = ImportOptions::new(file, mapping, ground.source_id.clone(), now());
    import_orders(options, Some(ground.api.channel()), |_, _, _| {}).await
}

/// Says which error it is.
fn named(error: &ImportError) -> &'static str {
    match error {
        ImportError::Mapping(_) => "mapping",
        ImportError::Unreadable { .. } => "unreadable",
        ImportError::UnknownFormat { .. } => "unknown format",
        ImportError::MissingColumns { .. } => "missing columns",
        ImportError::UnusableColumn { .. } => "unusable column",
        ImportError::Broken { .. } => "broken",
        ImportError::Rejects { .. } => "rejects",
        ImportError::Progress { .. } => "progress",
        ImportError::Call { .. } => "call",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_imports_nothing() -> anyhow::Result<()> {
    let ground = Ground::open().await?;
    let before = ground.counts().await?;
    let folder = tempfile::tempdir()?;
    let good = format!("{HEADER}\n1,ann,p-1,2,3.50,EUR,2025-03-01\n");
    let without_price = "order,customer,product,quantity,currency,date\n1,ann,p-1,2,EUR,2025-03-01\n";
    let parquet_head = b"PAR1 and then nothing that a reader knows PAR1".to_vec();

    for (name, content, expected) in [
        ("text.parquet", good.clone().into_bytes(), "broken"),
        ("cut.parquet", parquet_head, "broken"),
        ("empty.parquet", Vec::new(), "broken"),
        ("lines.txt", good.clone().into_bytes(), "unknown format"),
        ("price.csv", without_price.as_bytes().to_vec(), "missing columns"),
        ("semicolons.csv", good.replace(',', ";").into_bytes(), "missing columns"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content)?;
        let error = import(&ground, &file, mapping(&folder, MAPPING)?).await.expect_err(name);
        assert_eq!(named(&error), expected, "{name}: {error}");
        assert_eq!(ground.counts().await?, before, "{name} left something behind");
    }
    let absent = import(&ground, &folder.path().join("absent.csv"), mapping(&folder, MAPPING)?).await;
    assert_eq!(named(&absent.unwrap_err()), "unreadable");
    ground.subject.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_of_a_real_parquet_file_imports_nothing() -> anyhow::Result<()> {
    let Some(data) = std::env::var_os("COMPTOIR_DATA") else {
        eprintln!("skipped: COMPTOIR_DATA does not name the folder of real data");
        return Ok(());
    };
    let ground = Ground::open().await?;
    let before = ground.counts().await?;
    let folder = tempfile::tempdir()?;
    let whole = fs::read(Path::new(&data).join("online_retail_ii/online_retail_2009_2010.parquet"))?;
    let mut scratched = whole.clone();
    let middle = scratched.len() / 2;
    scratched[middle..middle + 4_096].fill(0xAA);

    for (name, content) in [("half.parquet", whole[..whole.len() / 2].to_vec()), ("scratched.parquet", scratched)] {
        let file = folder.path().join(name);
        fs::write(&file, content)?;
        let error = import(&ground, &file, Mapping::named_or_read("online_retail_ii")?).await.expect_err(name);
        assert_eq!(named(&error), "broken", "{name}: {error}");
        assert_eq!(ground.counts().await?, before, "{name} left something behind");
    }
    ground.subject.stop().await
}

#[test]
fn a_mapping_that_is_wrong_says_where() {
    let folder = tempfile::tempdir().unwrap();
    for (what, text, word) in [
        ("not TOML", "columns = [", ""),
        ("no columns", "[formats]\ntimezone = \"UTC\"", "columns"),
        ("a column that is not said", &MAPPING.replace("order = \"order\"\n", ""), "order"),
        ("an unknown key", &format!("{MAPPING}\n[orders]\ncolour = \"red\"\n"), "colour"),
        ("an unknown time zone", &format!("{MAPPING}\n[formats]\ntimezone = \"Europe/Atlantis\"\n"), "Europe/Atlantis"),
    ] {
        let error = mapping(&folder, text).expect_err(what);
        assert_eq!(named(&error), "mapping", "{what}: {error}");
        assert!(error.to_string().contains(word), "{what}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_wrong_are_counted_by_reason_and_the_rest_is_imported() -> anyhow::Result<()> {
    let ground = Ground::open().await?;
    let before = ground.counts().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("orders.csv");
    let rows = [
        HEADER,
        "1,ann,p-1,2,3.50,EUR,2025-03-01",
        "1,ann,p-2,1,1.00,EUR,2025-03-01",
        "1,bob,p-3,1,1.00,EUR,2025-03-01",
        "2,bob,p-1,1,0,EUR,2025-03-01",
        "3,bob,p-1,-1,1.00,EUR,2025-03-01",
        "4,bob,p-1,many,1.00,EUR,2025-03-01",
        "5,bob,p-1,1,1.00,EUR,the other day",
        "6,bob,p-1,1,1.00,EUR,2031-01-01",
        "7,,p-1,1,1.00,EUR,2025-03-01",
        "8,bob,p-1,1,1.00,money,2025-03-01",
        "9,bob,p-1,1",
        "10,bob,p-1,1,2.00,XQZ,2025-03-01",
        "11,bob,p-1,1,2.00,EUR,2025-03-02",
    ];
    fs::write(&file, rows.join("\n"))?;

    let report = import(&ground, &file, mapping(&folder, MAPPING)?).await?;

    let wanted = [
        Reason::CustomerConflict,
        Reason::ZeroPrice,
        Reason::NegativeQuantity,
        Reason::BadQuantity,
        Reason::BadDate,
        Reason::DateInFuture,
        Reason::MissingCustomer,
        Reason::BadCurrency,
        Reason::BrokenLine,
    ];
    for reason in wanted {
        assert_eq!(report.rejected.get(&reason), Some(&1), "{reason}: {report:?}");
    }
    assert_eq!(report.lines, report.lines_accepted + report.lines_rejected());
    // What looks like a currency and is none is for ingestion to tell: it is kept aside there.
    assert_eq!((report.orders, report.accepted, report.events_quarantined()), (3, 2, 1), "{report:?}");
    let after = ground.counts().await?;
    assert_eq!((after.logged - before.logged, after.dead_letters - before.dead_letters), (2, 1));
    ground.subject.stop().await
}
