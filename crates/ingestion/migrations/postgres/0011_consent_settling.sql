-- Up to which version of a policy what waits was decided again. Smaller than the version: that is still to be done.
ALTER TABLE consent_policies ADD COLUMN settled_version BIGINT NOT NULL DEFAULT 0;
CREATE INDEX consent_policies_unsettled ON consent_policies (update_us) WHERE settled_version < version;
