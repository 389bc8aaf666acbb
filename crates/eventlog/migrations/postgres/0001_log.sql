-- The end of each partition of each log that this service publishes.
CREATE TABLE log_partitions (
    log         TEXT    NOT NULL,
    tenant_id   TEXT    NOT NULL,
    partition   BIGINT  NOT NULL,
    next_offset BIGINT  NOT NULL,
    PRIMARY KEY (log, tenant_id, partition)
);

-- The records, hundreds to a row. Keyed by the last offset, so that the batch holding an offset is one index step away.
CREATE TABLE log_batches (
    log            TEXT    NOT NULL,
    tenant_id      TEXT    NOT NULL,
    partition      BIGINT  NOT NULL,
    last_offset    BIGINT  NOT NULL,
    first_offset   BIGINT  NOT NULL,
    append_time_us BIGINT  NOT NULL,
    compression    BIGINT  NOT NULL,
    crc32          BIGINT  NOT NULL,
    stored_bytes   BIGINT  NOT NULL,
    records        BYTEA  NOT NULL,
    PRIMARY KEY (log, tenant_id, partition, last_offset)
);

-- How far followers have come, as they reported it to this service.
CREATE TABLE log_followers (
    log            TEXT    NOT NULL,
    follower       TEXT    NOT NULL,
    tenant_id      TEXT    NOT NULL,
    partition      BIGINT  NOT NULL,
    next_offset    BIGINT  NOT NULL,
    report_time_us BIGINT  NOT NULL,
    PRIMARY KEY (log, follower, tenant_id, partition)
);

-- How far this service has come in the logs that it follows; written with the effects of the records.
CREATE TABLE log_cursors (
    follower    TEXT    NOT NULL,
    log         TEXT    NOT NULL,
    tenant_id   TEXT    NOT NULL,
    partition   BIGINT  NOT NULL,
    next_offset BIGINT  NOT NULL,
    PRIMARY KEY (follower, log, tenant_id, partition)
);

-- The living replicas of each follower. Times are of the system clock.
CREATE TABLE log_members (
    follower       TEXT    NOT NULL,
    log            TEXT    NOT NULL,
    owner          TEXT    NOT NULL,
    expire_time_us BIGINT  NOT NULL,
    PRIMARY KEY (follower, log, owner)
);

-- Which replica folds which unit. partition is -1 where a unit is a whole tenant; owner is '' where nobody holds it.
CREATE TABLE log_leases (
    follower  TEXT    NOT NULL,
    log       TEXT    NOT NULL,
    tenant_id TEXT    NOT NULL,
    partition BIGINT  NOT NULL,
    owner     TEXT    NOT NULL,
    epoch     BIGINT  NOT NULL,
    PRIMARY KEY (follower, log, tenant_id, partition)
);

-- Records that a follower could not fold, kept with the reason.
CREATE TABLE log_dead_letters (
    follower       TEXT    NOT NULL,
    log            TEXT    NOT NULL,
    tenant_id      TEXT    NOT NULL,
    partition      BIGINT  NOT NULL,
    record_offset  BIGINT  NOT NULL,
    reason         TEXT    NOT NULL,
    append_time_us BIGINT  NOT NULL,
    event_time_us  BIGINT  NOT NULL,
    record_key     BYTEA   NOT NULL,
    payload        BYTEA  NOT NULL,
    PRIMARY KEY (tenant_id, follower, log, partition, record_offset)
);

-- A batch is compressed already: storing it as it is spares a second, useless attempt.
ALTER TABLE log_batches ALTER COLUMN records SET STORAGE EXTERNAL;
