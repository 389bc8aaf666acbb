-- What a tenant asks of the events of its sources; the empty source stands for the tenant. One that was
-- removed leaves its number.
CREATE TABLE consent_policies (
    tenant_id TEXT    NOT NULL,
    source_id TEXT    NOT NULL,
    version   BIGINT  NOT NULL,
    update_us BIGINT  NOT NULL,
    removed   BIGINT  NOT NULL,
    policy    BYTEA   NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
);

-- The newest answer of a person to a purpose that is required somewhere, by a hash of an identifier.
CREATE TABLE consent_answers (
    tenant_id  TEXT    NOT NULL,
    subject    BYTEA   NOT NULL,
    purpose    TEXT    NOT NULL,
    granted    BIGINT  NOT NULL,
    decided_us BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, subject, purpose)
);

-- One key for each person of whom events wait, sealed with the key of the configuration. Gone with the last of them.
CREATE TABLE consent_keys (
    tenant_id  TEXT NOT NULL,
    subject    BYTEA NOT NULL,
    sealed_key BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, subject)
);

-- Events that wait for an answer, sealed. `other_subject` is the account of a visitor who is known; empty without one.
CREATE TABLE pending_events (
    tenant_id     TEXT    NOT NULL,
    message_hash  BYTEA   NOT NULL,
    source_id     TEXT    NOT NULL,
    subject       BYTEA   NOT NULL,
    other_subject BYTEA   NOT NULL,
    purpose       TEXT    NOT NULL,
    receive_us    BIGINT  NOT NULL,
    ordinal       BIGINT  NOT NULL,
    expire_us     BIGINT  NOT NULL,
    due_us        BIGINT  NOT NULL,
    bytes         BIGINT  NOT NULL,
    sealed        BYTEA   NOT NULL,
    PRIMARY KEY (tenant_id, message_hash)
);
CREATE INDEX pending_events_by_subject ON pending_events (tenant_id, subject);
CREATE INDEX pending_events_by_other_subject ON pending_events (tenant_id, other_subject);
CREATE INDEX pending_events_by_due ON pending_events (due_us);

-- What became of events for want of consent, since the tenant began.
CREATE TABLE consent_counts (
    tenant_id TEXT    NOT NULL,
    source_id TEXT    NOT NULL,
    denied    BIGINT  NOT NULL,
    held      BIGINT  NOT NULL,
    released  BIGINT  NOT NULL,
    destroyed BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
);
