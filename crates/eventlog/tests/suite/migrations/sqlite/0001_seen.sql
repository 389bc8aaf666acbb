-- What the tests' followers have folded. The key makes folding twice an error.
CREATE TABLE seen (
    tenant_id     TEXT    NOT NULL,
    partition     INTEGER NOT NULL,
    record_offset INTEGER NOT NULL,
    payload       BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, partition, record_offset)
) STRICT;
