-- Changes that stand in the rule's log: what its segments hold above the
-- cursors, counted as they come and go.
ALTER TABLE rule_counters ADD COLUMN logged INTEGER NOT NULL DEFAULT 0;
UPDATE rule_counters SET logged = coalesce((
    SELECT sum(s.last_sequence -
               max(s.first_sequence - 1, coalesce(u.cursor_sequence, 0)))
    FROM change_segments s
    LEFT JOIN work_units u ON u.rule_uid = s.rule_uid AND u.kind = 4
      AND u.partition = s.partition
    WHERE s.rule_uid = rule_counters.rule_uid
      AND s.last_sequence > coalesce(u.cursor_sequence, 0)), 0)
  WHERE log_bytes > 0;

-- Since when every grant of the object has ended without progress; NULL when
-- it has not been granted since it came, was tried anew, or moved.
ALTER TABLE object_work ADD COLUMN failing_since_us INTEGER;
UPDATE object_work SET failing_since_us = first_failure_us
  WHERE attempts > 0 OR unit_id IS NULL;

-- Number of the publisher's newest stream, the only one that is heard.
ALTER TABLE publishers ADD COLUMN attachment INTEGER NOT NULL DEFAULT 0;
