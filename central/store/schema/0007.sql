-- Cases from the first suspicion to the outcome, and the vans that are sent.
CREATE TABLE cases (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  number TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  severity TEXT NOT NULL,
  area TEXT NOT NULL,
  state TEXT NOT NULL,        -- how far it came; a case off the air keeps it
  dormant_since BIGINT,       -- off the air; shown as DORMANT
  owner TEXT NOT NULL,
  subject TEXT NOT NULL,
  lat DOUBLE,
  lon DOUBLE,
  opened_by TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  first_seen BIGINT NOT NULL, -- first reading or lead: the clock of the first leg begins here
  state_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  ended_at BIGINT,
  reason_code TEXT,
  transfer_to TEXT,           -- unit that was asked to take it; its named person accepts
  transfer_by TEXT,
  version BIGINT NOT NULL
);
CREATE INDEX cases_by_state ON cases (state, updated_at, id);
CREATE INDEX cases_by_update ON cases (updated_at, id);
CREATE INDEX cases_by_owner ON cases (owner, updated_at);

CREATE TABLE case_alerts (
  case_id BIGINT NOT NULL REFERENCES cases (id),
  alert_id BIGINT NOT NULL REFERENCES alerts (id),
  relation TEXT NOT NULL,
  linked_by TEXT NOT NULL,
  linked_at BIGINT NOT NULL,
  PRIMARY KEY (case_id, alert_id)
);
CREATE INDEX case_alerts_by_alert ON case_alerts (alert_id);

CREATE TABLE case_events (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  case_id BIGINT NOT NULL REFERENCES cases (id),
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  version BIGINT NOT NULL,
  reason_code TEXT,
  note TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX case_events_by_case ON case_events (case_id, id);
CREATE TRIGGER case_events_unchanged BEFORE UPDATE ON case_events
  BEGIN SELECT RAISE (ABORT, 'case_events is append-only'); END;
CREATE TRIGGER case_events_kept BEFORE DELETE ON case_events
  BEGIN SELECT RAISE (ABORT, 'case_events is append-only'); END;

-- Members, tasks and seized things: each is added and ended by a name, never removed.
CREATE TABLE case_parts (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  case_id BIGINT NOT NULL REFERENCES cases (id),
  kind TEXT NOT NULL,
  text TEXT NOT NULL,
  data TEXT NOT NULL,
  added_by TEXT NOT NULL,
  added_at BIGINT NOT NULL,
  ended_by TEXT,
  ended_at BIGINT,
  outcome TEXT NOT NULL
);
CREATE INDEX case_parts_by_case ON case_parts (case_id, id);

CREATE TABLE inquiries (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  case_id BIGINT NOT NULL REFERENCES cases (id),
  unit TEXT NOT NULL,
  question TEXT NOT NULL,
  asked_by TEXT NOT NULL,
  asked_at BIGINT NOT NULL,
  answer TEXT,                -- OURS, NOT_OURS
  answered_for TEXT,          -- the person of the unit, by name
  answered_by TEXT,           -- who wrote it down: the same, or an officer who telephoned
  answered_at BIGINT,
  note TEXT NOT NULL
);
CREATE INDEX inquiries_by_case ON inquiries (case_id, id);
CREATE INDEX inquiries_open ON inquiries (answered_at, unit);

CREATE TABLE tip_offs (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  case_id BIGINT REFERENCES cases (id),
  source TEXT NOT NULL,
  text TEXT NOT NULL,
  area TEXT NOT NULL,
  lat DOUBLE,
  lon DOUBLE,
  taken_by TEXT NOT NULL,
  taken_at BIGINT NOT NULL,
  reward_fen BIGINT,          -- awarded; NULL: not
  awarded_by TEXT,
  awarded_at BIGINT
);
CREATE INDEX tip_offs_by_case ON tip_offs (case_id);
CREATE INDEX tip_offs_by_area ON tip_offs (area, taken_at);

-- Where a van is and when it is on duty, as its crew or the dispatcher last said.
CREATE TABLE van_posts (
  device TEXT NOT NULL PRIMARY KEY REFERENCES devices (device),
  lat DOUBLE,
  lon DOUBLE,
  placed_at BIGINT,
  duty_from BIGINT NOT NULL,  -- minutes of the local day
  duty_until BIGINT NOT NULL, -- the same as duty_from: all day; less: past midnight
  crew TEXT NOT NULL,
  changed_by TEXT NOT NULL,
  changed_at BIGINT NOT NULL
);

CREATE TABLE dispatches (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  dispatch_id BLOB NOT NULL UNIQUE,
  case_id BIGINT NOT NULL REFERENCES cases (id),
  van TEXT NOT NULL REFERENCES devices (device),
  state TEXT NOT NULL,
  lat DOUBLE NOT NULL,
  lon DOUBLE NOT NULL,
  text TEXT NOT NULL,
  distance_m DOUBLE,
  sent_by TEXT NOT NULL,
  sent_at BIGINT NOT NULL,
  acknowledge_by BIGINT,      -- from then on the next van is asked; NULL: answered
  acknowledged_at BIGINT,
  arrived_at BIGINT,
  ended_at BIGINT,
  crew TEXT NOT NULL,
  report TEXT NOT NULL,
  follows BIGINT REFERENCES dispatches (id),  -- the van that did not answer
  version BIGINT NOT NULL
);
CREATE INDEX dispatches_by_case ON dispatches (case_id, id);
CREATE INDEX dispatches_by_van ON dispatches (van, ended_at);
CREATE INDEX dispatches_due ON dispatches (acknowledge_by);
CREATE INDEX dispatches_open ON dispatches (ended_at, id);
