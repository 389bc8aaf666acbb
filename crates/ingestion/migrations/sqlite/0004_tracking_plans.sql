-- What each source is expected to send: a serialised comptoir.ingestion.v1.TrackingPlan.
CREATE TABLE tracking_plans (
    tenant_id TEXT    NOT NULL,
    source_id TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    update_us INTEGER NOT NULL,
    plan      BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
) STRICT;

-- What broke the plans.
CREATE TABLE plan_violations (
    tenant_id  TEXT    NOT NULL,
    source_id  TEXT    NOT NULL,
    event_name TEXT    NOT NULL,
    field      TEXT    NOT NULL,
    rule       TEXT    NOT NULL,
    library    TEXT    NOT NULL,
    violations INTEGER NOT NULL,
    first_us   INTEGER NOT NULL,
    last_us    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, source_id, event_name, field, rule, library)
) STRICT;
