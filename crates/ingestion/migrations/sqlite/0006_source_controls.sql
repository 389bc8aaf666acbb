-- How much a source may send in a second; 0 for no bound.
CREATE TABLE source_quotas (
    tenant_id         TEXT    NOT NULL,
    source_id         TEXT    NOT NULL,
    events_per_second INTEGER NOT NULL,
    bytes_per_second  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
) STRICT;

ALTER TABLE event_counts ADD COLUMN bot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event_counts ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event_counts ADD COLUMN invalid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event_counts ADD COLUMN off_plan INTEGER NOT NULL DEFAULT 0;
