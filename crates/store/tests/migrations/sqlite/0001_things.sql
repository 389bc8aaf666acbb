CREATE TABLE things (
    thing_id TEXT    NOT NULL PRIMARY KEY,
    count    INTEGER NOT NULL,
    body     BLOB    NOT NULL
) STRICT;
