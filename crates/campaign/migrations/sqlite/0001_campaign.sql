-- What messages look like.
CREATE TABLE templates (
    tenant_id   TEXT    NOT NULL,
    template_id TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    update_us   INTEGER NOT NULL,
    definition  BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, template_id)
) STRICT;

-- What the tenant wants to say. put_us: only what happened from then on sets it off.
CREATE TABLE campaigns (
    tenant_id   TEXT    NOT NULL,
    campaign_id TEXT    NOT NULL,
    put_us      INTEGER NOT NULL,
    paused      INTEGER NOT NULL,
    definition  BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, campaign_id)
) STRICT;

-- How often and when people may be contacted.
CREATE TABLE contact_policies (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    policy    BLOB NOT NULL
) STRICT;

-- What campaign needs to know of each person, folded from the profile log.
CREATE TABLE contacts (
    tenant_id  TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    state      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, profile_id)
) STRICT;

-- Who is or was in which segment, folded from the score log: the last stay and the one before. exit_us is 0 inside.
CREATE TABLE memberships (
    tenant_id     TEXT    NOT NULL,
    profile_id    TEXT    NOT NULL,
    segment_id    TEXT    NOT NULL,
    enter_us      INTEGER NOT NULL,
    exit_us       INTEGER NOT NULL,
    prev_enter_us INTEGER NOT NULL,
    prev_exit_us  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, segment_id)
) STRICT;

-- Profiles that are no more: into whom they were merged; '' for erased ones.
CREATE TABLE gone_profiles (
    tenant_id   TEXT NOT NULL,
    profile_id  TEXT NOT NULL,
    survivor_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, profile_id)
) STRICT;

-- One row per message through its whole life: the timer, the decision, the hand-over, what became of it. Times that have
-- not come are 0. fire_us: when the next step is due. as_of_us: the instant the decision stands for.
CREATE TABLE messages (
    tenant_id      TEXT    NOT NULL,
    message_id     TEXT    NOT NULL,
    campaign_id    TEXT    NOT NULL,
    profile_id     TEXT    NOT NULL,
    channel        INTEGER NOT NULL,
    state          INTEGER NOT NULL,
    reason         INTEGER NOT NULL,
    purpose        TEXT    NOT NULL,
    cause          TEXT    NOT NULL,
    trigger_text   TEXT    NOT NULL,
    trigger_us     INTEGER NOT NULL,
    due_us         INTEGER NOT NULL,
    fire_us        INTEGER NOT NULL,
    decide_us      INTEGER NOT NULL,
    as_of_us       INTEGER NOT NULL,
    send_us        INTEGER NOT NULL,
    open_us        INTEGER NOT NULL,
    click_us       INTEGER NOT NULL,
    unsubscribe_us INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    traceparent    TEXT    NOT NULL,
    gates          BLOB    NOT NULL,
    products       TEXT    NOT NULL,
    links          TEXT    NOT NULL,
    address_hash   BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, message_id)
) STRICT;
CREATE INDEX messages_due ON messages (tenant_id, state, fire_us);
CREATE INDEX messages_profile ON messages (tenant_id, profile_id);
CREATE INDEX messages_decided ON messages (tenant_id, decide_us, message_id);

-- Addresses that must not be written to, as keyed hashes.
CREATE TABLE suppressions (
    tenant_id    TEXT    NOT NULL,
    channel      INTEGER NOT NULL,
    address_hash BLOB    NOT NULL,
    cause        TEXT    NOT NULL,
    create_us    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, channel, address_hash)
) STRICT;

-- Events about messages on their way to ingestion.
CREATE TABLE feedback (
    tenant_id  TEXT    NOT NULL,
    event_id   TEXT    NOT NULL,
    profile_id TEXT    NOT NULL,
    create_us  INTEGER NOT NULL,
    event      BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
) STRICT;
CREATE INDEX feedback_order ON feedback (tenant_id, create_us, event_id);
CREATE INDEX feedback_profile ON feedback (tenant_id, profile_id);

-- Which replica decides and sends for which tenant. Times are of the system clock.
CREATE TABLE send_leases (
    tenant_id TEXT    NOT NULL PRIMARY KEY,
    owner     TEXT    NOT NULL,
    epoch     INTEGER NOT NULL,
    expire_us INTEGER NOT NULL
) STRICT;
