//! Mapping files that are made to grow: `comptoir import --mapping` refuses them by name, within little memory.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use comptoir::cluster::programs_beside_this_one;

/// Most address space that the command gets, in KiB. Beyond it an allocation fails, and the command dies by a signal.
const ADDRESS_SPACE: &str = "1500000";
/// CPU seconds that it gets.
const CPU_SECONDS: &str = "20";

const COLUMNS: &str = r#"
[columns]
order = "order"
customer = "customer"
product = "product"
quantity = "quantity"
price = "price"
date = "date"
"#;
const CURRENCY: &str = "currency = { value = \"EUR\" }\n";
const HEADER: &str = "order,customer,product,quantity,price,date\n";

fn import(what: &str, file: &Path, mapping: &Path) -> anyhow::Result<Output> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let limited = format!(r#"ulimit -v {ADDRESS_SPACE} && ulimit -t {CPU_SECONDS} && exec "$0" "$@""#);
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).arg(programs_beside_this_one()?.join("comptoir"));
    command.args(["import", what, "--dry-run", "--mapping"]).arg(mapping).arg(file);
    Ok(command.current_dir(folder).stdin(Stdio::null()).output()?)
}

fn orders() -> String {
    let rows = (0..2_000).map(|number| format!("{number},c-{number},p-1,1,2.50,2025-03-01\n"));
    HEADER.chars().chain(rows.collect::<String>().chars()).collect()
}

#[test]
fn mappings_that_are_made_to_grow_are_refused_by_name() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, mapping) = (folder.path().join("orders.csv"), folder.path().join("mapping.toml"));
    fs::write(&file, orders())?;
    let good = format!("{COLUMNS}{CURRENCY}");
    let constant =
        |value: &str| format!("{COLUMNS}currency = {{ value = \"EUR\" }}\ncategory = {{ value = \"{value}\" }}\n");
    // The limit of a mapping file is 64 KiB: each of these is just below it.
    let room = (64 << 10) - 2_000;

    fs::write(&mapping, &good)?;
    let output = import("orders", &file, &mapping)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let many = |line: &dyn Fn(usize) -> String| {
        (0..)
            .map(line)
            .scan(0, |length, line| {
                *length += line.len();
                (*length < room).then_some(line)
            })
            .collect::<String>()
    };
    for (what, text, told) in [
        (
            "thousands of columns",
            format!("{good}{}", many(&|number| format!("c{number} = \"x\"\n"))),
            "unknown field `c0`",
        ),
        ("thousands of tables", format!("{good}{}", many(&|number| format!("[t{number}]\n"))), "unknown field `t0`"),
        ("thousands of lists", format!("{good}{}", many(&|_| "[[t]]\n".into())), "unknown field `t`"),
        ("nested lists", format!("{good}x = {}{}\n", "[".repeat(room / 2), "]".repeat(room / 2)), "mapping"),
        ("nested tables", format!("{good}x = {}1{}\n", "{a=".repeat(room / 4), "}".repeat(room / 4)), "mapping"),
        ("a dotted key", format!("{good}{}a = 1\n", "a.".repeat(room / 2)), "mapping"),
        ("a dotted table", format!("{good}[{}a]\n", "a.".repeat(room / 2)), "mapping"),
        (
            "dotted keys again and again",
            format!("{good}{}", many(&|number| format!("{}k{number} = 1\n", "a.".repeat(60)))),
            "unknown field `a`",
        ),
        ("a huge value in every row", constant(&"x".repeat(room)), "columns.category: must be at most 1000 characters"),
        ("a huge zone", format!("{good}[formats]\ntimezone = \"{}\"\n", "x".repeat(room)), "formats.timezone"),
        (
            "a huge pattern",
            format!("{good}[formats]\ndate = \"{}\"\n", "%c".repeat(room / 2)),
            "formats.date: must be at most",
        ),
        ("larger than a mapping", format!("{good}#{}\n", "x".repeat(300 << 10)), "is larger than 65536 bytes"),
        ("an entity of XML", "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>".into(), "mapping"),
        ("an anchor of YAML", "a: &a [ha, ha]\nb: &b [*a, *a]\nc: [*b, *b]\n".into(), "mapping"),
    ] {
        fs::write(&mapping, text)?;
        let output = import("orders", &file, &mapping)?;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {:?} {error:.300}", output.status);
        assert!(error.contains(told), "{what}: {error:.300} should say {told}");
        assert!(error.len() < 20_000, "{what}: {} bytes are told", error.len());
    }

    // What has no end and says that it has no size.
    let output = import("orders", &file, Path::new("/dev/zero"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{:?} {error}", output.status);
    assert!(error.contains("is larger than 65536 bytes"), "{error}");
    Ok(())
}

/// The nearest to an entity that a mapping has: one cell that many properties name.
#[test]
fn a_cell_that_is_named_many_times_grows_no_further_than_an_event() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, mapping) = (folder.path().join("visits.csv"), folder.path().join("mapping.toml"));
    let cell = "x".repeat(900_000);
    let rows = (0..50).map(|number| format!("u-{number},s-1,2025-03-01,{cell}\n"));
    fs::write(&file, format!("user,store,time,cell\n{}u-1,s-1,2025-03-01,small\n", rows.collect::<String>()))?;
    let named = |count: usize| {
        let properties: String = (0..count).map(|number| format!("p{number} = \"cell\"\n")).collect();
        let columns = "[columns]\nstore_location = \"store\"\ntime = \"time\"\n";
        format!("{columns}[[identifiers]]\nkind = \"user_id\"\nvalue = \"user\"\n[properties]\n{properties}")
    };

    fs::write(&mapping, named(200))?;
    let output = import("store-visits", &file, &mapping)?;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told:.500}");
    let rejects = fs::read_to_string(folder.path().join("visits.csv.rejects.csv"))?;
    assert_eq!(rejects.matches("too_large").count(), 50, "{told:.500}");

    fs::write(&mapping, named(3_000))?;
    let output = import("store-visits", &file, &mapping)?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error:.300}");
    assert!(error.contains("properties: at most 200"), "{error:.300}");
    Ok(())
}
