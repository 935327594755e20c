-- A database as the server of schema version 4 left it: that of version 3,
-- taken over; of rule `sick` a dead letter is tried again since its object
-- changed, and a copier that was drained is gone. Written by that server,
-- printed by sqlite3's .dump; never to be changed.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE server (
  id                  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  incarnation         INTEGER NOT NULL CHECK (incarnation BETWEEN 1 AND 8388607),
  next_rule_uid       INTEGER NOT NULL,
  next_unit_id        INTEGER NOT NULL,
  next_session_number INTEGER NOT NULL
, restored INTEGER NOT NULL DEFAULT 0
  CHECK (restored IN (0, 1))) STRICT;
INSERT INTO server VALUES(1,1,8,25,6,0);
CREATE TABLE regions (
  region         TEXT    NOT NULL PRIMARY KEY,
  area           INTEGER NOT NULL CHECK (area IN (1, 2)),
  display_name   TEXT    NOT NULL,
  store_root     TEXT    CHECK (length(store_root) > 0),
  credentials    TEXT    NOT NULL,
  create_time_us INTEGER NOT NULL,
  update_time_us INTEGER NOT NULL
) STRICT;
INSERT INTO regions VALUES('oss-cn-hangzhou',1,'Hangzhou','/data/oss-cn-hangzhou','',1800000000000000,1795326411563645);
INSERT INTO regions VALUES('oss-cn-shanghai',1,'China (Shanghai)','/data/oss-cn-shanghai','',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-qingdao',1,'China (Qingdao)','/data/oss-cn-qingdao','',1800000000000000,1795349467821086);
INSERT INTO regions VALUES('oss-cn-beijing',1,'China (Beijing)','/data/oss-cn-beijing','',1800000000000000,1795349467824564);
INSERT INTO regions VALUES('oss-cn-zhangjiakou',1,'China (Zhangjiakou)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-huhehaote',1,'China (Hohhot)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-wulanchabu',1,'China (Ulanqab)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-shenzhen',1,'China (Shenzhen)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-heyuan',1,'China (Heyuan)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-guangzhou',1,'China (Guangzhou)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-chengdu',1,'China (Chengdu)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-nanjing',1,'China (Nanjing)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-fuzhou',1,'China (Fuzhou)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-wuhan-lr',1,'China (Wuhan)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-zhongwei',1,'China (Zhongwei)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-rg-china-mainland',1,'China (no region attribute)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-cn-hongkong',2,'China (Hong Kong)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-us-west-1',2,'US (Silicon Valley)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-us-east-1',2,'US (Virginia)','/data/oss-us-east-1','',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-na-south-1',2,'Mexico',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-southeast-1',2,'Singapore',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-southeast-2',2,'Australia (Sydney)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-southeast-3',2,'Malaysia (Kuala Lumpur)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-southeast-5',2,'Indonesia (Jakarta)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-southeast-6',2,'Philippines (Manila)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-southeast-7',2,'Thailand (Bangkok)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-southeast-8',2,'Malaysia (Johor)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-northeast-1',2,'Japan (Tokyo)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-northeast-2',2,'South Korea (Seoul)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-ap-south-1',2,'India (Mumbai)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-eu-central-1',2,'Germany (Frankfurt)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-eu-west-1',2,'UK (London)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-eu-west-2',2,'France (Paris)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-me-east-1',2,'UAE (Dubai)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-me-central-1',2,'Saudi Arabia (Riyadh)',NULL,'',1800000000000000,1800000000000000);
INSERT INTO regions VALUES('oss-rus-west-1',2,'Russia (Moscow)',NULL,'',1800000000000000,1800000000000000);
CREATE TABLE region_pair_policy (
  id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  profile TEXT    NOT NULL
, update_time_us INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO region_pair_policy VALUES(1,'seeds-union',0);
CREATE TABLE region_pair_entries (
  position         INTEGER NOT NULL PRIMARY KEY,
  allow            INTEGER NOT NULL CHECK (allow IN (0, 1)),
  source_kind      INTEGER NOT NULL CHECK (source_kind IN (0, 1, 2)),
  source           TEXT    NOT NULL,
  destination_kind INTEGER NOT NULL CHECK (destination_kind IN (0, 1, 2)),
  destination      TEXT    NOT NULL
) STRICT;
INSERT INTO region_pair_entries VALUES(0,1,1,'1',1,'1');
INSERT INTO region_pair_entries VALUES(1,1,2,'oss-cn-hangzhou',0,'');
INSERT INTO region_pair_entries VALUES(2,1,2,'oss-ap-southeast-2',1,'2');
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
INSERT INTO buckets VALUES('photos','oss-cn-hangzhou',0,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('photos-dr','oss-cn-shanghai',0,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('videos','oss-cn-hangzhou',0,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('videos-us','oss-us-east-1',0,1,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('logs','oss-cn-hangzhou',0,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('logs-sy','oss-ap-southeast-2',0,1,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('mail','oss-cn-shanghai',1,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('mail-dr','oss-cn-hangzhou',1,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('docs','oss-cn-shanghai',0,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('docs-dr','oss-cn-hangzhou',0,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('art','oss-cn-shanghai',0,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('art-dr','oss-cn-hangzhou',0,0,'acme',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('spare','oss-ap-southeast-2',2,0,'other',1800000000000000,1800000000000000);
INSERT INTO buckets VALUES('sick','oss-cn-qingdao',0,0,'acme',1795349467891132,1795349467891132);
INSERT INTO buckets VALUES('sick-dr','oss-cn-beijing',0,0,'acme',1795349467893660,1795349467893660);
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
INSERT INTO pairings VALUES('photos','photos-dr',0);
INSERT INTO pairings VALUES('photos-dr','photos',0);
INSERT INTO pairings VALUES('videos','videos-us',0);
INSERT INTO pairings VALUES('videos-us','videos',0);
INSERT INTO pairings VALUES('logs','logs-sy',0);
INSERT INTO pairings VALUES('logs-sy','logs',0);
INSERT INTO pairings VALUES('mail','mail-dr',1);
INSERT INTO pairings VALUES('mail-dr','mail',1);
INSERT INTO pairings VALUES('art','art-dr',0);
INSERT INTO pairings VALUES('art-dr','art',0);
INSERT INTO pairings VALUES('sick','sick-dr',0);
INSERT INTO pairings VALUES('sick-dr','sick',0);
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
  active_time_us       INTEGER NOT NULL, resync INTEGER NOT NULL DEFAULT 0
  CHECK (resync IN (0, 1, 2)), resync_cause INTEGER NOT NULL DEFAULT 2
  CHECK (resync_cause IN (2, 3)), resync_floor_us INTEGER, first_partition INTEGER NOT NULL DEFAULT 0, partitions INTEGER NOT NULL DEFAULT 1
  CHECK (partitions BETWEEN 1 AND 16), resync_since_us INTEGER,
  FOREIGN KEY (source, destination) REFERENCES pairings (bucket, peer)
) STRICT;
INSERT INTO rules VALUES(1,'photos','photos-dr','dr',1,1,1,0,'',3,1000000,2,'source-id','destination-id',3,42,1800000000000000,1800000000000000,1800000000000000,0,2,NULL,0,1,NULL);
INSERT INTO rules VALUES(2,'videos','videos-us','dr',1,0,2,1,'key-1',0,0,2,'source-id','destination-id',9,12,1800000000000000,1795326411408704,1800000000000000,0,2,NULL,0,1,NULL);
INSERT INTO rules VALUES(3,'logs','logs-sy','dr',2,0,2,0,'',0,0,1,'','',2,1,1800000000000000,1800000000000000,0,0,2,NULL,0,1,NULL);
INSERT INTO rules VALUES(4,'mail','mail-dr','dr',1,0,1,0,'',0,0,1,'','',1,1,1800000000000000,1800000000000000,0,0,2,NULL,0,1,NULL);
INSERT INTO rules VALUES(6,'art','art-dr','dr',1,0,1,0,'',0,0,3,'source-id','destination-id',5001,2,1800000000000000,1800000000000000,1800000000000000,1,2,1795349479859842,1,2,1800000000000000);
INSERT INTO rules VALUES(7,'sick','sick-dr','r',1,1,1,0,'',0,0,2,'6f92a105fbd6dc8161cf685d53c93124','5f5e572ce8549e02a2a5d73fd373fb50',8,35,1795349467975456,1795349468025174,1795349468025174,0,2,NULL,0,1,NULL);
CREATE TABLE rule_prefixes (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  prefix   BLOB    NOT NULL CHECK (length(prefix) BETWEEN 1 AND 1023),
  position INTEGER NOT NULL,
  PRIMARY KEY (rule_uid, prefix)
) STRICT, WITHOUT ROWID;
INSERT INTO rule_prefixes VALUES(1,X'612f',0);
INSERT INTO rule_prefixes VALUES(1,X'622f',1);
CREATE TABLE rule_labels (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  label    TEXT    NOT NULL,
  value    TEXT    NOT NULL,
  PRIMARY KEY (rule_uid, label)
) STRICT, WITHOUT ROWID;
INSERT INTO rule_labels VALUES(1,'team','web');
INSERT INTO rule_labels VALUES(1,'tier','1');
INSERT INTO rule_labels VALUES(2,'tier','1');
CREATE TABLE rule_conditions (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  type     TEXT    NOT NULL,
  unit_id  INTEGER NOT NULL,
  message  TEXT    NOT NULL,
  since_us INTEGER NOT NULL,
  PRIMARY KEY (rule_uid, type, unit_id)
) STRICT, WITHOUT ROWID;
INSERT INTO rule_conditions VALUES(1,'LANE_FAILING',2,'STORE_NOT_ALLOWED: PERMISSION_DENIED: the store at "/data/oss-cn-hangzhou" is not opened: it lies outside of this process''s --local_roots',1795349470797197);
INSERT INTO rule_conditions VALUES(1,'LANE_FAILING',4,'STORE_NOT_ALLOWED: PERMISSION_DENIED: the store at "/data/oss-cn-hangzhou" is not opened: it lies outside of this process''s --local_roots',1795349470797533);
INSERT INTO rule_conditions VALUES(1,'LANE_FAILING',5,'STORE_NOT_ALLOWED: PERMISSION_DENIED: the store at "/data/oss-cn-hangzhou" is not opened: it lies outside of this process''s --local_roots',1795349470799082);
INSERT INTO rule_conditions VALUES(1,'LANE_FAILING',7,'STORE_NOT_ALLOWED: PERMISSION_DENIED: the store at "/data/oss-cn-hangzhou" is not opened: it lies outside of this process''s --local_roots',1795349470796280);
INSERT INTO rule_conditions VALUES(1,'OBJECT_FAILING',4,'a/3x: ACCESS_DENIED: the store says no',1800000000000000);
INSERT INTO rule_conditions VALUES(2,'LANE_FAILING',8,'STORE_NOT_ALLOWED: PERMISSION_DENIED: the store at "/data/oss-cn-hangzhou" is not opened: it lies outside of this process''s --local_roots',1795349470797607);
INSERT INTO rule_conditions VALUES(7,'LANE_FAILING',23,'STORE_NOT_ALLOWED: PERMISSION_DENIED: the store at "/data/oss-cn-qingdao" is not opened: it lies outside of this process''s --local_roots',1795352327552131);
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
, imbalanced INTEGER NOT NULL DEFAULT 0
  CHECK (imbalanced IN (0, 1)), apart INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO rule_counters VALUES(1,3,0,0,0,0,66,0,12,5,1,4196,0,0);
INSERT INTO rule_counters VALUES(2,8,1,1,0,0,390,0,0,0,0,0,0,0);
INSERT INTO rule_counters VALUES(3,2,0,0,0,0,31,0,0,0,0,0,0,0);
INSERT INTO rule_counters VALUES(4,0,0,0,0,0,0,0,0,0,0,0,0,0);
INSERT INTO rule_counters VALUES(6,300000,0,0,300000,0,0,0,0,0,0,0,0,0);
INSERT INTO rule_counters VALUES(7,7,1,0,0,1,189,1,3,2,0,2,0,1);
CREATE TABLE rule_filtered (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  reason   TEXT    NOT NULL,
  changes  INTEGER NOT NULL CHECK (changes >= 0),
  PRIMARY KEY (rule_uid, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO rule_filtered VALUES(1,'PREFIX',1);
INSERT INTO rule_filtered VALUES(3,'OPERATIONS',1);
CREATE TABLE change_segments (
  segment_id      INTEGER NOT NULL PRIMARY KEY,
  rule_uid        INTEGER NOT NULL REFERENCES rules (rule_uid),
  partition       INTEGER NOT NULL,
  first_sequence  INTEGER NOT NULL CHECK (first_sequence >= 1),
  last_sequence   INTEGER NOT NULL,
  oldest_event_us INTEGER NOT NULL,
  commit_group    INTEGER NOT NULL,
  bytes           INTEGER NOT NULL CHECK (bytes = length(changes)),
  changes         BLOB    NOT NULL, oldest_small_event_us INTEGER,
  CHECK (last_sequence >= first_sequence),
  UNIQUE (rule_uid, partition, last_sequence)
) STRICT;
INSERT INTO change_segments VALUES(1,1,0,1,2,1800000000000000,3890660092177023009,66,X'0a1f0a0e6275636b6574732f70686f746f731203612f3120012a060880a4a7da060a1f0a0e6275636b6574732f70686f746f731203612f3220052a060880a4a7da06',NULL);
INSERT INTO change_segments VALUES(2,2,0,1,5,1800000000000000,3890660092177023009,278,X'0a350a0e6275636b6574732f766964656f731203762f3020012a060880a4a7da0630c0843d3a10303132333435363738396162636465660a350a0e6275636b6574732f766964656f731203762f3120012a060881a4a7da063080897a3a10303132333435363738396162636465660a360a0e6275636b6574732f766964656f731203762f3220012a060882a4a7da0630c08db7013a10303132333435363738396162636465660a360a0e6275636b6574732f766964656f731203762f3320012a060883a4a7da06308092f4013a10303132333435363738396162636465660a360a0e6275636b6574732f766964656f731203762f3420012a060884a4a7da0630c096b1023a1030313233343536373839616263646566',NULL);
INSERT INTO change_segments VALUES(3,2,0,6,6,1800000009000000,3890660092177023012,33,X'0a1f0a0e6275636b6574732f766964656f731203762f3920012a060889a4a7da06',NULL);
INSERT INTO change_segments VALUES(4,3,0,1,1,1800000000000000,3890660092177023015,31,X'0a1d0a0c6275636b6574732f6c6f677312036c2f3120012a060880a4a7da06',NULL);
INSERT INTO change_segments VALUES(5,2,0,7,8,1800000001000000,3536099744344440836,79,X'0a260a0e6275636b6574732f766964656f731205762f62696720012a060881a4a7da0630c0a8a5040a250a0e6275636b6574732f766964656f731207762f736d616c6c20012a060882a4a7da06300a',1800000002000000);
INSERT INTO change_segments VALUES(6,7,0,4,4,1795349479574355,2854401527953489946,75,X'0a490a0c6275636b6574732f7369636b1205652f6e657720012a0c08e7b78bd80610b8ecef910230033a203432363832303761353935393031366434646237333038386163653633316238',1795349479574355);
INSERT INTO change_segments VALUES(7,7,0,5,7,1795352327598938,1283731883653333002,114,X'0a230a0c6275636b6574732f7369636b1203672f3120012a0c0887ce8bd8061090a3cc9d020a230a0c6275636b6574732f7369636b1203672f3220012a0c0887ce8bd8061090a3cc9d020a260a0c6275636b6574732f7369636b1206612f6465616420012a0c0887ce8bd8061090a3cc9d02',1795352327598938);
CREATE TABLE sessions (
  session_number INTEGER NOT NULL PRIMARY KEY,
  copier         TEXT    NOT NULL,
  region         TEXT    NOT NULL,
  -- The session that the copier wanted to go on with, and that was over; 0 when
  -- it named none.
  successor_of   INTEGER NOT NULL DEFAULT 0,
  start_time_us  INTEGER NOT NULL
, draining INTEGER NOT NULL DEFAULT 0
  CHECK (draining IN (0, 1))) STRICT;
INSERT INTO sessions VALUES(5,'copier-4','',0,1795352327549165,1);
CREATE TABLE publishers (
  publisher      TEXT    NOT NULL PRIMARY KEY,
  scope_kind     INTEGER NOT NULL CHECK (scope_kind IN (1, 2)),
  scope          TEXT    NOT NULL,
  epoch          INTEGER NOT NULL,
  last_number    INTEGER NOT NULL,
  create_time_us INTEGER NOT NULL
) STRICT;
INSERT INTO publishers VALUES('gateway',1,'oss-cn-hangzhou',7,5,1800000000000000);
INSERT INTO publishers VALUES('log-shipper',2,'logs',1,1,1800000000000000);
INSERT INTO publishers VALUES('n-oss-cn-qingdao',1,'oss-cn-qingdao',1795349467859747,7,1795349467865941);
CREATE TABLE requests (
  caller         TEXT    NOT NULL,
  method         TEXT    NOT NULL,
  request_id     TEXT    NOT NULL,
  request_hash   INTEGER NOT NULL,
  response       BLOB    NOT NULL,
  expire_time_us INTEGER NOT NULL,
  PRIMARY KEY (caller, method, request_id)
) STRICT, WITHOUT ROWID;
INSERT INTO requests VALUES('','crr.v1.BucketService/CreateBucket','00000000-0000-4000-8000-000000000001',-2592404743621550499,X'0a0e6275636b6574732f70686f746f731217726567696f6e732f6f73732d636e2d68616e677a686f75180120002a0461636d653210653237643931363332666266633061643a060880a4a7da0642060880a4a7da06',1800086400000000);
INSERT INTO requests VALUES('','crr.v1.ReplicationService/CreateRule','00000000-0000-4000-8000-000000000002',-8561178336317003900,X'0a176275636b6574732f70686f746f732f72756c65732f6472120e6275636b6574732f70686f746f731a116275636b6574732f70686f746f732d64722202612f2202622f2801300138014a06080310c0843d52090a0474696572120131520b0a047465616d120377656258016a103931353134643235636235633435346172060880a4a7da067a060880a4a7da06',1800086400000000);
INSERT INTO requests VALUES('','crr.v1.ReplicationService/CreateRule','00000000-0000-4000-8000-000000000003',-223165984091356148,X'0a176275636b6574732f766964656f732f72756c65732f6472120e6275636b6574732f766964656f731a116275636b6574732f766964656f732d75732801300038024209080112056b65792d3158016a103831346138306566316437623536393972060880a4a7da067a060880a4a7da06',1800086400000000);
INSERT INTO requests VALUES('','crr.v1.ReplicationService/CreateRule','00000000-0000-4000-8000-000000000004',-2521574881668729695,X'0a156275636b6574732f646f63732f72756c65732f6472120c6275636b6574732f646f63731a0f6275636b6574732f646f63732d647228013000380158016a103266663932323965383631653837613972060880a4a7da067a060880a4a7da06',1800086400000000);
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
INSERT INTO audit_events VALUES(1,1795326411408708,'ipv4:127.0.0.1:46916','crr.v1.ReplicationService/UpdateRule','buckets/videos/rules/dr','{"name":"buckets/videos/rules/dr","sourceBucket":"buckets/videos","destinationBucket":"buckets/videos-us","prefixes":[],"operations":"ADD_DELETE_CHANGE","transfer":"ACCELERATED","sseKms":{"replicate":true,"replicaKmsKey":"key-1"},"labels":{},"state":"ACTIVE","conditions":[],"etag":"9f19614faaadfe63","replicateHistorical":false,"createTime":"2027-01-15T08:00:00Z","updateTime":"2027-01-15T08:00:00Z"}','{"name":"buckets/videos/rules/dr","sourceBucket":"buckets/videos","destinationBucket":"buckets/videos-us","prefixes":[],"operations":"ADD_DELETE_CHANGE","transfer":"ACCELERATED","sseKms":{"replicate":true,"replicaKmsKey":"key-1"},"labels":{"tier":"1"},"state":"ACTIVE","conditions":[],"etag":"92af2753a3547384","replicateHistorical":false,"createTime":"2027-01-15T08:00:00Z","updateTime":"2026-11-22T05:46:51.408704Z"}','');
INSERT INTO audit_events VALUES(2,1795326411563650,'ipv4:127.0.0.1:46920','crr.v1.RegionService/UpdateRegion','regions/oss-cn-hangzhou','{"name":"regions/oss-cn-hangzhou","area":"MAINLAND_CHINA","displayName":"China (Hangzhou)","store":{"local":{"root":"/data/oss-cn-hangzhou"}},"credentials":"","etag":"4a81eabb92e65102","createTime":"2027-01-15T08:00:00Z","updateTime":"2027-01-15T08:00:00Z"}','{"name":"regions/oss-cn-hangzhou","area":"MAINLAND_CHINA","displayName":"Hangzhou","store":{"local":{"root":"/data/oss-cn-hangzhou"}},"credentials":"","etag":"a1f16f14a7902e47","createTime":"2027-01-15T08:00:00Z","updateTime":"2026-11-22T05:46:51.563645Z"}','');
INSERT INTO audit_events VALUES(3,1795349467821090,'ipv4:127.0.0.1:39748','crr.v1.RegionService/UpdateRegion','regions/oss-cn-qingdao','{"name":"regions/oss-cn-qingdao","area":"MAINLAND_CHINA","displayName":"China (Qingdao)","credentials":"","etag":"a72395cf47381e08","createTime":"2027-01-15T08:00:00Z","updateTime":"2027-01-15T08:00:00Z"}','{"name":"regions/oss-cn-qingdao","area":"MAINLAND_CHINA","displayName":"China (Qingdao)","store":{"local":{"root":"/data/oss-cn-qingdao"}},"credentials":"","etag":"b22b9459c209d5e5","createTime":"2027-01-15T08:00:00Z","updateTime":"2026-11-22T12:11:07.821086Z"}','');
INSERT INTO audit_events VALUES(4,1795349467824565,'ipv4:127.0.0.1:39748','crr.v1.RegionService/UpdateRegion','regions/oss-cn-beijing','{"name":"regions/oss-cn-beijing","area":"MAINLAND_CHINA","displayName":"China (Beijing)","credentials":"","etag":"3883304909d42647","createTime":"2027-01-15T08:00:00Z","updateTime":"2027-01-15T08:00:00Z"}','{"name":"regions/oss-cn-beijing","area":"MAINLAND_CHINA","displayName":"China (Beijing)","store":{"local":{"root":"/data/oss-cn-beijing"}},"credentials":"","etag":"1dbb883185b729ad","createTime":"2027-01-15T08:00:00Z","updateTime":"2026-11-22T12:11:07.824564Z"}','');
INSERT INTO audit_events VALUES(5,1795349467891145,'ipv4:127.0.0.1:39748','crr.v1.BucketService/CreateBucket','buckets/sick','','{"name":"buckets/sick","region":"regions/oss-cn-qingdao","versioning":"UNVERSIONED","owner":"acme","etag":"810f48a8112b4018","transferAcceleration":false,"createTime":"2026-11-22T12:11:07.891132Z","updateTime":"2026-11-22T12:11:07.891132Z"}','');
INSERT INTO audit_events VALUES(6,1795349467893665,'ipv4:127.0.0.1:39748','crr.v1.BucketService/CreateBucket','buckets/sick-dr','','{"name":"buckets/sick-dr","region":"regions/oss-cn-beijing","versioning":"UNVERSIONED","owner":"acme","etag":"36efa95183ced043","transferAcceleration":false,"createTime":"2026-11-22T12:11:07.893660Z","updateTime":"2026-11-22T12:11:07.893660Z"}','');
INSERT INTO audit_events VALUES(7,1795349467975478,'ipv4:127.0.0.1:39748','crr.v1.ReplicationService/CreateRule','buckets/sick/rules/r','','{"name":"buckets/sick/rules/r","sourceBucket":"buckets/sick","destinationBucket":"buckets/sick-dr","prefixes":[],"operations":"ADD_DELETE_CHANGE","transfer":"STANDARD","labels":{},"state":"STARTING","conditions":[],"etag":"110efab976701f29","replicateHistorical":true,"createTime":"2026-11-22T12:11:07.975456Z","updateTime":"2026-11-22T12:11:07.975456Z"}','');
INSERT INTO audit_events VALUES(8,1795349471843135,'ipv4:127.0.0.1:39748','crr.v1.ReplicationService/VerifyRule','buckets/sick/rules/r','','{"cause":"REQUESTED","readBytes":false,"differences":{},"samples":[],"number":"1","startTime":"2026-11-22T12:11:11.843132Z","compared":"0","equal":"0"}','');
INSERT INTO audit_events VALUES(9,1795352327590038,'ipv4:127.0.0.1:43620','crr.v1.AdminService/DrainCopier','copiers/copier-4','{"name":"copiers/copier-4","region":"","sessionNumber":"5","connected":true,"leaseCredit":"32","leases":"0","draining":false}','{"name":"copiers/copier-4","region":"","sessionNumber":"5","connected":true,"leaseCredit":"32","leases":"0","draining":true}','');
CREATE TABLE IF NOT EXISTS "work_units" (
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
INSERT INTO work_units VALUES(2,1,2,0,0,X'612f39',X'',X'',0,0,1099511627815,0);
INSERT INTO work_units VALUES(4,1,3,0,0,X'612f33',X'612f32',X'612f35',4,1,1099511627816,0);
INSERT INTO work_units VALUES(5,1,3,0,0,X'612f35',X'612f35',X'612f39',4,0,1099511627817,1);
INSERT INTO work_units VALUES(7,1,4,0,0,X'',X'',X'',0,0,1099511627814,0);
INSERT INTO work_units VALUES(8,2,4,0,2,X'',X'',X'',0,1,1099511627787,0);
INSERT INTO work_units VALUES(22,7,5,0,0,X'',X'',X'',0,0,1099511627809,1);
INSERT INTO work_units VALUES(23,7,4,0,3,X'',X'',X'',0,0,1099511627810,0);
INSERT INTO work_units VALUES(24,7,5,0,0,X'',X'',X'',0,0,0,0);
CREATE TABLE IF NOT EXISTS "leases" (
  unit_id        INTEGER NOT NULL PRIMARY KEY
                 REFERENCES "work_units" (unit_id) ON DELETE CASCADE,
  session_number INTEGER NOT NULL REFERENCES sessions (session_number),
  token          INTEGER NOT NULL,
  grant_time_us  INTEGER NOT NULL
) STRICT;
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
  upload_etag      TEXT    NOT NULL DEFAULT '', parts_most INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (rule_uid, key)
) STRICT, WITHOUT ROWID;
INSERT INTO object_work VALUES(7,X'612f64656164',24,2,2,0,1,1,0,NULL,100000,0,'CONTENT_DAMAGED','DATA_LOSS: the bytes of a/dead are not those written: 100000 of 100000 bytes were found',1795349468721452,1795349474806347,'','',0);
INSERT INTO object_work VALUES(7,X'612f676f6e65',NULL,1,1,1,0,0,0,1795349474887696,100000,8,'CONTENT_DAMAGED','DATA_LOSS: the bytes of a/gone are not those written: 100000 of 100000 bytes were found',1795349475508521,1795349477711694,'','',0);
INSERT INTO object_work VALUES(7,X'642f77616974696e67',22,1,1,1,0,0,0,1795349477842956,100000,1,'CONTENT_DAMAGED','DATA_LOSS: the bytes of d/waiting are not those written: 100000 of 100000 bytes were found',1795349479523247,1795349479529058,'','',0);
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
INSERT INTO verifications VALUES(7,1,1,0,1795349471843132,1795349471851484,4,2);
CREATE TABLE verification_differences (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  reason   TEXT    NOT NULL,
  objects  INTEGER NOT NULL,
  PRIMARY KEY (rule_uid, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO verification_differences VALUES(7,'FOREIGN',1);
INSERT INTO verification_differences VALUES(7,'MISSING',1);
CREATE TABLE verification_samples (
  rule_uid INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  key      BLOB    NOT NULL,
  reason   TEXT    NOT NULL,
  PRIMARY KEY (rule_uid, key)
) STRICT, WITHOUT ROWID;
INSERT INTO verification_samples VALUES(7,X'612f64656164','MISSING');
INSERT INTO verification_samples VALUES(7,X'7374726179','FOREIGN');
CREATE TABLE rule_partitions (
  rule_uid      INTEGER NOT NULL REFERENCES rules (rule_uid) ON DELETE CASCADE,
  partition     INTEGER NOT NULL CHECK (partition >= 1),
  next_sequence INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (rule_uid, partition)
) STRICT, WITHOUT ROWID;
INSERT INTO rule_partitions VALUES(6,1,139294);
INSERT INTO rule_partitions VALUES(6,2,139708);
CREATE TABLE ledger_totals (
  term    TEXT    NOT NULL CHECK (term IN ('published', 'applied', 'collapsed',
                                           'resync', 'filtered', 'apart',
                                           'failed')),
  reason  TEXT    NOT NULL DEFAULT ''
          CHECK ((reason <> '') = (term = 'filtered')),
  changes INTEGER NOT NULL,
  PRIMARY KEY (term, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_totals VALUES('apart','',1);
INSERT INTO ledger_totals VALUES('applied','',2);
INSERT INTO ledger_totals VALUES('collapsed','',1);
INSERT INTO ledger_totals VALUES('failed','',1);
INSERT INTO ledger_totals VALUES('filtered','OPERATIONS',1);
INSERT INTO ledger_totals VALUES('filtered','PREFIX',1);
INSERT INTO ledger_totals VALUES('published','',300020);
INSERT INTO ledger_totals VALUES('resync','',300000);
CREATE INDEX buckets_by_region ON buckets (region, bucket);
CREATE INDEX rules_by_destination ON rules (destination);
CREATE INDEX rules_by_name ON rules (source || '/');
CREATE INDEX sessions_by_copier ON sessions (copier, session_number);
CREATE INDEX publishers_by_scope ON publishers (scope_kind, scope);
CREATE INDEX requests_by_expiry ON requests (expire_time_us);
CREATE INDEX audit_events_by_subject ON audit_events (subject, number);
CREATE INDEX change_segments_by_event
  ON change_segments (rule_uid, oldest_event_us);
CREATE INDEX change_segments_by_small_event
  ON change_segments (rule_uid, oldest_small_event_us)
  WHERE oldest_small_event_us IS NOT NULL;
CREATE INDEX rule_counters_with_log ON rule_counters (rule_uid)
  WHERE log_bytes > 0;
CREATE INDEX rules_by_state ON rules (state) WHERE state <> 2;
CREATE INDEX leases_by_session ON leases (session_number);
CREATE UNIQUE INDEX work_units_once ON work_units (rule_uid, kind, partition)
  WHERE kind IN (1, 2, 4);
CREATE INDEX work_units_by_rule ON work_units (rule_uid, kind);
CREATE INDEX object_work_by_event ON object_work (rule_uid, oldest_event_us)
  WHERE oldest_event_us IS NOT NULL;
CREATE INDEX object_work_historical ON object_work (rule_uid)
  WHERE historical = 1;
CREATE INDEX object_work_repair ON object_work (rule_uid) WHERE repair = 1;
CREATE INDEX object_work_dead ON object_work (rule_uid) WHERE unit_id IS NULL;
CREATE INDEX rules_by_resync ON rules (resync) WHERE resync <> 0;
CREATE INDEX rule_counters_imbalanced ON rule_counters (rule_uid)
  WHERE imbalanced = 1;
CREATE INDEX rule_counters_with_objects ON rule_counters (rule_uid)
  WHERE apart + failed > 0;
COMMIT;
PRAGMA application_id=1668444755;
PRAGMA user_version=4;
