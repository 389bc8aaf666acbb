-- The sites whose pages may send to a source, with spaces between; none for every site.
CREATE TABLE source_origins (
    tenant_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    origins   TEXT NOT NULL,
    PRIMARY KEY (tenant_id, source_id)
);
