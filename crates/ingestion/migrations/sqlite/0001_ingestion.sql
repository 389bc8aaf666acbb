-- Where events come from.
CREATE TABLE sources (
    tenant_id        TEXT    NOT NULL,
    source_id        TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    party            INTEGER NOT NULL,
    medium           INTEGER NOT NULL,
    default_currency TEXT    NOT NULL,
    create_us        INTEGER NOT NULL,
    request_id       TEXT,
    PRIMARY KEY (tenant_id, source_id),
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, request_id)
) STRICT;

-- Write keys, by the SHA-256 of the key. Public keys: they can only append to their source.
CREATE TABLE write_keys (
    key_hash     BLOB    NOT NULL PRIMARY KEY,
    write_key_id TEXT    NOT NULL UNIQUE,
    tenant_id    TEXT    NOT NULL,
    source_id    TEXT    NOT NULL,
    prefix       TEXT    NOT NULL,
    create_us    INTEGER NOT NULL,
    revoke_us    INTEGER
) STRICT;
CREATE INDEX write_keys_by_source ON write_keys (tenant_id, source_id);

-- The deduplication window: one row for each message taken, by the first 16 bytes of the SHA-256 of tenant, source and
-- message id. Nothing but the key and a time: at 10^8 rows every byte counts, and so does every further index.
CREATE TABLE seen_messages (
    tenant_id    TEXT    NOT NULL,
    message_hash BLOB    NOT NULL,
    received_us  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, message_hash)
) STRICT, WITHOUT ROWID;

-- What could not be taken, until it is replayed or discarded.
CREATE TABLE dead_letters (
    tenant_id      TEXT    NOT NULL,
    dead_letter_id TEXT    NOT NULL,
    source_id      TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    message        TEXT    NOT NULL,
    encoding       INTEGER NOT NULL,
    library        TEXT    NOT NULL,
    receive_us     INTEGER NOT NULL,
    payload        BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, dead_letter_id)
) STRICT;
CREATE INDEX dead_letters_by_time ON dead_letters (tenant_id, receive_us, dead_letter_id);

-- What each source sent, since the tenant began.
CREATE TABLE event_counts (
    tenant_id   TEXT    NOT NULL,
    source_id   TEXT    NOT NULL,
    accepted    INTEGER NOT NULL,
    duplicate   INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
) STRICT;
