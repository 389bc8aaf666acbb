CREATE TABLE things (
    thing_id TEXT   NOT NULL PRIMARY KEY,
    count    BIGINT NOT NULL,
    body     BYTEA  NOT NULL
);
