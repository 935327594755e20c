-- Who changed what: a row in the change's own transaction, never updated.
CREATE TABLE audit_events (
  number     INTEGER NOT NULL PRIMARY KEY,
  time_us    INTEGER NOT NULL,
  caller     TEXT    NOT NULL,
  method     TEXT    NOT NULL,
  subject    TEXT    NOT NULL,
  before     TEXT    NOT NULL,
  after      TEXT    NOT NULL,
  request_id TEXT    NOT NULL
) STRICT;
-- Serves: the history of one resource.
CREATE INDEX audit_events_by_subject ON audit_events (subject, number);

-- Oldest event of an object of at most 2 MiB in the segment, for the promise of
-- seed 2; NULL when there is none. What is logged already counts as none: to
-- write it again would need as much room as the logs take.
ALTER TABLE change_segments ADD COLUMN oldest_small_event_us INTEGER;
-- Serve: the oldest event of each rule, however long its log is.
CREATE INDEX change_segments_by_event
  ON change_segments (rule_uid, oldest_event_us);
CREATE INDEX change_segments_by_small_event
  ON change_segments (rule_uid, oldest_small_event_us)
  WHERE oldest_small_event_us IS NOT NULL;

-- Serves: the rules that have a log, among many that have none.
CREATE INDEX rule_counters_with_log ON rule_counters (rule_uid)
  WHERE log_bytes > 0;

-- Serves: the rules in the states that few are in.
DROP INDEX rules_by_state;
CREATE INDEX rules_by_state ON rules (state) WHERE state <> 2;

ALTER TABLE region_pair_policy
  ADD COLUMN update_time_us INTEGER NOT NULL DEFAULT 0;

-- Methods go by their full names now; an answer that is kept must be found.
UPDATE requests SET method = 'crr.v1.BucketService/CreateBucket'
  WHERE method = 'CreateBucket';
UPDATE requests SET method = 'crr.v1.ReplicationService/CreateRule'
  WHERE method = 'CreateRule';
