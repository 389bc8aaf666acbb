-- Whether some rule reads what a refresh of the cuts may change; of rules put before, nobody knows.
ALTER TABLE benches ADD COLUMN reads_cuts BIGINT NOT NULL DEFAULT 1;
