-- What is written, and removed at once, to find out whether anything can be written.
CREATE TABLE write_probes (
    probe_id TEXT NOT NULL PRIMARY KEY,
    padding  BLOB NOT NULL
) STRICT;
