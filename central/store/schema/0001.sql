-- Times are microseconds since 1970-01-01T00:00:00Z. health, subject, summary, body and
-- data hold JSON.

CREATE TABLE devices (
  device TEXT NOT NULL PRIMARY KEY,
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  enrolled_at BIGINT NOT NULL,
  revoked_at BIGINT,
  presence TEXT,            -- NULL: never said
  session BLOB,             -- of the birth that counts now
  session_boot BLOB,
  session_mono BIGINT,
  last_seen BIGINT,         -- last message that verified
  health TEXT,
  health_boot BLOB,
  health_mono BIGINT,
  health_at BIGINT,
  chain_start BIGINT,       -- greatest seq whose prev is zeros; NULL: none stored yet
  receipt_up_to BIGINT,
  receipt_at BIGINT,
  duplicates BIGINT NOT NULL,
  refused BIGINT NOT NULL
);

CREATE TABLE device_keys (
  kid BLOB NOT NULL PRIMARY KEY,
  device TEXT NOT NULL REFERENCES devices (device),
  public_pem TEXT NOT NULL,
  added_at BIGINT NOT NULL,
  revoked_at BIGINT
);

CREATE TABLE messages (
  device TEXT NOT NULL REFERENCES devices (device),
  seq BIGINT NOT NULL,
  message_id BLOB NOT NULL,
  type TEXT NOT NULL,
  boot_id BLOB NOT NULL,
  wall BIGINT NOT NULL,
  mono BIGINT NOT NULL,
  is_clock_synced BOOLEAN NOT NULL,
  clock_error_ms BIGINT,
  received_at BIGINT NOT NULL,
  digest BLOB NOT NULL,
  prev BLOB NOT NULL,
  kid BLOB NOT NULL,
  cose BLOB NOT NULL,       -- the bytes as they came: the evidence itself
  PRIMARY KEY (device, seq)
);

-- Runs of sequence numbers stored without a hole; the holes between them are the gaps.
CREATE TABLE runs (
  device TEXT NOT NULL REFERENCES devices (device),
  first BIGINT NOT NULL,
  last BIGINT NOT NULL,
  PRIMARY KEY (device, first)
);

CREATE TABLE alerts (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  level TEXT NOT NULL,
  severity TEXT NOT NULL,
  state TEXT NOT NULL,
  subject TEXT NOT NULL,
  summary TEXT NOT NULL,    -- rules, sensor, source: what a list shows
  device TEXT NOT NULL,     -- with seq: the message that carries the present level
  seq BIGINT NOT NULL,
  count BIGINT NOT NULL,
  first_seen BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  time_basis TEXT NOT NULL,
  fired_at BIGINT,
  raised_at BIGINT NOT NULL,
  risen_at BIGINT NOT NULL, -- raised or escalated last: the order of the list
  updated_at BIGINT NOT NULL
);

CREATE TABLE detections (
  device TEXT NOT NULL REFERENCES devices (device),
  detection_id BLOB NOT NULL,
  revision BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  kind TEXT NOT NULL,
  level TEXT NOT NULL,
  alert_kind TEXT,
  severity TEXT NOT NULL,
  score DOUBLE NOT NULL,
  first_seen BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  time_basis TEXT NOT NULL,
  body TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  alert_id BIGINT REFERENCES alerts (id),
  PRIMARY KEY (device, detection_id)
);
CREATE INDEX detections_by_alert ON detections (alert_id);

CREATE TABLE decisions (
  device TEXT NOT NULL REFERENCES devices (device),
  seq BIGINT NOT NULL,
  visit TEXT NOT NULL,
  decision TEXT NOT NULL,
  reason TEXT,
  decided_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  body TEXT NOT NULL,
  alert_id BIGINT REFERENCES alerts (id),
  PRIMARY KEY (device, seq)
);
CREATE INDEX decisions_by_receipt ON decisions (received_at);
CREATE INDEX decisions_by_alert ON decisions (alert_id);

-- What was not taken: never the content, only what is needed to find the cause.
CREATE TABLE refusals (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  at BIGINT NOT NULL,
  device TEXT NOT NULL,     -- as the topic claims; empty: the topic names none
  topic TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  size_bytes BIGINT NOT NULL
);
CREATE INDEX refusals_by_device ON refusals (device, id);

CREATE TABLE refusal_counts (
  device TEXT NOT NULL,
  reason TEXT NOT NULL,
  count BIGINT NOT NULL,
  PRIMARY KEY (device, reason)
);

-- Append-only: what pages stream. AUTOINCREMENT never gives a number twice.
CREATE TABLE events (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL
);
