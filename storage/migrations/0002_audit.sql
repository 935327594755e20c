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
-- seed 2; NULL when there is none.
ALTER TABLE change_segments ADD COLUMN oldest_small_event_us INTEGER;
UPDATE change_segments SET oldest_small_event_us = oldest_event_us;
CREATE INDEX change_segments_by_small_event
  ON change_segments (oldest_small_event_us)
  WHERE oldest_small_event_us IS NOT NULL;

ALTER TABLE region_pair_policy
  ADD COLUMN update_time_us INTEGER NOT NULL DEFAULT 0;
