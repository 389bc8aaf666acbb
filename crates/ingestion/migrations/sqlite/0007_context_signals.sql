-- What bears on many people at a place and time: the newest word about each kind, place and start. The log keeps every word.
-- A part of the place that a signal does not name is '': it holds everywhere within the rest.
CREATE TABLE context_signals (
    tenant_id       TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    start_us        INTEGER NOT NULL,
    country         TEXT    NOT NULL,
    region          TEXT    NOT NULL,
    city            TEXT    NOT NULL,
    postal_code     TEXT    NOT NULL,
    end_us          INTEGER NOT NULL,
    source_id       TEXT    NOT NULL,
    party           INTEGER NOT NULL,
    medium          INTEGER NOT NULL,
    told_us         INTEGER NOT NULL,
    event_id        TEXT    NOT NULL,
    properties_json BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, kind, start_us, country, region, city, postal_code)
) STRICT;
CREATE INDEX context_signals_by_time ON context_signals (tenant_id, start_us);
