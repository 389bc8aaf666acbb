-- What the tests' followers have folded. The key makes folding twice an error.
CREATE TABLE seen (
    tenant_id     TEXT   NOT NULL,
    partition     BIGINT NOT NULL,
    record_offset BIGINT NOT NULL,
    payload       BYTEA  NOT NULL,
    PRIMARY KEY (tenant_id, partition, record_offset)
);
