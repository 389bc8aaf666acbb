//! Finding out whether anything can be written.

use rand::Rng;
use store::{Db, Error};
use uuid::Uuid;

/// More than what is left of a file whose disk is full: a small write may still fit into it.
const PADDING_BYTES: usize = 1 << 20;

const INSERT: &str = "
    INSERT INTO write_probes (probe_id, padding)
    VALUES ($1, $2)";
/// Those that others left behind as well.
const CLEAR: &str = "
    DELETE FROM write_probes";

/// Commits about as much as a busy intake does, and takes it away again.
pub(crate) async fn write(db: &Db) -> Result<(), Error> {
    // Drawn, so that no engine makes it smaller.
    let mut padding = vec![0; PADDING_BYTES];
    rand::rng().fill_bytes(&mut padding);
    let probe_id = Uuid::now_v7().to_string();

    let mut tx = db.begin().await?;
    store::within!(tx, conn => sqlx::query(INSERT).bind(&probe_id).bind(&padding).execute(&mut *conn).await.map(|_| ()))?;
    tx.commit().await?;

    let mut tx = db.begin().await?;
    store::within!(tx, conn => sqlx::query(CLEAR).execute(&mut *conn).await.map(|_| ()))?;
    tx.commit().await
}
