-- One row per tenant: the lock of its writers, its counters, and its numbers for the summary. Whoever writes anything of
-- the tenant adds to version first, so that writers take turns and each knows whether another wrote in between.
CREATE TABLE tenants (
    tenant_id      TEXT   NOT NULL PRIMARY KEY,
    version        BIGINT NOT NULL,
    last_component BIGINT NOT NULL,
    last_change    BIGINT NOT NULL,
    profiles       BIGINT NOT NULL,
    identified     BIGINT NOT NULL,
    identifiers    BIGINT NOT NULL,
    refused        BIGINT NOT NULL,
    merges         BIGINT NOT NULL,
    splits         BIGINT NOT NULL,
    events         BIGINT NOT NULL
);

-- Identifiers that evidence connects, the evidence, and the people they make, in one row: it is read and written whole.
CREATE TABLE components (
    tenant_id    TEXT   NOT NULL,
    component_id BIGINT NOT NULL,
    state        BYTEA  NOT NULL,
    PRIMARY KEY (tenant_id, component_id)
);

-- Where each identifier lives. The key is the first 128 bits of the SHA-256 of its kind and normalised value.
CREATE TABLE identifiers (
    tenant_id      TEXT   NOT NULL,
    identifier_key BYTEA  NOT NULL,
    component_id   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, identifier_key)
);

-- Where each profile lives, or which profile absorbed it. 16 bytes of UUIDv7.
CREATE TABLE profiles (
    tenant_id    TEXT   NOT NULL,
    profile_id   BYTEA  NOT NULL,
    component_id BIGINT NOT NULL,
    survivor_id  BYTEA,
    PRIMARY KEY (tenant_id, profile_id)
);

-- Older pointers of profiles to their events in the profile log; the newest are in the component.
CREATE TABLE timeline_chunks (
    tenant_id   TEXT   NOT NULL,
    profile_id  BYTEA  NOT NULL,
    chunk       BIGINT NOT NULL,
    min_time_us BIGINT NOT NULL,
    max_time_us BIGINT NOT NULL,
    entries     BYTEA  NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, chunk)
);

-- Merges and splits, as serialised comptoir.identity.v1.ProfileChange.
CREATE TABLE changes (
    tenant_id TEXT   NOT NULL,
    change_no BIGINT NOT NULL,
    body      BYTEA  NOT NULL,
    PRIMARY KEY (tenant_id, change_no)
);

-- Which profiles a change touched.
CREATE TABLE change_profiles (
    tenant_id  TEXT   NOT NULL,
    profile_id BYTEA  NOT NULL,
    change_no  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, change_no)
);

-- Identifiers that somebody said are different people; the smaller key is first.
CREATE TABLE separations (
    tenant_id      TEXT   NOT NULL,
    first_key      BYTEA  NOT NULL,
    second_key     BYTEA  NOT NULL,
    reason         TEXT   NOT NULL,
    subject        TEXT   NOT NULL,
    decide_time_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, first_key, second_key)
);

-- Identifiers that somebody blocked (1) or freed (0).
CREATE TABLE blocked_identifiers (
    tenant_id      TEXT   NOT NULL,
    identifier_key BYTEA  NOT NULL,
    blocked        BIGINT NOT NULL,
    reason         TEXT   NOT NULL,
    subject        TEXT   NOT NULL,
    decide_time_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, identifier_key)
);
