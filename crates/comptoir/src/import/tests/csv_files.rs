use proto::{event::v1::order_activity::Action, google::r#type::Money};

use super::{super::Reason, *};

fn euros(units: i64, nanos: i32) -> Option<Money> {
    Some(Money { currency_code: "EUR".into(), units, nanos })
}

fn plain(lines: &[&str]) -> Given {
    import("orders.csv", format!("{HEADER}\n{}\n", lines.join("\n")), PLAIN).unwrap()
}

#[test]
fn lines_of_an_order_become_one_event_wherever_they_stand() {
    let given = plain(&[
        "1001,7,P1,Candle,2,9.99,2025-03-01 10:05,France",
        "C1002,8,P2,Vase,-1,30,2025-03-02,Belgium",
        "1001,7,P1,Candle,1,9.99,2025-03-01 10:04,France",
    ]);

    assert_eq!((given.report.orders, given.report.cancellations, given.report.customers), (1, 1, 2));
    let order = given.order(0);
    assert_eq!((order.action(), order.order_id.as_str()), (Action::Completed, "1001"));
    assert_eq!(order.total, euros(29, 970_000_000));
    let quantities: Vec<_> = order.products.iter().map(|line| line.quantity).collect();
    assert_eq!(quantities, [2, 1], "the same product twice stays two lines");
    assert_eq!(order.products[0].price, euros(9, 990_000_000));
    let event = &given.events[0];
    assert_eq!(event.message_id, "import-1001");
    assert_eq!(event.event_time.unwrap().seconds, 1_740_823_440, "the earliest line counts");
    assert_eq!(event.context.as_ref().unwrap().location.as_ref().unwrap().country, "France");
    assert_eq!((event.identifiers[0].kind.as_str(), event.identifiers[0].value.as_str()), ("user_id", "7"));
    let cancellation = given.order(1);
    assert_eq!((cancellation.action(), cancellation.order_id.as_str()), (Action::Refunded, "C1002"));
    assert_eq!((cancellation.total.clone(), cancellation.products[0].quantity), (euros(30, 0), 1));
    assert_eq!(cancellation.refunded_order_id, "");
}

#[test]
fn each_bad_line_is_told_with_its_number_and_first_reason() {
    let bad = [
        (",,P,t,0,x,never,", Reason::MissingOrder),
        ("1,,P,t,1,1,31/12/2024,FR", Reason::BadDate),
        ("1,7,P,t,1,1,1969-12-31,FR", Reason::BadDate),
        ("1,,,t,0,x,2025-01-01,FR", Reason::MissingCustomer),
        ("1,nan,P,t,1,1,2025-01-01,FR", Reason::MissingCustomer),
        ("1,7,,t,0,x,2025-01-01,FR", Reason::MissingProduct),
        ("1,7,P,t,1.5,x,2025-01-01,FR", Reason::BadQuantity),
        ("1,7,P,t,0,1,2025-01-01,FR", Reason::BadQuantity),
        ("1,7,P,t,-1,free,2025-01-01,FR", Reason::BadPrice),
        ("1,7,P,t,-1,0,2025-01-01,FR", Reason::ZeroPrice),
        ("1,7,P,t,-1,-5,2025-01-01,FR", Reason::NegativePrice),
        ("1,7,P,t,-1,5,2025-01-01,FR", Reason::NegativeQuantity),
        ("C1,7,P,t,1,5,2025-01-01,FR", Reason::CancellationPositiveQuantity),
        ("1,8,P,t,1,5,2099-01-01,FR", Reason::CustomerConflict),
        ("1,7,P,t,1,5,2099-01-01,FR", Reason::DateInFuture),
        ("1,7,P,t,1000000,1000001,2025-01-01,FR", Reason::ValueTooLarge),
        ("1,7,P,t,1,99999999999999999999,2025-01-01,FR", Reason::BadPrice),
        ("1,7,P,t,1,5,2025-01-01", Reason::BrokenLine),
        ("1,7,P,t,1,5,2025-01-01,FR,more", Reason::BrokenLine),
        ("1,7,P,\"open,1,5,2025-01-01,FR", Reason::BrokenLine),
    ];
    let good = "1,7,P,t,1,5,2025-01-01,FR";
    let long = format!("{},7,P,t,1,5,2025-01-01,FR", "9".repeat(300));
    let lines: Vec<_> = [good].into_iter().chain(bad.iter().map(|(line, _)| *line)).chain([&*long, good]).collect();

    let given = plain(&lines);

    let named = |line: &String| line.split(',').nth(2).unwrap().to_owned();
    let expected: Vec<_> = bad.iter().map(|(_, reason)| reason.name()).chain(["id_too_long"]).collect();
    assert_eq!(given.rejects.iter().map(named).collect::<Vec<_>>(), expected);
    let numbered = given.rejects.iter().zip(3..).all(|(line, number)| line.starts_with(&format!("{number},")));
    assert!(numbered, "{:?}", given.rejects);
    assert_eq!((given.report.lines, given.report.lines_accepted), (23, 2));
    assert_eq!(given.report.lines, given.report.lines_accepted + given.report.lines_rejected());
    assert_eq!(given.order(0).products.len(), 2);
}

#[test]
fn currencies_are_a_column_too() {
    let mapping = PLAIN.replace("{ value = \"EUR\" }", "\"title\"");
    let content = format!(
        "{HEADER}\n1,7,P,gbp,1,1,2025-01-01,\n1,7,P,USD,1,1,2025-01-01,\n2,7,P,€,1,1,2025-01-01,\n2,7,P,,1,1,2025-01-01,\n"
    );

    let given = import("orders.csv", content, &mapping).unwrap();

    assert_eq!(given.order(0).total.as_ref().unwrap().currency_code, "GBP");
    assert_eq!(given.report.rejected[&Reason::CurrencyConflict], 1);
    assert_eq!(given.report.rejected[&Reason::BadCurrency], 2);
}

#[test]
fn french_files_with_semicolons_and_commas_are_read() {
    let mapping = r#"
        [file]
        delimiter = ";"
        [columns]
        order = "Numéro de commande"
        customer = "Carte"
        product = "Article"
        quantity = "Quantité"
        price = "Prix unitaire"
        currency = { value = "EUR" }
        date = "Date"
        email = "Courriel"
        category = "Rayon"
        [formats]
        date = "%d/%m/%Y %H:%M"
        timezone = "Europe/Paris"
        decimal_separator = ","
        [orders]
        customer_kind = "loyalty_card"
    "#;
    let content = "\u{FEFF}Date;Numéro de commande;Carte;Courriel;Rayon;Article;Quantité;Prix unitaire\r\n\
        24/12/2024 18:05;F-1;00042;zoe@example.com;Maison/Bougies;B-1;3;12,50\r\n\
        \r\n\
        24/12/2024 18:05;F-1;00042;;Maison/Bougies;B-2;1;\"0,01\"\r\n";

    let given = import("commandes.csv", content, mapping).unwrap();

    assert_eq!(given.report.rejected.len(), 0, "{:?}", given.rejects);
    let event = &given.events[0];
    assert_eq!(event.event_time.unwrap().seconds, 1_735_059_900);
    let identifiers: Vec<_> = event.identifiers.iter().map(|it| (it.kind.as_str(), it.value.as_str())).collect();
    assert_eq!(identifiers, [("loyalty_card", "00042"), ("email", "zoe@example.com")]);
    assert_eq!(given.order(0).total, euros(37, 510_000_000));
    assert_eq!(given.order(0).products[0].category, "Maison/Bougies");
}

#[test]
fn a_quote_that_is_never_closed_costs_one_line() {
    let mut content = format!("{HEADER}\n1,7,P,\"open,1,5,2025-01-01,FR\n");
    for order in 2..500 {
        content.push_str(&format!("{order},7,P,7\" plate,1,5,2025-01-01,FR\n"));
    }
    content.push_str("497,7,P,\"7\" plate\",1,5,2025-01-01,FR\n");
    content.push_str("500,7,P,\"two\nlines, \"\"quoted\"\"\",1,5,2025-01-01,FR");

    let given = import("orders.csv", content, PLAIN).unwrap();

    assert_eq!(
        given.rejects,
        ["2,,broken_line,opens a quote that is never closed", "501,,broken_line,has text behind a closing quote"]
    );
    assert_eq!(given.report.orders, 499);
    assert_eq!(given.order(0).products[0].name, "7\" plate");
    assert_eq!(given.order(498).products[0].name, "two\nlines, \"quoted\"");
}

#[test]
fn lines_that_are_no_text_or_endless_cost_themselves() {
    let mut content = format!("{HEADER}\n").into_bytes();
    content.extend(b"1,7,P,caf\xE9,1,5,2025-01-01,FR\n");
    content.extend(format!("2,7,P,{},1,5,2025-01-01,FR\n", "x".repeat(3 << 20)).bytes());
    content.extend(b"3,7,P,a\0b,1,5,2025-01-01,FR");

    let given = import("orders.csv", content, PLAIN).unwrap();

    assert_eq!(given.rejects, ["2,,broken_line,is not UTF-8 text", "3,,broken_line,is longer than 1 MiB"]);
    assert_eq!(given.order(0).products[0].name, "ab");
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let message = |name: &str, content: &[u8], mapping: &str| import(name, content, mapping).err().unwrap().to_string();

    let missing = message("o.csv", b"a;b;c\n", PLAIN);
    assert!(missing.contains("\"order\" (columns.order), \"customer\" (columns.customer)"), "{missing}");
    assert!(missing.ends_with("it has: a;b;c; is file.delimiter right?"), "{missing}");
    let doubled = message("o.csv", format!("{HEADER},order\n").as_bytes(), PLAIN);
    assert_eq!(doubled, "the column \"order\" (columns.order) stands in the file more than once");
    assert!(message("o.csv", b"", PLAIN).ends_with("is broken: it is empty"));
    assert!(message("o.csv", b"PAR1....", PLAIN).contains("is a Parquet file"));
    assert!(message("o.csv", b"\xFF\xFEo\0r\0", PLAIN).contains("its header line is not UTF-8 text"));
    assert!(message("o.csv", b"o\0r\0d\0", PLAIN).contains("UTF-16?"));
    assert!(message("o.xlsx", b"", PLAIN).contains("ends neither in .csv, .tsv, .jsonl, .ndjson nor .parquet"));
    let folder = tempfile::tempdir().unwrap();
    let error = import_path(folder.path(), &Mapping::parse(PLAIN).unwrap()).err().unwrap();
    assert!(matches!(error, ImportError::Unreadable { .. }), "{error}");
}

#[test]
fn the_file_itself_is_never_overwritten_with_its_rejects() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "orders.csv", HEADER);

    let result = read(&path, &Mapping::parse(PLAIN).unwrap(), Some(&path), now(), |_, _| {});

    assert!(matches!(result.err().unwrap(), ImportError::Rejects { .. }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), HEADER);
}

#[test]
fn an_order_too_large_for_an_event_loses_names_then_lines() {
    let line = |order: &str, count: usize, length: usize| {
        let name = "n".repeat(length);
        (0..count).map(|index| format!("{order},7,PRODUCT-{index},{name},1,5,2025-01-01,FR\n")).collect::<String>()
    };
    let content = format!("{HEADER}\n{}{}", line("1", 500, 400), line("2", 6_000, 1));

    let given = import("orders.csv", content, PLAIN).unwrap();

    assert_eq!((given.order(0).products.len(), given.order(0).products[0].name.as_str()), (500, ""));
    assert_eq!(given.order(0).total, euros(2_500, 0));
    let held = given.order(1).products.len();
    assert!((3_000..6_000).contains(&held), "{held}");
    assert_eq!(given.order(1).total, euros(5 * held as i64, 0));
    let size = prost::Message::encoded_len(&given.events[1]);
    assert!((100_000..=120 << 10).contains(&size), "{size}");
}

#[test]
fn a_long_order_id_still_gives_a_message_id_of_its_own() {
    let id = |tail: &str| super::super::event::message_id(&format!("{}{tail}", "é".repeat(120)));

    assert!(id("a").chars().count() <= 100);
    assert_ne!(id("a"), id("b"));
    assert_eq!(id("a"), id("a"));
}
