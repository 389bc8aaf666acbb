use std::collections::BTreeSet;

use crate::harness::databases;

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |migrator: &sqlx::migrate::Migrator| -> Vec<(i64, String)> {
        migrator.iter().map(|migration| (migration.version, migration.description.to_string())).collect()
    };

    assert_eq!(names(&eventlog::MIGRATIONS.sqlite), names(&eventlog::MIGRATIONS.postgres));
}

#[tokio::test]
async fn both_engines_end_with_the_same_tables_and_columns() {
    const SQLITE: &str = "
        SELECT tables.name, columns.name
          FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name LIKE 'log\\_%' ESCAPE '\\'";
    const POSTGRES: &str = "
        SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT)
          FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name LIKE 'log\\_%'";
    let mut schemas: Vec<BTreeSet<(String, String)>> = Vec::new();
    for db in databases().await {
        let statement = if db.engine() == "sqlite" { SQLITE } else { POSTGRES };
        let columns: Vec<(String, String)> =
            store::on!(*db, pool => sqlx::query_as(statement).fetch_all(pool).await).unwrap();
        assert!(columns.len() > 30);
        schemas.push(columns.into_iter().collect());
    }

    assert!(schemas.windows(2).all(|pair| pair[0] == pair[1]), "{schemas:#?}");
}
