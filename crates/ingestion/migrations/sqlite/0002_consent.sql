-- What a tenant asks of the events of its sources; the empty source stands for the tenant. One that was
-- removed leaves its number.
CREATE TABLE consent_policies (
    tenant_id TEXT    NOT NULL,
    source_id TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    update_us INTEGER NOT NULL,
    removed   INTEGER NOT NULL,
    policy    BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
) STRICT;

-- The newest answer of a person to a purpose that is required somewhere, by a hash of an identifier.
CREATE TABLE consent_answers (
    tenant_id  TEXT    NOT NULL,
    subject    BLOB    NOT NULL,
    purpose    TEXT    NOT NULL,
    granted    INTEGER NOT NULL,
    decided_us INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, subject, purpose)
) STRICT, WITHOUT ROWID;

-- One key for each person of whom events wait, sealed with the key of the configuration. Gone with the last of them.
CREATE TABLE consent_keys (
    tenant_id  TEXT NOT NULL,
    subject    BLOB NOT NULL,
    sealed_key BLOB NOT NULL,
    PRIMARY KEY (tenant_id, subject)
) STRICT, WITHOUT ROWID;

-- Events that wait for an answer, sealed. `other_subject` is the account of a visitor who is known; empty without one.
CREATE TABLE pending_events (
    tenant_id     TEXT    NOT NULL,
    message_hash  BLOB    NOT NULL,
    source_id     TEXT    NOT NULL,
    subject       BLOB    NOT NULL,
    other_subject BLOB    NOT NULL,
    purpose       TEXT    NOT NULL,
    receive_us    INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,
    expire_us     INTEGER NOT NULL,
    due_us        INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    sealed        BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, message_hash)
) STRICT;
CREATE INDEX pending_events_by_subject ON pending_events (tenant_id, subject);
CREATE INDEX pending_events_by_other_subject ON pending_events (tenant_id, other_subject);
CREATE INDEX pending_events_by_due ON pending_events (due_us);

-- What became of events for want of consent, since the tenant began.
CREATE TABLE consent_counts (
    tenant_id TEXT    NOT NULL,
    source_id TEXT    NOT NULL,
    denied    INTEGER NOT NULL,
    held      INTEGER NOT NULL,
    released  INTEGER NOT NULL,
    destroyed INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
) STRICT;
