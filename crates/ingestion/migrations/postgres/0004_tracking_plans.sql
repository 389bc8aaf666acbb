-- What each source is expected to send: a serialised comptoir.ingestion.v1.TrackingPlan.
CREATE TABLE tracking_plans (
    tenant_id TEXT    NOT NULL,
    source_id TEXT    NOT NULL,
    version   BIGINT NOT NULL,
    update_us BIGINT NOT NULL,
    plan      BYTEA    NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
);

-- What broke the plans.
CREATE TABLE plan_violations (
    tenant_id  TEXT    NOT NULL,
    source_id  TEXT    NOT NULL,
    event_name TEXT    NOT NULL,
    field      TEXT    NOT NULL,
    rule       TEXT    NOT NULL,
    library    TEXT    NOT NULL,
    violations BIGINT NOT NULL,
    first_us   BIGINT NOT NULL,
    last_us    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, source_id, event_name, field, rule, library)
);
