-- The deduplication window, written one after another instead of row by row in random places: see src/window/mod.rs.

-- Who writes next. Locked by every transaction that takes messages of the tenant, so its batches have one order.
CREATE TABLE seen_heads (
    tenant_id        TEXT    NOT NULL PRIMARY KEY,
    next_seq         INTEGER NOT NULL,
    merged_seq       INTEGER NOT NULL,
    merges           INTEGER NOT NULL,
    merging_until_us INTEGER NOT NULL
) STRICT;

-- What one transaction took: 16-byte hashes of messages, sorted, all received at one time. Until they are merged.
CREATE TABLE seen_batches (
    tenant_id   TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    received_us INTEGER NOT NULL,
    ids         INTEGER NOT NULL,
    hashes      BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, seq)
) STRICT;

-- Many batches merged: sorted entries of a hash and the time when it was received.
CREATE TABLE seen_runs (
    tenant_id TEXT    NOT NULL,
    run_id    INTEGER NOT NULL,
    level     INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    ids       INTEGER NOT NULL,
    newest_us INTEGER NOT NULL,
    touch_us  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id)
) STRICT;
CREATE TABLE seen_blocks (
    tenant_id TEXT    NOT NULL,
    run_id    INTEGER NOT NULL,
    block     INTEGER NOT NULL,
    entries   BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, run_id, block)
) STRICT;
-- Where in a run a hash may be, as it is held in memory.
CREATE TABLE seen_indexes (
    tenant_id TEXT    NOT NULL,
    run_id    INTEGER NOT NULL,
    part      INTEGER NOT NULL,
    bytes     BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, run_id, part)
) STRICT;

-- What was seen stays seen.
INSERT INTO seen_batches (tenant_id, seq, received_us, ids, hashes)
SELECT tenant_id, ROW_NUMBER() OVER (PARTITION BY tenant_id ORDER BY message_hash), received_us, 1, message_hash
  FROM seen_messages;
INSERT INTO seen_heads (tenant_id, next_seq, merged_seq, merges, merging_until_us)
SELECT tenant_id, COUNT(*) + 1, 0, 0, 0
  FROM seen_messages
 GROUP BY tenant_id;
DROP TABLE seen_messages;
