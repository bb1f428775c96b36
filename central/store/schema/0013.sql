-- Alarms of 110, what starts and stops the law's clocks, refunds, and reports with their versions.
CREATE TABLE alarms (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,       -- the intake that numbers them
  number TEXT NOT NULL,       -- an alarm comes once, whichever way it comes
  case_id BIGINT NOT NULL REFERENCES cases (id),
  via TEXT NOT NULL,          -- webhook, mqtt, form
  area TEXT NOT NULL,
  alarm_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  amount_fen BIGINT NOT NULL,
  victim TEXT NOT NULL,       -- masked; in full in the sealed column
  seal_key BLOB NOT NULL,     -- what the sealed value is bound to
  sealed BLOB NOT NULL,
  brief TEXT NOT NULL,
  taken_by TEXT NOT NULL,
  UNIQUE (source, number)
);
CREATE INDEX alarms_by_case ON alarms (case_id, id);
CREATE INDEX alarms_by_time ON alarms (alarm_at, area);

CREATE TABLE alarm_accounts (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  alarm_id BIGINT NOT NULL REFERENCES alarms (id),
  last4 TEXT NOT NULL,
  holder TEXT NOT NULL,       -- masked
  bank TEXT NOT NULL,
  amount_fen BIGINT NOT NULL,
  transfer_at BIGINT NOT NULL,
  seal_key BLOB NOT NULL,
  sealed BLOB NOT NULL,
  added_by TEXT NOT NULL,
  added_at BIGINT NOT NULL
);
CREATE INDEX alarm_accounts_by_alarm ON alarm_accounts (alarm_id, id);

CREATE TABLE alarm_refusals (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  at BIGINT NOT NULL,
  via TEXT NOT NULL,
  sender TEXT NOT NULL,
  number TEXT NOT NULL,       -- empty where it has none that can be read
  problems TEXT NOT NULL      -- JSON: fields and what is wrong with each, never their values
);

-- What starts or stops a clock. A clock itself is computed, never stored.
CREATE TABLE happenings (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  case_id BIGINT NOT NULL REFERENCES cases (id),
  happening TEXT NOT NULL,
  subject TEXT NOT NULL,
  at BIGINT NOT NULL,
  detail TEXT NOT NULL,
  noted_by TEXT NOT NULL,
  noted_at BIGINT NOT NULL
);
CREATE INDEX happenings_by_case ON happenings (case_id, id);
CREATE INDEX happenings_by_time ON happenings (happening, at);
CREATE TRIGGER happenings_unchanged BEFORE UPDATE ON happenings
  BEGIN SELECT RAISE (ABORT, 'happenings is append-only'); END;
CREATE TRIGGER happenings_kept BEFORE DELETE ON happenings
  BEGIN SELECT RAISE (ABORT, 'happenings is append-only'); END;

-- Which cases have a clock that runs, and when the next word on it is due: a mark to find them by.
CREATE TABLE case_clocks (
  case_id BIGINT NOT NULL PRIMARY KEY REFERENCES cases (id),
  is_running BIGINT NOT NULL,
  next_at BIGINT,             -- NULL: nothing more to tell
  told_until BIGINT NOT NULL
);
CREATE INDEX case_clocks_due ON case_clocks (next_at);
CREATE INDEX case_clocks_running ON case_clocks (is_running, next_at);

-- What the duty officer is told, until somebody has seen it.
CREATE TABLE notices (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  case_id BIGINT NOT NULL REFERENCES cases (id),
  area TEXT NOT NULL,
  told_to TEXT NOT NULL,
  data TEXT NOT NULL,
  seen_by TEXT,
  seen_at BIGINT
);
CREATE INDEX notices_unseen ON notices (seen_at, id);
CREATE INDEX notices_by_case ON notices (case_id, id);

CREATE TABLE refunds (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  case_id BIGINT NOT NULL REFERENCES cases (id),
  account TEXT NOT NULL,      -- masked
  held_fen BIGINT NOT NULL,
  method TEXT NOT NULL,
  claims TEXT NOT NULL,
  shares TEXT NOT NULL,
  left_fen BIGINT NOT NULL,
  state TEXT NOT NULL,
  proposed_by TEXT NOT NULL,
  proposed_at BIGINT NOT NULL,
  approved_by TEXT,
  approved_at BIGINT,
  notice_until BIGINT,
  decided_by TEXT,
  decided_at BIGINT,
  done_by TEXT,
  done_at BIGINT,
  note TEXT NOT NULL,
  version BIGINT NOT NULL
);
CREATE INDEX refunds_by_case ON refunds (case_id, id);
CREATE INDEX refunds_by_state ON refunds (state, id);

-- A report that was given out stays as it was; what is known later makes a further version.
CREATE TABLE reports (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  span TEXT NOT NULL,         -- day, month
  first_day TEXT NOT NULL,
  area TEXT NOT NULL,
  revision BIGINT NOT NULL,
  made_at BIGINT NOT NULL,
  made_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  data TEXT NOT NULL,
  digest TEXT NOT NULL,
  UNIQUE (span, first_day, area, revision)
);
CREATE TRIGGER reports_unchanged BEFORE UPDATE ON reports
  BEGIN SELECT RAISE (ABORT, 'reports is append-only'); END;
CREATE TRIGGER reports_kept BEFORE DELETE ON reports
  BEGIN SELECT RAISE (ABORT, 'reports is append-only'); END;

-- Figures that people state because no event knows them; a correction is a further row.
CREATE TABLE stated_figures (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  indicator TEXT NOT NULL,
  area TEXT NOT NULL,
  period TEXT NOT NULL,
  value TEXT NOT NULL,
  stated_at BIGINT NOT NULL,
  stated_by TEXT NOT NULL,
  reason TEXT NOT NULL
);
CREATE INDEX stated_figures_by_period ON stated_figures (indicator, period, id);
CREATE TRIGGER stated_figures_unchanged BEFORE UPDATE ON stated_figures
  BEGIN SELECT RAISE (ABORT, 'stated_figures is append-only'); END;
CREATE TRIGGER stated_figures_kept BEFORE DELETE ON stated_figures
  BEGIN SELECT RAISE (ABORT, 'stated_figures is append-only'); END;
