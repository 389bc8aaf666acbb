-- How much a source may send in a second; 0 for no bound.
CREATE TABLE source_quotas (
    tenant_id         TEXT    NOT NULL,
    source_id         TEXT    NOT NULL,
    events_per_second BIGINT NOT NULL,
    bytes_per_second  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
);

ALTER TABLE event_counts ADD COLUMN bot BIGINT NOT NULL DEFAULT 0;
ALTER TABLE event_counts ADD COLUMN late BIGINT NOT NULL DEFAULT 0;
ALTER TABLE event_counts ADD COLUMN invalid BIGINT NOT NULL DEFAULT 0;
ALTER TABLE event_counts ADD COLUMN off_plan BIGINT NOT NULL DEFAULT 0;
