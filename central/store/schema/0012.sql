-- Numbers to block, what member units send, and what is said to people before they are cheated.

-- One file or message of a unit, with the receipt that it got.
CREATE TABLE feeds (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  unit TEXT NOT NULL,
  kind TEXT NOT NULL,             -- numbers, sightings, leads, indicators
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  taken BIGINT NOT NULL,
  refused BIGINT NOT NULL,
  refusals TEXT NOT NULL,         -- JSON: [line, reason] of the first of them
  received_by TEXT NOT NULL,
  received_at BIGINT NOT NULL
);
CREATE INDEX feeds_by_unit ON feeds (unit, id);

CREATE TABLE numbers (
  number TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL,            -- candidate, approved, rejected, pushed
  reason TEXT NOT NULL,
  decided_by TEXT,
  decided_at BIGINT,
  seen_at BIGINT                  -- last call that somebody reported
);
CREATE INDEX numbers_by_state ON numbers (state, number);

CREATE TABLE number_sources (
  number TEXT NOT NULL REFERENCES numbers (number),
  feed_id BIGINT NOT NULL REFERENCES feeds (id),
  line BIGINT NOT NULL,
  PRIMARY KEY (number, feed_id, line)
);

-- A block that a carrier was asked for; what did not hold is pushed back and answered.
CREATE TABLE number_pushes (
  number TEXT NOT NULL PRIMARY KEY REFERENCES numbers (number),
  carrier TEXT NOT NULL,
  rule TEXT NOT NULL,
  pushed_by TEXT NOT NULL,
  pushed_at BIGINT NOT NULL,
  done_at BIGINT,
  wrong_by TEXT,
  back_at BIGINT,
  answered_at BIGINT,
  answered_by TEXT,
  answer TEXT NOT NULL
);
CREATE INDEX number_pushes_by_carrier ON number_pushes (carrier, number);

-- A threshold of our own alert rules that one person wants otherwise and another one reviews.
CREATE TABLE rule_changes (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  rule TEXT NOT NULL,
  text TEXT NOT NULL,             -- what is to be changed, from what, to what
  state TEXT NOT NULL,            -- proposed, approved, declined
  proposed_by TEXT NOT NULL,
  proposed_at BIGINT NOT NULL,
  decided_by TEXT,
  decided_at BIGINT
);

CREATE TABLE member_units (
  unit TEXT NOT NULL PRIMARY KEY,
  zh TEXT NOT NULL,
  en TEXT NOT NULL,
  kind TEXT NOT NULL,
  feed_every_h BIGINT NOT NULL,   -- how often something is expected; 0: never
  added_by TEXT NOT NULL,
  added_at BIGINT NOT NULL
);

-- Figures that units report of themselves: shown with their source, never computed here.
CREATE TABLE indicators (
  unit TEXT NOT NULL REFERENCES member_units (unit),
  name TEXT NOT NULL,
  period TEXT NOT NULL,
  value TEXT NOT NULL,
  feed_id BIGINT NOT NULL REFERENCES feeds (id),
  PRIMARY KEY (unit, name, period)
);

-- Somebody who may be under a swindler's influence; the number is sealed, steps are append-only.
CREATE TABLE dissuasions (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  last4 TEXT NOT NULL,
  seal_id BLOB NOT NULL,
  sealed BLOB NOT NULL,
  risk TEXT NOT NULL,
  area TEXT NOT NULL,
  note TEXT NOT NULL,
  opened_by TEXT NOT NULL,
  opened_at BIGINT NOT NULL
);
CREATE TABLE dissuasion_steps (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  dissuasion_id BIGINT NOT NULL REFERENCES dissuasions (id),
  step TEXT NOT NULL,
  outcome TEXT NOT NULL,
  text TEXT NOT NULL,
  actor TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX dissuasion_steps_by_case ON dissuasion_steps (dissuasion_id, id);
CREATE TRIGGER dissuasion_steps_unchanged BEFORE UPDATE ON dissuasion_steps
  BEGIN SELECT RAISE (ABORT, 'dissuasion_steps is append-only'); END;
CREATE TRIGGER dissuasion_steps_kept BEFORE DELETE ON dissuasion_steps
  BEGIN SELECT RAISE (ABORT, 'dissuasion_steps is append-only'); END;

-- Texts on the machines' idle screens.
CREATE TABLE screen_notices (
  notice BLOB NOT NULL PRIMARY KEY,
  order_id BLOB NOT NULL,
  zh TEXT NOT NULL,
  en TEXT NOT NULL,
  until BIGINT NOT NULL,
  shown_by TEXT NOT NULL,
  shown_at BIGINT NOT NULL,
  ended_by TEXT,
  ended_at BIGINT
);
