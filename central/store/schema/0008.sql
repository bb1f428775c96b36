-- What pages ask for without looking at every row.

-- How many rows there are, kept by whoever adds or erases them, in the same transaction.
CREATE TABLE tallies (
  what TEXT NOT NULL PRIMARY KEY,
  number BIGINT NOT NULL
);
INSERT INTO tallies (what, number) SELECT 'messages', COUNT(*) FROM messages;
INSERT INTO tallies (what, number) SELECT 'detections', COUNT(*) FROM detections;
INSERT INTO tallies (what, number) SELECT 'decisions', COUNT(*) FROM decisions;

CREATE INDEX alerts_risen ON alerts (risen_at, id);               -- the duty desk
CREATE INDEX alerts_by_kind ON alerts (state, kind, severity, area);  -- the overview
CREATE INDEX alerts_timed ON alerts (id, fired_at, raised_at) WHERE fired_at IS NOT NULL;

-- Whose liaison is asked: carrier or regulator; '' of a question that was put before.
ALTER TABLE inquiries ADD COLUMN role TEXT NOT NULL DEFAULT '';
