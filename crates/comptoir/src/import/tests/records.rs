//! Files of records through the importer, up to the services.

use std::fs;

use proto::{
    event::v1::{Event, Location, Medium, Party, event::Body},
    r#type::v1::ConsentState,
};
use tempfile::TempDir;

use super::{
    super::{
        ImportError,
        records::{RecordImport, RecordKind, RecordMapping, RecordReason, RecordReport, RecordStep, import_records},
    },
    now,
    sending::Shop,
    write,
};

/// A file, where it is imported to, and how.
struct Bench {
    folder: TempDir,
    shop: Shop,
    import: RecordImport,
}

impl Bench {
    /// With the mapping that is shipped for the kind.
    fn shipped(kind: RecordKind, name: &str, content: &str) -> Self {
        Self::with(kind, name, content, RecordMapping::named_or_read(kind.name(), kind).unwrap())
    }

    fn mapped(kind: RecordKind, content: &str, mapping: &str) -> Self {
        Self::with(kind, "rows.csv", content, RecordMapping::parse(mapping, kind).unwrap())
    }

    fn with(kind: RecordKind, name: &str, content: &str, mapping: RecordMapping) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let import = RecordImport {
            kind,
            file: write(&folder, name, content),
            mapping,
            source_id: "source-1".into(),
            destination: "here".into(),
            rejects: Some(folder.path().join("rejects.csv")),
            progress: Some(folder.path().join("progress.json")),
            dry_run: false,
            now: now(),
        };
        Self { folder, shop: Shop::default(), import }
    }

    async fn run(&self) -> Result<RecordReport, ImportError> {
        import_records(self.import.clone(), Some(self.shop.channel()), |_, done, total| assert!(done <= total)).await
    }

    fn events(&self) -> Vec<Event> {
        self.shop.0.lock().unwrap().events.clone()
    }

    fn rejects(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("rejects.csv")).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    }
}

fn identifiers(event: &Event) -> Vec<(&str, &str)> {
    event.identifiers.iter().map(|one| (one.kind.as_str(), one.value.as_str())).collect()
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn every_shipped_mapping_is_one() {
    for kind in RecordKind::ALL {
        RecordMapping::named_or_read(kind.name(), kind).unwrap();
    }
}

#[tokio::test]
async fn a_customer_brings_identifiers_traits_and_consents() {
    let header = "customer_id,email,phone,loyalty_card,updated_at,first_name,last_name,birth_date,gender,street,city,region,\
                  postal_code,country,email_consent,email_consent_time,email_consent_proof,sms_consent,loyalty_tier,\
                  household_size";
    let row = "7,Ann@Mail.example,,C-1,2025-03-01 10:00,Ann,Lee,1961-02-28,f,1 Rue X,Lyon,ARA,69001,FR,oui,2024-05-06,form 7,0,gold,4";
    let nobody = "null,,,,2025-03-01,,,,,,,,,,,,,,,";
    let bench = Bench::shipped(RecordKind::Customers, "c.csv", &format!("{header}\n{row}\n{nobody}\n"));

    let report = bench.run().await.unwrap();

    assert_eq!((report.lines, report.records, report.accepted), (2, 1, 1));
    assert_eq!(bench.rejects(), ["3,,missing_identifier,"]);
    let event = &bench.events()[0];
    assert_eq!(identifiers(event), [("user_id", "7"), ("email", "Ann@Mail.example"), ("loyalty_card", "C-1")]);
    let provenance = event.provenance.as_ref().unwrap();
    assert_eq!((provenance.party(), provenance.medium()), (Party::First, Medium::Offline));
    let Some(Body::Identified(person)) = &event.body else { panic!("{event:?}") };
    assert_eq!((person.first_name.as_str(), person.birth_date.as_str()), ("Ann", "1961-02-28"));
    assert_eq!(person.address.as_ref().unwrap().city, "Lyon");
    assert_eq!(json(&person.traits_json), serde_json::json!({"loyalty_tier": "gold", "household_size": 4}));
    let answers: Vec<_> = event.consents.iter().map(|one| (one.channel.as_str(), one.state(), &*one.proof)).collect();
    assert_eq!(answers, [("email", ConsentState::Granted, "form 7"), ("sms", ConsentState::Denied, "")]);
    let decided: Vec<_> = event.consents.iter().map(|one| one.decided_time.unwrap().seconds).collect();
    assert_eq!(decided, [1_714_953_600, 1_740_823_200], "its own time, or the record's");
}

#[tokio::test]
async fn json_lines_are_read_for_every_kind() {
    let line = r#"{"customer_id":7,"reviewer":"anonymous7","product_id":"P1","review_id":"r-1","date":"2025-03-01T10:00:00Z","text":"Broke.","rating":1.5,"verified":true,"title":null}"#;
    let bench = Bench::shipped(RecordKind::Reviews, "r.jsonl", &format!("{line}\n{{\"review_id\":\"r-2\"\n"));

    let report = bench.run().await.unwrap();

    assert_eq!((report.lines, report.records), (2, 1));
    assert_eq!(report.rejected[&RecordReason::BrokenLine], 1);
    let event = &bench.events()[0];
    assert_eq!(identifiers(event), [("user_id", "7"), ("reviewer", "anonymous7")]);
    assert_eq!(event.provenance.as_ref().unwrap().party(), Party::Second);
    let Some(Body::ProductReviewed(review)) = &event.body else { panic!("{event:?}") };
    assert_eq!((review.product_id.as_str(), review.review_id.as_str(), review.rating_milli), ("P1", "r-1", 1_500));
    assert_eq!(json(&event.properties_json), serde_json::json!({"verified": "true"}));
}

#[tokio::test]
async fn each_bad_row_is_told_with_its_number_and_reason() {
    let consents = "customer_id,email,purpose,channel,answer,answered_at,proof\n\
                    1,,marketing,email,yes,2025-01-01,\n\
                    ,,marketing,email,yes,2025-01-01,\n\
                    2,,marketing,email,maybe,2025-01-01,\n\
                    3,,marketing,email,no,never,\n\
                    4,,marketing,email,no,2099-01-01,\n\
                    5,,Mar keting,email,no,2025-01-01,\n\
                    6,,marketing,email,,2025-01-01,\n";
    let bench = Bench::shipped(RecordKind::Consents, "c.csv", consents);
    assert_eq!(bench.run().await.unwrap().accepted, 1);
    let told = [
        "3,,missing_identifier,",
        "4,,bad_answer,",
        "5,,bad_time,",
        "6,,time_in_future,",
        "7,,bad_word,",
        "8,,missing_value,",
    ];
    assert_eq!(bench.rejects(), told);
    let Some(Body::ConsentChanged(changed)) = &bench.events()[0].body else { panic!() };
    assert_eq!(changed.origin, "paper form");

    let visits = format!(
        "card,email,shop,time,desk\nC1,,lyon,2025-01-01 10:00,3\nC1,,,2025-01-01,3\nC1,,{},2025-01-01,3\n",
        "x".repeat(300)
    );
    let bench = Bench::shipped(RecordKind::StoreVisits, "v.csv", &visits);
    assert_eq!(bench.run().await.unwrap().records, 1);
    assert_eq!(bench.events()[0].event_time.unwrap().seconds, 1_735_722_000, "ten o'clock in Paris");
    let reasons: Vec<_> = bench.rejects().iter().map(|line| line.rsplit(',').nth(1).unwrap().to_owned()).collect();
    assert_eq!(reasons, ["missing_value", "id_too_long"]);
}

#[tokio::test]
async fn signals_need_nobody_and_may_lie_ahead() {
    let content =
        "date,country,region,city,postal_code,tmax,rain\n2099-07-14,FR,,Lyon,,31.5,0\n2025-07-15,FR,,,,warm,\n";
    let bench = Bench::shipped(RecordKind::Signals, "s.csv", content);

    assert_eq!(bench.run().await.unwrap().records, 1);

    assert_eq!(bench.rejects(), ["3,weather,bad_number,"]);
    let event = &bench.events()[0];
    let Some(Body::ContextSignal(signal)) = &event.body else { panic!("{event:?}") };
    assert_eq!((signal.kind.as_str(), event.event_time, event.identifiers.len()), ("weather", None, 0));
    let lyon = Location { country: "FR".into(), city: "Lyon".into(), ..Location::default() };
    assert_eq!(signal.place, Some(lyon));
    assert_eq!(json(&event.properties_json), serde_json::json!({"temperature_max": 31.5, "rain_mm": 0}));
}

#[tokio::test]
async fn products_go_into_the_catalogue_and_the_later_row_counts() {
    let content = "id,title,category,brand,price,stock,url,image_url\n\
                   P1,Old,Home/Candles,,9.99,5,,\nP1,New,Home/Candles,,8.50,4,,\nP2,,x,,1,1,,\nP3,Vase,,,-1,1,,\nP4,Vase,,,,,,\n";
    let bench = Bench::shipped(RecordKind::Products, "p.csv", content);

    let report = bench.run().await.unwrap();

    assert_eq!((report.records, report.accepted), (3, 3));
    assert_eq!(bench.rejects(), ["4,P2,missing_value,", "5,P3,bad_number,"]);
    let seen = bench.shop.0.lock().unwrap();
    let first = &seen.products["P1"];
    let price = first.price.as_ref().unwrap();
    assert_eq!((first.title.as_str(), first.stock, price.units, price.nanos), ("New", Some(4), 8, 500_000_000));
    let provenance = first.provenance.as_ref().unwrap();
    assert_eq!((provenance.party(), provenance.medium()), (Party::First, Medium::Offline));
    assert!(provenance.library.starts_with("comptoir-import/"));
    let last = &seen.products["P4"];
    assert_eq!((last.stock, last.price.is_none()), (None, true));
    assert!(seen.events.is_empty());
}

const PLAIN: &str = r#"
    [[identifiers]]
    kind = "user_id"
    value = "who"
    [columns]
    store_location = "shop"
    time = "time"
"#;

fn visits(count: usize) -> String {
    let row = |number| format!("u{number},lyon,2025-01-01\n");
    format!("who,shop,time\n{}", (1..=count).map(row).collect::<String>())
}

#[tokio::test]
async fn a_second_import_adds_nothing_and_a_changed_row_is_new() {
    let mut bench = Bench::mapped(RecordKind::StoreVisits, &visits(1_234), PLAIN);
    let first = bench.run().await.unwrap();
    let second = bench.run().await.unwrap();

    assert_eq!((first.accepted, first.duplicates), (1_234, 0));
    assert_eq!((second.accepted, second.duplicates, second.skipped), (0, 1_234, 0));
    assert!(!bench.folder.path().join("progress.json").exists(), "nothing is left to do");

    bench.import.file = write(&bench.folder, "rows.csv", visits(3).replace("lyon", "paris"));
    assert_eq!(bench.run().await.unwrap().accepted, 3);
}

#[tokio::test]
async fn an_interrupted_import_goes_on_where_it_was() {
    let bench = Bench::mapped(RecordKind::StoreVisits, &visits(5_000), PLAIN);
    let refused = kit::Error::permission_denied("SCOPE_MISSING", "events:write is needed");
    bench.shop.fail_after(5, refused);
    let error = bench.run().await.unwrap_err();
    assert!(error.to_string().starts_with("Collect failed after 2500 acknowledged records"), "{error}");

    let mut elsewhere = bench.import.clone();
    elsewhere.destination = "elsewhere".into();
    elsewhere.progress = Some(bench.folder.path().join("elsewhere.json"));
    fs::copy(bench.folder.path().join("progress.json"), bench.folder.path().join("elsewhere.json")).unwrap();
    let report = bench.run().await.unwrap();

    assert_eq!((report.records, report.skipped), (5_000, 2_500));
    assert_eq!(report.accepted + report.duplicates, 2_500);
    assert_eq!(bench.events().len(), 5_000);
    let report = import_records(elsewhere, Some(Shop::default().channel()), |_, _, _| {}).await.unwrap();
    assert_eq!((report.accepted, report.skipped), (5_000, 0), "what went elsewhere is not here");
}

#[tokio::test]
async fn a_dry_run_reports_the_same_and_sends_nothing() {
    let mut bench = Bench::mapped(RecordKind::StoreVisits, &(visits(700) + "u1,,2025-01-01\n"), PLAIN);
    bench.import.dry_run = true;
    let mut steps = Vec::new();

    let report =
        import_records(bench.import.clone(), Some(bench.shop.channel()), |step, _, _| steps.push(step)).await.unwrap();

    assert_eq!((report.lines, report.records, report.lines_rejected(), report.accepted), (701, 700, 1, 0));
    assert!(steps.iter().all(|step| *step == RecordStep::Read));
    assert!(bench.events().is_empty());
    assert_eq!(bench.rejects(), ["702,,missing_value,"]);
}

#[tokio::test]
async fn a_mapping_that_does_not_fit_is_told() {
    let parse = |kind, text: &str| RecordMapping::parse(text, kind).unwrap_err().to_string();
    let visits = RecordKind::StoreVisits;

    assert!(parse(visits, &PLAIN.replace("shop", "colour = \"x\"\nshop")).contains("colour"));
    assert!(parse(visits, "[columns]\ntime = \"t\"").contains("columns.store_location: must be given"));
    assert!(parse(visits, "[columns]\ntime = \"t\"").contains("identifiers: must name at least one"));
    assert!(parse(visits, &PLAIN.replace("user_id", "User Id")).contains("identifiers.kind: User Id"));
    assert!(parse(RecordKind::Signals, PLAIN).contains("signals are about nobody"));
    assert!(parse(visits, &format!("{PLAIN}\n[provenance]\nparty = \"fourth\"")).contains("fourth"));
    assert!(parse(visits, &format!("x = {}1{}", "[".repeat(100_000), "]".repeat(100_000))).starts_with("mapping"));

    let bench = Bench::mapped(visits, "who,shop\nu1,lyon\n", PLAIN);
    let error = bench.run().await.unwrap_err().to_string();
    assert!(error.contains("\"time\" (columns.time)"), "{error}");
    assert!(bench.events().is_empty());
}
