-- What messages look like.
CREATE TABLE templates (
    tenant_id   TEXT NOT NULL,
    template_id TEXT NOT NULL,
    version     BIGINT NOT NULL,
    update_us   BIGINT NOT NULL,
    definition  BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, template_id)
);

-- What the tenant wants to say. put_us: only what happened from then on sets it off.
CREATE TABLE campaigns (
    tenant_id   TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    put_us      BIGINT NOT NULL,
    paused      BIGINT NOT NULL,
    definition  BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, campaign_id)
);

-- How often and when people may be contacted.
CREATE TABLE contact_policies (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    policy    BYTEA NOT NULL
);

-- What campaign needs to know of each person, folded from the profile log.
CREATE TABLE contacts (
    tenant_id  TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    state      BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, profile_id)
);

-- Who is or was in which segment, folded from the score log: the last stay and the one before. exit_us is 0 inside.
CREATE TABLE memberships (
    tenant_id     TEXT NOT NULL,
    profile_id    TEXT NOT NULL,
    segment_id    TEXT NOT NULL,
    enter_us      BIGINT NOT NULL,
    exit_us       BIGINT NOT NULL,
    prev_enter_us BIGINT NOT NULL,
    prev_exit_us  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, profile_id, segment_id)
);

-- Profiles that are no more: into whom they were merged; '' for erased ones.
CREATE TABLE gone_profiles (
    tenant_id   TEXT NOT NULL,
    profile_id  TEXT NOT NULL,
    survivor_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, profile_id)
);

-- One row per message through its whole life: the timer, the decision, the hand-over, what became of it. Times that have
-- not come are 0. fire_us: when the next step is due. as_of_us: the instant the decision stands for.
CREATE TABLE messages (
    tenant_id      TEXT NOT NULL,
    message_id     TEXT NOT NULL,
    campaign_id    TEXT NOT NULL,
    profile_id     TEXT NOT NULL,
    channel        BIGINT NOT NULL,
    state          BIGINT NOT NULL,
    reason         BIGINT NOT NULL,
    purpose        TEXT NOT NULL,
    cause          TEXT NOT NULL,
    trigger_text   TEXT NOT NULL,
    trigger_us     BIGINT NOT NULL,
    due_us         BIGINT NOT NULL,
    fire_us        BIGINT NOT NULL,
    decide_us      BIGINT NOT NULL,
    as_of_us       BIGINT NOT NULL,
    send_us        BIGINT NOT NULL,
    open_us        BIGINT NOT NULL,
    click_us       BIGINT NOT NULL,
    unsubscribe_us BIGINT NOT NULL,
    attempts       BIGINT NOT NULL,
    traceparent    TEXT NOT NULL,
    gates          BYTEA NOT NULL,
    products       TEXT NOT NULL,
    links          TEXT NOT NULL,
    address_hash   BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, message_id)
);
CREATE INDEX messages_due ON messages (tenant_id, state, fire_us);
CREATE INDEX messages_profile ON messages (tenant_id, profile_id);
CREATE INDEX messages_decided ON messages (tenant_id, decide_us, message_id);

-- Addresses that must not be written to, as keyed hashes.
CREATE TABLE suppressions (
    tenant_id    TEXT NOT NULL,
    channel      BIGINT NOT NULL,
    address_hash BYTEA NOT NULL,
    cause        TEXT NOT NULL,
    create_us    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, channel, address_hash)
);

-- Events about messages on their way to ingestion.
CREATE TABLE feedback (
    tenant_id  TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    create_us  BIGINT NOT NULL,
    event      BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX feedback_order ON feedback (tenant_id, create_us, event_id);
CREATE INDEX feedback_profile ON feedback (tenant_id, profile_id);

-- Which replica decides and sends for which tenant. Times are of the system clock.
CREATE TABLE send_leases (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    owner     TEXT NOT NULL,
    epoch     BIGINT NOT NULL,
    expire_us BIGINT NOT NULL
);
