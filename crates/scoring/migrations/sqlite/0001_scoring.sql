-- What is kept of each person. `partition` is the one of the profile log that the person's records come in.
CREATE TABLE profiles (
    tenant_id   TEXT    NOT NULL,
    profile_id  TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    order_count INTEGER NOT NULL,
    -- When time alone may next change a membership; NULL when it cannot.
    due_us      INTEGER,
    state       BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, profile_id)
) STRICT;
CREATE INDEX profiles_by_partition ON profiles (tenant_id, partition, profile_id);
CREATE INDEX profiles_by_due ON profiles (due_us, tenant_id, partition) WHERE due_us IS NOT NULL;

-- What was told of each order; the truth that statistics of orders are computed from.
CREATE TABLE orders (
    tenant_id  TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    order_id   TEXT NOT NULL,
    facts      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_by_id ON orders (tenant_id, order_id);

-- People with money in a currency: what RFM is computed from, small enough to be scanned.
CREATE TABLE buyers (
    tenant_id     TEXT    NOT NULL,
    profile_id    TEXT    NOT NULL,
    currency      TEXT    NOT NULL,
    order_count   INTEGER NOT NULL,
    last_order_us INTEGER NOT NULL,
    net_micros    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, currency)
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
    tenant_id       TEXT    NOT NULL,
    segment_id      TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    expression      TEXT    NOT NULL,
    created_version INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    update_us       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, segment_id)
) STRICT;

CREATE TABLE memberships (
    tenant_id  TEXT    NOT NULL,
    segment_id TEXT    NOT NULL,
    profile_id TEXT    NOT NULL,
    enter_us   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, segment_id, profile_id)
) STRICT, WITHOUT ROWID;

-- By what a tenant's people are judged.
CREATE TABLE benches (
    tenant_id          TEXT    NOT NULL,
    rules_version      INTEGER NOT NULL,
    cuts_version       INTEGER NOT NULL,
    cuts_as_of_us      INTEGER NOT NULL,
    -- Changes of orders, over all shards, that the cuts take in.
    cuts_order_changes INTEGER NOT NULL,
    cuts               BLOB    NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;

-- One row per partition; whoever changes its people locks it first.
CREATE TABLE shards (
    tenant_id     TEXT    NOT NULL,
    partition     INTEGER NOT NULL,
    -- Grows with each transaction that held the lock.
    revision      INTEGER NOT NULL,
    -- Grows with each change of a person's orders.
    order_changes INTEGER NOT NULL,
    -- Versions by which everyone in the shard has been judged.
    judged_rules  INTEGER NOT NULL,
    judged_cuts   INTEGER NOT NULL,
    -- Versions of the pass that is judging everyone, and the last person it has judged.
    pass_rules    INTEGER NOT NULL,
    pass_cuts     INTEGER NOT NULL,
    pass_after    TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, partition)
) STRICT;
