CREATE TABLE tenants (
    tenant_id  TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    api_key_id  TEXT    NOT NULL PRIMARY KEY,
    tenant_id   TEXT    NOT NULL REFERENCES tenants (tenant_id),
    name        TEXT    NOT NULL,
    prefix      TEXT    NOT NULL,
    secret_hash BLOB    NOT NULL UNIQUE,
    scopes      TEXT    NOT NULL,
    created_us  INTEGER NOT NULL,
    revoked_us  INTEGER
) STRICT;

CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, api_key_id);
