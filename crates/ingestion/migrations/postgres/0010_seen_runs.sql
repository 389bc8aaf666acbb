-- The deduplication window, written one after another instead of row by row in random places: see src/window/mod.rs.

-- Who writes next. Locked by every transaction that takes messages of the tenant, so its batches have one order.
CREATE TABLE seen_heads (
    tenant_id        TEXT    NOT NULL PRIMARY KEY,
    next_seq         BIGINT NOT NULL,
    merged_seq       BIGINT NOT NULL,
    merges           BIGINT NOT NULL,
    merging_until_us BIGINT NOT NULL
);

-- What one transaction took: 16-byte hashes of messages, sorted, all received at one time. Until they are merged.
CREATE TABLE seen_batches (
    tenant_id   TEXT    NOT NULL,
    seq         BIGINT NOT NULL,
    received_us BIGINT NOT NULL,
    ids         BIGINT NOT NULL,
    hashes      BYTEA   NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);

-- Many batches merged: sorted entries of a hash and the time when it was received.
CREATE TABLE seen_runs (
    tenant_id TEXT    NOT NULL,
    run_id    BIGINT NOT NULL,
    level     BIGINT NOT NULL,
    state     BIGINT NOT NULL,
    ids       BIGINT NOT NULL,
    newest_us BIGINT NOT NULL,
    touch_us  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, run_id)
);
CREATE TABLE seen_blocks (
    tenant_id TEXT    NOT NULL,
    run_id    BIGINT NOT NULL,
    block     BIGINT NOT NULL,
    entries   BYTEA   NOT NULL,
    PRIMARY KEY (tenant_id, run_id, block)
);
-- Where in a run a hash may be, as it is held in memory.
CREATE TABLE seen_indexes (
    tenant_id TEXT    NOT NULL,
    run_id    BIGINT NOT NULL,
    part      BIGINT NOT NULL,
    bytes     BYTEA   NOT NULL,
    PRIMARY KEY (tenant_id, run_id, part)
);

-- Hashes do not get smaller: nothing is gained by trying.
ALTER TABLE seen_batches ALTER COLUMN hashes SET STORAGE EXTERNAL;
ALTER TABLE seen_blocks ALTER COLUMN entries SET STORAGE EXTERNAL;
ALTER TABLE seen_indexes ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- What was seen stays seen.
INSERT INTO seen_batches (tenant_id, seq, received_us, ids, hashes)
SELECT tenant_id, ROW_NUMBER() OVER (PARTITION BY tenant_id ORDER BY message_hash), received_us, 1, message_hash
  FROM seen_messages;
INSERT INTO seen_heads (tenant_id, next_seq, merged_seq, merges, merging_until_us)
SELECT tenant_id, COUNT(*) + 1, 0, 0, 0
  FROM seen_messages
 GROUP BY tenant_id;
DROP TABLE seen_messages;
