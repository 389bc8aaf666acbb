-- To find dead letters by the event they are, and to tell which nobody has listed.
ALTER TABLE dead_letters ADD COLUMN event_name TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN read_us BIGINT;
