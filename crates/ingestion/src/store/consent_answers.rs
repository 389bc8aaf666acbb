//! What people answered, and the keys under which their events wait.

use std::collections::HashMap;

use kit::TenantId;
use sqlx::QueryBuilder;
use store::{Error, Tx};

use super::fixed;
use crate::domain::consent::{Stated, Subject};

const FIND: &str = "
    SELECT subject, purpose, granted, decided_us
      FROM consent_answers
     WHERE tenant_id = ";
const PUT: &str = "
    INSERT INTO consent_answers (tenant_id, subject, purpose, granted, decided_us) ";
// Of two answers at one instant the refusal counts.
const PUT_NEWER: &str = "
    ON CONFLICT (tenant_id, subject, purpose) DO UPDATE
       SET granted = excluded.granted, decided_us = excluded.decided_us
     WHERE consent_answers.decided_us < excluded.decided_us
        OR (consent_answers.decided_us = excluded.decided_us AND excluded.granted = 0)";
const ADD_KEY: &str = "
    INSERT INTO consent_keys (tenant_id, subject, sealed_key) ";
// Told with its own key, a row is locked until the transaction ends: the key is not destroyed meanwhile.
const KEEP_KEY: &str = "
    ON CONFLICT (tenant_id, subject) DO UPDATE SET sealed_key = consent_keys.sealed_key
    RETURNING subject, sealed_key";
const FIND_KEYS: &str = "
    SELECT subject, sealed_key
      FROM consent_keys
     WHERE tenant_id = ";
const LOCK_KEYS: &str = "
    UPDATE consent_keys
       SET sealed_key = sealed_key
     WHERE tenant_id = ";
const DESTROY_KEYS: &str = "
    DELETE FROM consent_keys
     WHERE NOT EXISTS (SELECT 1
                         FROM pending_events
                        WHERE pending_events.tenant_id = consent_keys.tenant_id
                          AND pending_events.subject = consent_keys.subject)
       AND tenant_id = ";

/// Newest answers by person and purpose.
pub(crate) type Answers = HashMap<(Subject, String), Stated>;

/// Returns what people answered.
pub(crate) async fn find(tx: &mut Tx, tenant: &TenantId, subjects: &[Subject]) -> Result<Answers, Error> {
    let mut answers = Answers::new();
    for chunk in store::chunks(subjects, 1) {
        let rows: Vec<(Vec<u8>, String, i64, i64)> = store::within!(tx, conn => {
            in_list!(FIND, tenant, "subject", chunk).push(")").build_query_as().fetch_all(&mut *conn).await
        })?;
        for (subject, purpose, granted, decided_us) in rows {
            answers.insert((fixed(subject)?, purpose), Stated { granted: granted != 0, decided_us });
        }
    }
    Ok(answers)
}

/// Notes answers that are newer than what is known. In order, so that transactions lock alike.
pub(crate) async fn put(tx: &mut Tx, tenant: &TenantId, answers: &[(Subject, String, Stated)]) -> Result<(), Error> {
    for chunk in store::chunks(answers, 5) {
        store::within!(tx, conn => {
            let mut query = QueryBuilder::new(PUT);
            query.push_values(chunk, |mut row, (subject, purpose, stated)| {
                row.push_bind(tenant.as_str())
                    .push_bind(subject.as_slice())
                    .push_bind(purpose)
                    .push_bind(i64::from(stated.granted))
                    .push_bind(stated.decided_us);
            });
            query.push(PUT_NEWER);
            query.build().execute(&mut *conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Adds keys where there are none, in order; returns the one that each person has.
pub(crate) async fn ensure_keys(
    tx: &mut Tx,
    tenant: &TenantId,
    drawn: &[(Subject, Vec<u8>)],
) -> Result<HashMap<Subject, Vec<u8>>, Error> {
    let mut keys = HashMap::new();
    for chunk in store::chunks(drawn, 3) {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = store::within!(tx, conn => {
            let mut query = QueryBuilder::new(ADD_KEY);
            query.push_values(chunk, |mut row, (subject, sealed_key)| {
                row.push_bind(tenant.as_str()).push_bind(subject.as_slice()).push_bind(sealed_key);
            });
            query.push(KEEP_KEY);
            query.build_query_as().fetch_all(&mut *conn).await
        })?;
        for (subject, sealed_key) in rows {
            keys.insert(fixed(subject)?, sealed_key);
        }
    }
    Ok(keys)
}

/// Returns the keys of those who have one.
pub(crate) async fn find_keys(
    tx: &mut Tx,
    tenant: &TenantId,
    subjects: &[Subject],
) -> Result<HashMap<Subject, Vec<u8>>, Error> {
    let mut keys = HashMap::new();
    for chunk in store::chunks(subjects, 1) {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = store::within!(tx, conn => {
            in_list!(FIND_KEYS, tenant, "subject", chunk).push(")").build_query_as().fetch_all(&mut *conn).await
        })?;
        for (subject, sealed_key) in rows {
            keys.insert(fixed(subject)?, sealed_key);
        }
    }
    Ok(keys)
}

/// Destroys the keys under which nothing waits any more.
pub(crate) async fn destroy_unused_keys(tx: &mut Tx, tenant: &TenantId, subjects: &[Subject]) -> Result<(), Error> {
    for chunk in store::chunks(subjects, 1) {
        // Two statements: the second sees what those added who held the locks of the first.
        for sql in [LOCK_KEYS, DESTROY_KEYS] {
            store::within!(tx, conn => {
                in_list!(sql, tenant, "subject", chunk).push(")").build().execute(&mut *conn).await.map(|_| ())
            })?;
        }
    }
    Ok(())
}
