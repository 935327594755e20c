-- The first schema.
--
-- Kept true here, so that no code path can break it:
--   * a bucket has at most one partner, over both roles   (pairings)
--   * both buckets of a rule have one versioning state, which cannot change
--     while a pairing stands                              (foreign keys)
--   * a bucket is the source of at most one rule          (rules.source)
--   * a unit of work has at most one lease                (leases)
-- Times are microseconds since 1970, UTC, for people and for last_sync_time;
-- lease deadlines are not stored: they are durations of a running process.

-- Counters that outlive what they number; one row.
CREATE TABLE server (
  id                  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  incarnation         INTEGER NOT NULL CHECK (incarnation BETWEEN 1 AND 8388607),
  next_rule_uid       INTEGER NOT NULL,
  next_unit_id        INTEGER NOT NULL,
  next_session_number INTEGER NOT NULL
) STRICT;
INSERT INTO server VALUES (1, 1, 1, 1, 1);

CREATE TABLE regions (
  region         TEXT    NOT NULL PRIMARY KEY,
  area           INTEGER NOT NULL CHECK (area IN (1, 2)),
  display_name   TEXT    NOT NULL,
  store_root     TEXT    CHECK (length(store_root) > 0),
  credentials    TEXT    NOT NULL,
  create_time_us INTEGER NOT NULL,
  update_time_us INTEGER NOT NULL
) STRICT;

-- The policy in force: a name for people, and the entries, first match wins.
CREATE TABLE region_pair_policy (
  id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  profile TEXT    NOT NULL
) STRICT;
CREATE TABLE region_pair_entries (
  position         INTEGER NOT NULL PRIMARY KEY,
  allow            INTEGER NOT NULL CHECK (allow IN (0, 1)),
  source_kind      INTEGER NOT NULL CHECK (source_kind IN (0, 1, 2)),
  source           TEXT    NOT NULL,
  destination_kind INTEGER NOT NULL CHECK (destination_kind IN (0, 1, 2)),
  destination      TEXT    NOT NULL
) STRICT;

CREATE TABLE buckets (
  bucket         TEXT    NOT NULL PRIMARY KEY,
  region         TEXT    NOT NULL REFERENCES regions (region),
  versioning     INTEGER NOT NULL CHECK (versioning IN (0, 1, 2)),
  acceleration   INTEGER NOT NULL CHECK (acceleration IN (0, 1)),
  owner          TEXT    NOT NULL CHECK (length(owner) > 0),
  create_time_us INTEGER NOT NULL,
  update_time_us INTEGER NOT NULL,
  UNIQUE (bucket, versioning)
) STRICT;
CREATE INDEX buckets_by_region ON buckets (region, bucket);

-- Who is whose partner: two rows a pair, each pointing at the other.
CREATE TABLE pairings (
  bucket     TEXT    NOT NULL PRIMARY KEY,
  peer       TEXT    NOT NULL,
  versioning INTEGER NOT NULL CHECK (versioning IN (0, 1)),
  CHECK (bucket <> peer),
  UNIQUE (bucket, peer),
  UNIQUE (bucket, peer, versioning),
  FOREIGN KEY (bucket, versioning) REFERENCES buckets (bucket, versioning),
  FOREIGN KEY (peer, bucket, versioning)
    REFERENCES pairings (bucket, peer, versioning)
) STRICT;

CREATE TABLE rules (
  rule_uid             INTEGER NOT NULL PRIMARY KEY,
  source               TEXT    NOT NULL UNIQUE,
  destination          TEXT    NOT NULL,
  rule_id              TEXT    NOT NULL CHECK (length(rule_id) > 0),
  operations           INTEGER NOT NULL CHECK (operations IN (1, 2)),
  historical           INTEGER NOT NULL CHECK (historical IN (0, 1)),
  transfer             INTEGER NOT NULL CHECK (transfer IN (1, 2)),
  kms_replicate        INTEGER NOT NULL CHECK (kms_replicate IN (0, 1)),
  kms_key              TEXT    NOT NULL CHECK ((kms_key <> '') = kms_replicate),
  max_leases           INTEGER NOT NULL CHECK (max_leases >= 0),
  max_bytes_per_second INTEGER NOT NULL CHECK (max_bytes_per_second >= 0),
  state                INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4)),
  source_identity      TEXT    NOT NULL,
  destination_identity TEXT    NOT NULL,
  next_sequence        INTEGER NOT NULL CHECK (next_sequence >= 1),
  next_token           INTEGER NOT NULL
                       CHECK (next_token BETWEEN 1 AND 1099511627775),
  create_time_us       INTEGER NOT NULL,
  update_time_us       INTEGER NOT NULL,
  active_time_us       INTEGER NOT NULL,
  FOREIGN KEY (source, destination) REFERENCES pairings (bucket, peer)
) STRICT;
CREATE INDEX rules_by_destination ON rules (destination);
-- Serves: lists in the byte order of buckets/{source}/rules/{rule}.
CREATE INDEX rules_by_name ON rules (source || '/');
CREATE INDEX rules_by_state ON rules (state) WHERE state IN (1, 4);

CREATE TABLE rule_prefixes (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  prefix   BLOB    NOT NULL CHECK (length(prefix) BETWEEN 1 AND 1023),
  position INTEGER NOT NULL,
  PRIMARY KEY (rule_uid, prefix)
) STRICT, WITHOUT ROWID;

CREATE TABLE rule_labels (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  label    TEXT    NOT NULL,
  value    TEXT    NOT NULL,
  PRIMARY KEY (rule_uid, label)
) STRICT, WITHOUT ROWID;

-- What is wrong now, as copiers reported it; unit_id 0 is the whole rule.
CREATE TABLE rule_conditions (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  type     TEXT    NOT NULL,
  unit_id  INTEGER NOT NULL,
  message  TEXT    NOT NULL,
  since_us INTEGER NOT NULL,
  PRIMARY KEY (rule_uid, type, unit_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE rule_counters (
  rule_uid           INTEGER NOT NULL PRIMARY KEY
                     REFERENCES rules (rule_uid) ON DELETE CASCADE,
  published          INTEGER NOT NULL DEFAULT 0 CHECK (published >= 0),
  applied            INTEGER NOT NULL DEFAULT 0 CHECK (applied >= 0),
  collapsed          INTEGER NOT NULL DEFAULT 0 CHECK (collapsed >= 0),
  resync             INTEGER NOT NULL DEFAULT 0 CHECK (resync >= 0),
  failed             INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
  log_bytes          INTEGER NOT NULL DEFAULT 0 CHECK (log_bytes >= 0),
  inventory_complete INTEGER NOT NULL DEFAULT 0
                     CHECK (inventory_complete IN (0, 1)),
  historical_total   INTEGER NOT NULL DEFAULT 0 CHECK (historical_total >= 0),
  historical_done    INTEGER NOT NULL DEFAULT 0 CHECK (historical_done >= 0),
  historical_skipped INTEGER NOT NULL DEFAULT 0 CHECK (historical_skipped >= 0),
  historical_bytes   INTEGER NOT NULL DEFAULT 0 CHECK (historical_bytes >= 0)
) STRICT;

CREATE TABLE rule_filtered (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  reason   TEXT    NOT NULL,
  changes  INTEGER NOT NULL CHECK (changes >= 0),
  PRIMARY KEY (rule_uid, reason)
) STRICT, WITHOUT ROWID;

-- The change log. A segment holds the changes with sequence numbers
-- first_sequence to last_sequence, without gaps, and does not change once its
-- commit is over.
CREATE TABLE change_segments (
  segment_id      INTEGER NOT NULL PRIMARY KEY,
  rule_uid        INTEGER NOT NULL REFERENCES rules (rule_uid),
  partition       INTEGER NOT NULL,
  first_sequence  INTEGER NOT NULL CHECK (first_sequence >= 1),
  last_sequence   INTEGER NOT NULL,
  oldest_event_us INTEGER NOT NULL,
  commit_group    INTEGER NOT NULL,
  bytes           INTEGER NOT NULL CHECK (bytes = length(changes)),
  changes         BLOB    NOT NULL,
  CHECK (last_sequence >= first_sequence),
  UNIQUE (rule_uid, partition, last_sequence)
) STRICT;

-- Work that can be leased. Kinds: 1 PROBE, 2 INVENTORY, 3 BACKFILL, 4 CHANGES.
CREATE TABLE work_units (
  unit_id         INTEGER NOT NULL PRIMARY KEY,
  rule_uid        INTEGER NOT NULL REFERENCES rules (rule_uid),
  kind            INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
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
  -- Grants since the last progress.
  attempts        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX work_units_once ON work_units (rule_uid, kind, partition)
  WHERE kind <> 3;
CREATE INDEX work_units_by_rule ON work_units (rule_uid, kind);

CREATE TABLE sessions (
  session_number INTEGER NOT NULL PRIMARY KEY,
  copier         TEXT    NOT NULL,
  region         TEXT    NOT NULL,
  -- The session that the copier wanted to go on with, and that was over; 0 when
  -- it named none.
  successor_of   INTEGER NOT NULL DEFAULT 0,
  start_time_us  INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_copier ON sessions (copier, session_number);

CREATE TABLE leases (
  unit_id        INTEGER NOT NULL PRIMARY KEY
                 REFERENCES work_units (unit_id) ON DELETE CASCADE,
  session_number INTEGER NOT NULL REFERENCES sessions (session_number),
  token          INTEGER NOT NULL,
  grant_time_us  INTEGER NOT NULL
) STRICT;
CREATE INDEX leases_by_session ON leases (session_number);

CREATE TABLE publishers (
  publisher      TEXT    NOT NULL PRIMARY KEY,
  scope_kind     INTEGER NOT NULL CHECK (scope_kind IN (1, 2)),
  scope          TEXT    NOT NULL,
  epoch          INTEGER NOT NULL,
  last_number    INTEGER NOT NULL,
  create_time_us INTEGER NOT NULL
) STRICT;
CREATE INDEX publishers_by_scope ON publishers (scope_kind, scope);

-- Answers that a repeat of the same request gets again.
CREATE TABLE requests (
  caller         TEXT    NOT NULL,
  method         TEXT    NOT NULL,
  request_id     TEXT    NOT NULL,
  request_hash   INTEGER NOT NULL,
  response       BLOB    NOT NULL,
  expire_time_us INTEGER NOT NULL,
  PRIMARY KEY (caller, method, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_expiry ON requests (expire_time_us);
