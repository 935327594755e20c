-- What a restart must not forget.

-- Since when the rule needs a resync; NULL without one.
ALTER TABLE rules ADD COLUMN resync_since_us INTEGER;
UPDATE rules SET resync_since_us = update_time_us WHERE resync <> 0;

-- Whether an operator asked the copier for all its leases.
ALTER TABLE sessions ADD COLUMN draining INTEGER NOT NULL DEFAULT 0
  CHECK (draining IN (0, 1));

-- What the last check of the rule's ledger found.
ALTER TABLE rule_counters ADD COLUMN imbalanced INTEGER NOT NULL DEFAULT 0
  CHECK (imbalanced IN (0, 1));
CREATE INDEX rule_counters_imbalanced ON rule_counters (rule_uid)
  WHERE imbalanced = 1;
