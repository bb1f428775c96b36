-- From an alert to what a person did with it; where devices stand; what is known to be harmless.
ALTER TABLE devices ADD COLUMN area TEXT NOT NULL DEFAULT '';  -- division code; '': the central's own

ALTER TABLE alerts ADD COLUMN is_technical BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE alerts ADD COLUMN area TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN version BIGINT NOT NULL DEFAULT 0;   -- of what people did, not of the count
ALTER TABLE alerts ADD COLUMN handler TEXT;                -- who acknowledged it first
ALTER TABLE alerts ADD COLUMN reason_code TEXT;            -- why it was dismissed or closed
ALTER TABLE alerts ADD COLUMN closed_at BIGINT;            -- dismissed or closed
ALTER TABLE alerts ADD COLUMN snoozed_until BIGINT;
ALTER TABLE alerts ADD COLUMN merged_into BIGINT REFERENCES alerts (id);
ALTER TABLE alerts ADD COLUMN follows BIGINT REFERENCES alerts (id);  -- closed alert of the same subject
ALTER TABLE alerts ADD COLUMN escalation BIGINT NOT NULL DEFAULT 0;   -- steps that were called
ALTER TABLE alerts ADD COLUMN escalate_at BIGINT;          -- next call; NULL: somebody has it
UPDATE alerts SET is_technical = TRUE
  WHERE kind IN ('CLOCK_SKEW', 'REPLAY', 'TOPIC_ACL_VIOLATION', 'ORDER_REJECTED');
CREATE INDEX alerts_by_rise ON alerts (is_technical, risen_at, id);
CREATE INDEX alerts_by_state ON alerts (is_technical, state, risen_at, id);
CREATE INDEX alerts_counted ON alerts (is_technical, state, severity, area);
CREATE INDEX alerts_by_call ON alerts (escalate_at);
CREATE INDEX alerts_merged ON alerts (merged_into);

CREATE TABLE alert_events (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  alert_id BIGINT NOT NULL REFERENCES alerts (id),
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,        -- a person, or "central" for what the clock did
  action TEXT NOT NULL,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  version BIGINT NOT NULL,    -- of the alert after it
  reason_code TEXT,
  note TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX alert_events_by_alert ON alert_events (alert_id, id);
CREATE TRIGGER alert_events_unchanged BEFORE UPDATE ON alert_events
  BEGIN SELECT RAISE (ABORT, 'alert_events is append-only'); END;
CREATE TRIGGER alert_events_kept BEFORE DELETE ON alert_events
  BEGIN SELECT RAISE (ABORT, 'alert_events is append-only'); END;

-- Every signed message of a detection: its revisions are its observations.
CREATE TABLE observations (
  device TEXT NOT NULL,
  seq BIGINT NOT NULL,
  detection_id BLOB NOT NULL,
  revision BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  PRIMARY KEY (device, seq)
);
CREATE INDEX observations_by_detection ON observations (device, detection_id, seq);

-- Detections that a person put to a further alert; the one that it raised is in detections.
CREATE TABLE alert_detections (
  alert_id BIGINT NOT NULL REFERENCES alerts (id),
  device TEXT NOT NULL,
  detection_id BLOB NOT NULL,
  PRIMARY KEY (alert_id, device, detection_id)
);
CREATE INDEX alert_detections_by_detection ON alert_detections (device, detection_id);

-- After a split: what one device says of a subject goes to an alert of its own.
CREATE TABLE alert_routes (
  key TEXT NOT NULL,
  device TEXT NOT NULL,
  to_key TEXT NOT NULL,
  PRIMARY KEY (key, device)
);

-- What is known to be harmless, applied before anything is correlated.
CREATE TABLE allowances (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  match TEXT NOT NULL,        -- JSON: names of the subject and their values, all of which must agree
  area TEXT NOT NULL,
  valid_from BIGINT NOT NULL,
  valid_until BIGINT,
  note TEXT NOT NULL,
  added_by TEXT NOT NULL,
  added_at BIGINT NOT NULL,
  removed_by TEXT,
  removed_at BIGINT,
  hits BIGINT NOT NULL DEFAULT 0,
  last_hit_at BIGINT
);
