-- What a restart must not forget, and the ledger of all rules.

-- Since when the rule needs a resync; NULL without one.
ALTER TABLE rules ADD COLUMN resync_since_us INTEGER;
UPDATE rules SET resync_since_us = update_time_us WHERE resync <> 0;

-- The most parts that any upload of the object had.
ALTER TABLE object_work ADD COLUMN parts_most INTEGER NOT NULL DEFAULT 0;

-- Whether an operator asked the copier for all its leases.
ALTER TABLE sessions ADD COLUMN draining INTEGER NOT NULL DEFAULT 0
  CHECK (draining IN (0, 1));

-- What the last check of the rule's ledger found.
ALTER TABLE rule_counters ADD COLUMN imbalanced INTEGER NOT NULL DEFAULT 0
  CHECK (imbalanced IN (0, 1));
CREATE INDEX rule_counters_imbalanced ON rule_counters (rule_uid)
  WHERE imbalanced = 1;

-- Changes of objects apart that have a unit: what object_work says, counted as
-- it comes and goes.
ALTER TABLE rule_counters ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
UPDATE rule_counters SET apart = coalesce((
    SELECT sum(w.changes) FROM object_work w
    WHERE w.rule_uid = rule_counters.rule_uid AND w.unit_id IS NOT NULL), 0)
  WHERE rule_uid IN (SELECT rule_uid FROM object_work);
CREATE INDEX rule_counters_with_objects ON rule_counters (rule_uid)
  WHERE apart + failed > 0;

-- The terms of the ledgers of all rules that there ever were: a rule that is
-- deleted takes nothing out. Terms: published, applied, collapsed, resync and,
-- by reason, filtered only grow; apart and failed come and go.
CREATE TABLE ledger_totals (
  term    TEXT    NOT NULL CHECK (term IN ('published', 'applied', 'collapsed',
                                           'resync', 'filtered', 'apart',
                                           'failed')),
  reason  TEXT    NOT NULL DEFAULT ''
          CHECK ((reason <> '') = (term = 'filtered')),
  changes INTEGER NOT NULL,
  PRIMARY KEY (term, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_totals (term, changes)
  SELECT 'published', coalesce(sum(published), 0) FROM rule_counters UNION ALL
  SELECT 'applied', coalesce(sum(applied), 0) FROM rule_counters UNION ALL
  SELECT 'collapsed', coalesce(sum(collapsed), 0) FROM rule_counters UNION ALL
  SELECT 'resync', coalesce(sum(resync), 0) FROM rule_counters UNION ALL
  SELECT 'apart', coalesce(sum(apart), 0) FROM rule_counters UNION ALL
  SELECT 'failed', coalesce(sum(failed), 0) FROM rule_counters;
INSERT INTO ledger_totals (term, reason, changes)
  SELECT 'filtered', reason, sum(changes) FROM rule_filtered GROUP BY reason;
