-- One row per tenant: the lock of its writers, its counters, and its numbers for the summary. Whoever writes anything of
-- the tenant adds to version first, so that writers take turns and each knows whether another wrote in between.
CREATE TABLE tenants (
    tenant_id      TEXT    NOT NULL PRIMARY KEY,
    version        INTEGER NOT NULL,
    last_component INTEGER NOT NULL,
    last_change    INTEGER NOT NULL,
    profiles       INTEGER NOT NULL,
    identified     INTEGER NOT NULL,
    identifiers    INTEGER NOT NULL,
    refused        INTEGER NOT NULL,
    merges         INTEGER NOT NULL,
    splits         INTEGER NOT NULL,
    events         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Identifiers that evidence connects, the evidence, and the people they make, in one row: it is read and written whole.
CREATE TABLE components (
    tenant_id    TEXT    NOT NULL,
    component_id INTEGER NOT NULL,
    state        BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, component_id)
) STRICT;

-- Where each identifier lives. The key is the first 128 bits of the SHA-256 of its kind and normalised value.
CREATE TABLE identifiers (
    tenant_id      TEXT    NOT NULL,
    identifier_key BLOB    NOT NULL,
    component_id   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, identifier_key)
) STRICT, WITHOUT ROWID;

-- Where each profile lives, or which profile absorbed it. 16 bytes of UUIDv7.
CREATE TABLE profiles (
    tenant_id    TEXT    NOT NULL,
    profile_id   BLOB    NOT NULL,
    component_id INTEGER NOT NULL,
    survivor_id  BLOB,
    PRIMARY KEY (tenant_id, profile_id)
) STRICT, WITHOUT ROWID;

-- Older pointers of profiles to their events in the profile log; the newest are in the component.
CREATE TABLE timeline_chunks (
    tenant_id   TEXT    NOT NULL,
    profile_id  BLOB    NOT NULL,
    chunk       INTEGER NOT NULL,
    min_time_us INTEGER NOT NULL,
    max_time_us INTEGER NOT NULL,
    entries     BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, chunk)
) STRICT;

-- Merges and splits, as serialised comptoir.identity.v1.ProfileChange.
CREATE TABLE changes (
    tenant_id TEXT    NOT NULL,
    change_no INTEGER NOT NULL,
    body      BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, change_no)
) STRICT;

-- Which profiles a change touched.
CREATE TABLE change_profiles (
    tenant_id  TEXT    NOT NULL,
    profile_id BLOB    NOT NULL,
    change_no  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, change_no)
) STRICT, WITHOUT ROWID;

-- Identifiers that somebody said are different people; the smaller key is first.
CREATE TABLE separations (
    tenant_id      TEXT    NOT NULL,
    first_key      BLOB    NOT NULL,
    second_key     BLOB    NOT NULL,
    reason         TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    decide_time_us INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, first_key, second_key)
) STRICT, WITHOUT ROWID;

-- Identifiers that somebody blocked (1) or freed (0).
CREATE TABLE blocked_identifiers (
    tenant_id      TEXT    NOT NULL,
    identifier_key BLOB    NOT NULL,
    blocked        INTEGER NOT NULL,
    reason         TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    decide_time_us INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, identifier_key)
) STRICT, WITHOUT ROWID;
