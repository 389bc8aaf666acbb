use std::sync::Arc;

use parquet::{
    data_type::{
        ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type,
        Int64Type, Int96, Int96Type,
    },
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use super::{super::Reason, *};

/// The values of one optional column.
enum Values {
    Bytes(Vec<Option<&'static str>>),
    Fixed(Vec<Option<Vec<u8>>>),
    Double(Vec<Option<f64>>),
    Float(Vec<Option<f32>>),
    Int32(Vec<Option<i32>>),
    Int64(Vec<Option<i64>>),
    Int96(Vec<Option<[u32; 3]>>),
}

/// Writes a file with one row group per call of `groups`.
fn parquet(schema: &str, groups: &[Vec<Values>]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message orders {{ {schema} }}")).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default())).unwrap();
    for columns in groups {
        let mut group = writer.next_row_group().unwrap();
        for values in columns {
            let mut column = group.next_column().unwrap().unwrap();
            macro_rules! put {
                ($kind:ty, $values:expr, $to:expr) => {{
                    let levels: Vec<_> = $values.iter().map(|value| i16::from(value.is_some())).collect();
                    let present: Vec<_> = $values.iter().flatten().cloned().map($to).collect();
                    column.typed::<$kind>().write_batch(&present, Some(&levels), None).unwrap();
                }};
            }
            match values {
                Values::Bytes(values) => put!(ByteArrayType, values, ByteArray::from),
                Values::Fixed(values) => {
                    put!(FixedLenByteArrayType, values, |bytes| FixedLenByteArray::from(ByteArray::from(bytes)));
                }
                Values::Double(values) => put!(DoubleType, values, |value| value),
                Values::Float(values) => put!(FloatType, values, |value| value),
                Values::Int32(values) => put!(Int32Type, values, |value| value),
                Values::Int64(values) => put!(Int64Type, values, |value| value),
                Values::Int96(values) => put!(Int96Type, values, |value: [u32; 3]| Int96::from(value.to_vec())),
            }
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

const MAPPING: &str = r#"
    [columns]
    order = "ticket"
    customer = "card"
    product = "ean"
    quantity = "qty"
    price = "amount"
    currency = "cur"
    date = "at"
    [formats]
    timezone = "Europe/Paris"
"#;

/// 2024-07-01 12:00:00 as if it were UTC, in seconds.
const NOON: i64 = 1_719_835_200;

/// One order line in a file whose columns have these types.
fn one_line(types: [&str; 6], values: [Values; 6]) -> Given {
    let [ticket, card, ean, qty, amount, at] = types;
    let schema = format!(
        "optional {ticket}; optional {card}; optional {ean}; optional {qty}; optional {amount}; optional {at}; \
         optional binary cur (UTF8);"
    );
    let mut columns: Vec<_> = values.into_iter().collect();
    columns.push(Values::Bytes(vec![Some("eur")]));
    import("till.parquet", parquet(&schema, &[columns]), MAPPING).unwrap()
}

#[test]
fn columns_may_have_any_type_that_holds_their_values() {
    let local = NOON - 7_200;
    let cases: Vec<(&str, [&str; 6], [Values; 6], i64)> = vec![
        (
            "integers, floats, microseconds of a local time",
            [
                "int64 ticket",
                "double card",
                "int32 ean (INTEGER(32,false))",
                "double qty",
                "float amount",
                "int64 at (TIMESTAMP(MICROS,false))",
            ],
            [
                Values::Int64(vec![Some(489_434)]),
                Values::Double(vec![Some(13_085.0)]),
                Values::Int32(vec![Some(85_048)]),
                Values::Double(vec![Some(3.0)]),
                Values::Float(vec![Some(1_234.56)]),
                Values::Int64(vec![Some(NOON * 1_000_000)]),
            ],
            local,
        ),
        (
            "texts, decimals, milliseconds in UTC",
            [
                "binary ticket (UTF8)",
                "binary card (UTF8)",
                "binary ean",
                "int32 qty (INTEGER(16,true))",
                "int64 amount (DECIMAL(12,3))",
                "int64 at (TIMESTAMP(MILLIS,true))",
            ],
            [
                Values::Bytes(vec![Some("489434")]),
                Values::Bytes(vec![Some("13085.0")]),
                Values::Bytes(vec![Some("85048")]),
                Values::Int32(vec![Some(3)]),
                Values::Int64(vec![Some(1_234_560)]),
                Values::Int64(vec![Some(NOON * 1_000)]),
            ],
            NOON,
        ),
        (
            "decimals of bytes, nanoseconds of a local time",
            [
                "int64 ticket (INTEGER(64,false))",
                "int32 card",
                "int64 ean",
                "int64 qty (DECIMAL(18,0))",
                "fixed_len_byte_array(5) amount (DECIMAL(10,2))",
                "int64 at (TIMESTAMP(NANOS,false))",
            ],
            [
                Values::Int64(vec![Some(489_434)]),
                Values::Int32(vec![Some(13_085)]),
                Values::Int64(vec![Some(85_048)]),
                Values::Int64(vec![Some(3)]),
                Values::Fixed(vec![Some(123_456_i64.to_be_bytes()[3..].to_vec())]),
                Values::Int64(vec![Some(NOON * 1_000_000_000)]),
            ],
            local,
        ),
        (
            "numbers as texts, a day",
            [
                "binary ticket (ENUM)",
                "double card",
                "double ean",
                "binary qty (UTF8)",
                "binary amount (UTF8)",
                "int32 at (DATE)",
            ],
            [
                Values::Bytes(vec![Some(" 489434 ")]),
                Values::Double(vec![Some(13_085.0)]),
                Values::Double(vec![Some(85_048.0)]),
                Values::Bytes(vec![Some("3")]),
                Values::Bytes(vec![Some("1234.56")]),
                Values::Int32(vec![Some(19_905)]),
            ],
            NOON - 12 * 3_600 - 7_200,
        ),
        (
            "a text date, and the oldest timestamps",
            ["binary ticket (UTF8)", "int32 card", "int32 ean", "int32 qty", "double amount", "int96 at"],
            [
                Values::Bytes(vec![Some("489434")]),
                Values::Int32(vec![Some(13_085)]),
                Values::Int32(vec![Some(85_048)]),
                Values::Int32(vec![Some(3)]),
                Values::Double(vec![Some(1_234.56)]),
                Values::Int96(vec![Some(noon_int96())]),
            ],
            NOON,
        ),
    ];
    for (name, types, values, seconds) in cases {
        let given = one_line(types, values);

        assert_eq!(given.rejects, Vec::<String>::new(), "{name}");
        let order = given.order(0);
        assert_eq!(order.order_id, "489434", "{name}");
        assert_eq!(given.events[0].identifiers[0].value, "13085", "{name}");
        assert_eq!(order.products[0].product_id, "85048", "{name}");
        let total = order.total.as_ref().unwrap();
        assert_eq!((total.units, total.nanos, &*total.currency_code), (3_703, 680_000_000, "EUR"), "{name}");
        assert_eq!(given.events[0].event_time.unwrap().seconds, seconds, "{name}");
    }
}

/// Nanoseconds of the day, then the Julian day.
fn noon_int96() -> [u32; 3] {
    let nanos = 12 * 3_600 * 1_000_000_000_u64;
    [nanos as u32, (nanos >> 32) as u32, 19_905 + 2_440_588]
}

const SCHEMA: &str = "optional int64 ticket; optional double card; optional binary ean (UTF8); optional int64 qty; \
    optional double amount; optional int64 at (TIMESTAMP(MILLIS,true)); optional binary cur (UTF8);";

/// A file of `groups` row groups of 5,000 lines each; every tenth line has no customer.
fn large(groups: i64) -> Vec<u8> {
    let rows = 5_000;
    let group = |group: i64| {
        vec![
            Values::Int64((0..rows).map(|row| Some(group * rows + row)).collect()),
            Values::Double((0..rows).map(|row| (row % 10 != 0).then_some(row as f64)).collect()),
            Values::Bytes((0..rows).map(|_| Some("P")).collect()),
            Values::Int64((0..rows).map(|_| Some(1)).collect()),
            Values::Double((0..rows).map(|_| Some(0.1)).collect()),
            Values::Int64((0..rows).map(|_| Some(NOON * 1_000)).collect()),
            Values::Bytes((0..rows).map(|_| Some("EUR")).collect()),
        ]
    };
    parquet(SCHEMA, &(0..groups).map(group).collect::<Vec<_>>())
}

#[test]
fn rows_keep_their_numbers_across_row_groups() {
    let given = import("large.parquet", large(3), MAPPING).unwrap();

    assert_eq!(given.report.lines, 15_000);
    assert_eq!(given.report.rejected[&Reason::MissingCustomer], 1_500);
    assert_eq!(given.rejects[1_499], "14991,14990,missing_customer,");
    assert_eq!(given.report.orders, 13_500);
}

#[test]
fn a_file_without_rows_gives_nothing() {
    let given = import("none.parquet", parquet(SCHEMA, &[]), MAPPING).unwrap();

    assert_eq!(given.report, ImportReport::default());
}

#[test]
fn a_broken_file_is_refused_as_such_wherever_it_is_broken() {
    let whole = large(2);
    let refused = |content: &[u8]| match import("broken.parquet", content, MAPPING) {
        Err(error @ ImportError::Broken { .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a broken file was taken"),
    };

    for length in [0, 3, 4, 12, whole.len() / 2, whole.len() - 1] {
        assert!(refused(&whole[..length]).contains("no whole Parquet file"), "{length}");
    }
    assert!(refused(b"order,customer\n1,2\n").contains("no whole Parquet file"));
    let mut header_lost = whole.clone();
    header_lost[4..200].fill(0xFF);
    let message = refused(&header_lost);
    assert!(message.contains("column \"ticket\", after row 0") || message.contains("row group 1"), "{message}");
}

#[test]
fn columns_that_are_missing_nested_or_no_values_are_named() {
    let message = |schema: &str| import("o.parquet", parquet(schema, &[]), MAPPING).err().unwrap().to_string();

    let missing = message(&SCHEMA.replace("qty", "quantity"));
    assert_eq!(
        missing,
        "the file has no column \"qty\" (columns.quantity); it has: ticket, card, ean, quantity, amount, at, cur"
    );
    let nested = message(&SCHEMA.replace("optional double card;", "optional group card { optional double id; }"));
    assert_eq!(nested, "the column \"card\" (columns.customer) is nested; a column of plain values is needed");
    let repeated = message(&SCHEMA.replace("optional double card", "repeated double card"));
    assert!(repeated.contains("is nested"), "{repeated}");
    let clock = message(&SCHEMA.replace("TIMESTAMP(MILLIS,true)", "TIME(MICROS,true)"));
    assert!(clock.contains("\"at\" (columns.date) holds values of a kind"), "{clock}");
}
