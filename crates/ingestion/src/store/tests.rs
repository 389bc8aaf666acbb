//! The statements on both engines.

use sqlx::{Executor, Row, SqlSafeStr};
use store::Db;
use store::testing::{TestDb, databases};

use super::{
    consent_counts, consent_policies, controls, counts, dead_letters, letter_care, pending, plans, seen, signals,
    sources, violations, write_keys,
};

async fn both() -> Vec<TestDb> {
    databases(&[&crate::MIGRATIONS]).await
}

#[tokio::test]
async fn every_statement_prepares_on_both_engines() {
    for db in both().await {
        for statement in [
            sources::STATEMENTS,
            write_keys::STATEMENTS,
            dead_letters::STATEMENTS,
            counts::STATEMENTS,
            seen::STATEMENTS,
            seen::runs::STATEMENTS,
            consent_counts::STATEMENTS,
            consent_policies::STATEMENTS,
            pending::STATEMENTS,
            signals::STATEMENTS,
            controls::STATEMENTS,
            letter_care::STATEMENTS,
            plans::STATEMENTS,
            violations::STATEMENTS,
        ]
        .concat()
        {
            store::on!(*db, pool => pool.prepare(statement.into_sql_str()).await.map(|_| ()))
                .unwrap_or_else(|error| panic!("{}: {error}: {statement}", db.engine()));
        }
    }
}

#[tokio::test]
async fn both_engines_have_the_same_tables_and_columns() {
    const SQLITE: &str = "
        SELECT tables.name || '.' || columns.name
          FROM sqlite_master AS tables
          JOIN pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name NOT LIKE '\\_%' ESCAPE '\\' AND tables.name NOT LIKE 'sqlite%'";
    const POSTGRES: &str = "
        SELECT table_name || '.' || column_name
          FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_%'";
    let mut columns = Vec::new();
    for db in both().await {
        let mut names: Vec<String> = match &*db {
            Db::Sqlite(sqlite) => sqlx::query_scalar(SQLITE).fetch_all(sqlite.readers()).await.unwrap(),
            Db::Postgres(pool) => {
                sqlx::query(POSTGRES).fetch_all(pool).await.unwrap().iter().map(|row| row.get(0)).collect()
            }
        };
        names.sort();
        assert!(names.contains(&"seen_batches.hashes".to_owned()), "{}: {names:?}", db.engine());
        columns.push(names);
    }
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{columns:#?}");
}
