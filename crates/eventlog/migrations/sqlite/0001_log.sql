-- The end of each partition of each log that this service publishes.
CREATE TABLE log_partitions (
    log         TEXT    NOT NULL,
    tenant_id   TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (log, tenant_id, partition)
) STRICT;

-- The records, hundreds to a row. Keyed by the last offset, so that the batch holding an offset is one index step away.
CREATE TABLE log_batches (
    log            TEXT    NOT NULL,
    tenant_id      TEXT    NOT NULL,
    partition      INTEGER NOT NULL,
    last_offset    INTEGER NOT NULL,
    first_offset   INTEGER NOT NULL,
    append_time_us INTEGER NOT NULL,
    compression    INTEGER NOT NULL,
    crc32          INTEGER NOT NULL,
    stored_bytes   INTEGER NOT NULL,
    records        BLOB    NOT NULL,
    PRIMARY KEY (log, tenant_id, partition, last_offset)
) STRICT;

-- How far followers have come, as they reported it to this service.
CREATE TABLE log_followers (
    log            TEXT    NOT NULL,
    follower       TEXT    NOT NULL,
    tenant_id      TEXT    NOT NULL,
    partition      INTEGER NOT NULL,
    next_offset    INTEGER NOT NULL,
    report_time_us INTEGER NOT NULL,
    PRIMARY KEY (log, follower, tenant_id, partition)
) STRICT;

-- How far this service has come in the logs that it follows; written with the effects of the records.
CREATE TABLE log_cursors (
    follower    TEXT    NOT NULL,
    log         TEXT    NOT NULL,
    tenant_id   TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (follower, log, tenant_id, partition)
) STRICT;

-- The living replicas of each follower. Times are of the system clock.
CREATE TABLE log_members (
    follower       TEXT    NOT NULL,
    log            TEXT    NOT NULL,
    owner          TEXT    NOT NULL,
    expire_time_us INTEGER NOT NULL,
    PRIMARY KEY (follower, log, owner)
) STRICT;

-- Which replica folds which unit. partition is -1 where a unit is a whole tenant; owner is '' where nobody holds it.
CREATE TABLE log_leases (
    follower  TEXT    NOT NULL,
    log       TEXT    NOT NULL,
    tenant_id TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    owner     TEXT    NOT NULL,
    epoch     INTEGER NOT NULL,
    PRIMARY KEY (follower, log, tenant_id, partition)
) STRICT;

-- Records that a follower could not fold, kept with the reason.
CREATE TABLE log_dead_letters (
    follower       TEXT    NOT NULL,
    log            TEXT    NOT NULL,
    tenant_id      TEXT    NOT NULL,
    partition      INTEGER NOT NULL,
    record_offset  INTEGER NOT NULL,
    reason         TEXT    NOT NULL,
    append_time_us INTEGER NOT NULL,
    event_time_us  INTEGER NOT NULL,
    record_key     BLOB    NOT NULL,
    payload        BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, follower, log, partition, record_offset)
) STRICT;
