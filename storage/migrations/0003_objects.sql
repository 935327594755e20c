-- Failing and giant objects by themselves, verification, resync, partitions.

-- Kinds: 1 PROBE, 2 INVENTORY (partition 1: of a verification), 3 BACKFILL,
-- 4 CHANGES, 5 OBJECT, 6 VERIFY. SQLite cannot change a CHECK in place; leases
-- refer to the units and move with them.
CREATE TABLE work_units_3 (
  unit_id         INTEGER NOT NULL PRIMARY KEY,
  rule_uid        INTEGER NOT NULL REFERENCES rules (rule_uid),
  kind            INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 6),
  partition       INTEGER NOT NULL DEFAULT 0,
  cursor_sequence INTEGER NOT NULL DEFAULT 0,
  cursor_key      BLOB    NOT NULL DEFAULT x'',
  range_start     BLOB    NOT NULL DEFAULT x'',
  range_end       BLOB    NOT NULL DEFAULT x'',
  -- Objects that INVENTORY listed in the range, and that BACKFILL met.
  listed          INTEGER NOT NULL DEFAULT 0,
  visited         INTEGER NOT NULL DEFAULT 0,
  -- Of the last grant; 0 before the first.
  token           INTEGER NOT NULL DEFAULT 0,
  -- Grants since the last progress, but for those that were given back in
  -- order.
  attempts        INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO work_units_3 SELECT unit_id, rule_uid, kind, partition,
  cursor_sequence, cursor_key, range_start, range_end, listed, visited, token,
  attempts FROM work_units;
CREATE TABLE leases_3 (
  unit_id        INTEGER NOT NULL PRIMARY KEY
                 REFERENCES work_units_3 (unit_id) ON DELETE CASCADE,
  session_number INTEGER NOT NULL REFERENCES sessions (session_number),
  token          INTEGER NOT NULL,
  grant_time_us  INTEGER NOT NULL
) STRICT;
INSERT INTO leases_3 SELECT unit_id, session_number, token, grant_time_us
  FROM leases;
DROP TABLE leases;
DROP TABLE work_units;
ALTER TABLE work_units_3 RENAME TO work_units;
ALTER TABLE leases_3 RENAME TO leases;
CREATE INDEX leases_by_session ON leases (session_number);
CREATE UNIQUE INDEX work_units_once ON work_units (rule_uid, kind, partition)
  WHERE kind IN (1, 2, 4);
CREATE INDEX work_units_by_rule ON work_units (rule_uid, kind);

-- Objects that left their lane, one row a key: those that wait for their unit
-- to be granted, and dead letters, which have none.
CREATE TABLE object_work (
  rule_uid         INTEGER NOT NULL REFERENCES rules (rule_uid),
  key              BLOB    NOT NULL CHECK (length(key) BETWEEN 1 AND 1024),
  -- NULL: a dead letter.
  unit_id          INTEGER UNIQUE REFERENCES work_units (unit_id),
  -- Rises with everything that is folded in; what was granted at an earlier one
  -- does not finish the row.
  generation       INTEGER NOT NULL DEFAULT 1,
  granted          INTEGER NOT NULL DEFAULT 0,
  -- Logged changes that it stands for.
  changes          INTEGER NOT NULL CHECK (changes >= 0),
  historical       INTEGER NOT NULL CHECK (historical IN (0, 1)),
  repair           INTEGER NOT NULL CHECK (repair IN (0, 1)),
  -- Whether a deletion is among the changes.
  deletion         INTEGER NOT NULL CHECK (deletion IN (0, 1)),
  -- Not after any of the changes; NULL without changes.
  oldest_event_us  INTEGER,
  size_bytes       INTEGER NOT NULL,
  attempts         INTEGER NOT NULL DEFAULT 0,
  reason           TEXT    NOT NULL,
  message          TEXT    NOT NULL,
  first_failure_us INTEGER NOT NULL,
  last_failure_us  INTEGER NOT NULL,
  -- A begun upload at the destination; empty for none.
  upload_id        TEXT    NOT NULL DEFAULT '',
  upload_etag      TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (rule_uid, key)
) STRICT, WITHOUT ROWID;
-- Serves: the oldest change that stands here.
CREATE INDEX object_work_by_event ON object_work (rule_uid, oldest_event_us)
  WHERE oldest_event_us IS NOT NULL;
-- Serves: what keeps history, or a resync, from being complete.
CREATE INDEX object_work_historical ON object_work (rule_uid)
  WHERE historical = 1;
CREATE INDEX object_work_repair ON object_work (rule_uid) WHERE repair = 1;
CREATE INDEX object_work_dead ON object_work (rule_uid) WHERE unit_id IS NULL;

-- The latest compare of a rule's two buckets. Causes: 1 asked for, 2 the log
-- overflowed, 3 the database was restored.
CREATE TABLE verifications (
  rule_uid      INTEGER NOT NULL PRIMARY KEY
                REFERENCES rules (rule_uid) ON DELETE CASCADE,
  number        INTEGER NOT NULL,
  cause         INTEGER NOT NULL CHECK (cause BETWEEN 1 AND 3),
  read_bytes    INTEGER NOT NULL CHECK (read_bytes IN (0, 1)),
  start_time_us INTEGER NOT NULL,
  -- NULL while it is under way.
  end_time_us   INTEGER,
  compared      INTEGER NOT NULL DEFAULT 0,
  equal         INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE verification_differences (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  reason   TEXT    NOT NULL,
  objects  INTEGER NOT NULL,
  PRIMARY KEY (rule_uid, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE verification_samples (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  key      BLOB    NOT NULL,
  reason   TEXT    NOT NULL,
  PRIMARY KEY (rule_uid, key)
) STRICT, WITHOUT ROWID;

-- Whether what the rule logged was dropped: 0 no; 1 yes, or it is being
-- dropped, and new changes are counted without being logged; 2 they are logged
-- again and a verification is under way. Until it is over, last_sync_time
-- stays at or below the floor.
ALTER TABLE rules ADD COLUMN resync INTEGER NOT NULL DEFAULT 0
  CHECK (resync IN (0, 1, 2));
ALTER TABLE rules ADD COLUMN resync_cause INTEGER NOT NULL DEFAULT 2
  CHECK (resync_cause IN (2, 3));
ALTER TABLE rules ADD COLUMN resync_floor_us INTEGER;
CREATE INDEX rules_by_resync ON rules (resync) WHERE resync <> 0;

-- The keys of a rule are spread over `partitions` logs, the first of which is
-- `first_partition`. Lower ones are of before it grew, and are emptied first.
ALTER TABLE rules ADD COLUMN first_partition INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rules ADD COLUMN partitions INTEGER NOT NULL DEFAULT 1
  CHECK (partitions BETWEEN 1 AND 16);
-- Sequence numbers of partitions above 0, whose numbers are in `rules`.
CREATE TABLE rule_partitions (
  rule_uid      INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  partition     INTEGER NOT NULL CHECK (partition >= 1),
  next_sequence INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (rule_uid, partition)
) STRICT, WITHOUT ROWID;

-- 1 from a restore until leases that the database cannot know of have run out.
ALTER TABLE server ADD COLUMN restored INTEGER NOT NULL DEFAULT 0
  CHECK (restored IN (0, 1));
