-- What a restart must not forget, and the ledger of all rules.

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

-- The terms of the ledgers of all rules that there ever were: a rule that is
-- deleted takes nothing out. Terms: published, applied, collapsed, resync,
-- filtered, the latter by reason.
CREATE TABLE ledger_totals (
  term    TEXT    NOT NULL CHECK (term IN ('published', 'applied', 'collapsed',
                                           'resync', 'filtered')),
  reason  TEXT    NOT NULL DEFAULT ''
          CHECK ((reason <> '') = (term = 'filtered')),
  changes INTEGER NOT NULL,
  PRIMARY KEY (term, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_totals (term, changes)
  SELECT 'published', coalesce(sum(published), 0) FROM rule_counters UNION ALL
  SELECT 'applied', coalesce(sum(applied), 0) FROM rule_counters UNION ALL
  SELECT 'collapsed', coalesce(sum(collapsed), 0) FROM rule_counters UNION ALL
  SELECT 'resync', coalesce(sum(resync), 0) FROM rule_counters;
INSERT INTO ledger_totals (term, reason, changes)
  SELECT 'filtered', reason, sum(changes) FROM rule_filtered GROUP BY reason;
