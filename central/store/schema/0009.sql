-- What happened to each order, as it happened, and what only the sealed column may hold.
CREATE TABLE order_events (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  order_id BLOB NOT NULL,
  step TEXT NOT NULL,         -- what moved it: draft, sign, complete, send, ...
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  detail TEXT NOT NULL,
  application TEXT            -- what was applied for; of the draft alone
);
CREATE INDEX order_events_by_order ON order_events (order_id, id);
CREATE TRIGGER order_events_unchanged BEFORE UPDATE ON order_events
  BEGIN SELECT RAISE (ABORT, 'order_events is append-only'); END;
CREATE TRIGGER order_events_kept BEFORE DELETE ON order_events
  BEGIN SELECT RAISE (ABORT, 'order_events is append-only'); END;

CREATE TABLE order_sealed (
  order_id BLOB NOT NULL PRIMARY KEY,
  sealed BLOB NOT NULL
);

-- Counters are given once, also to a draft that nobody signs: a device takes each one once.
CREATE TABLE order_counter (
  id BIGINT NOT NULL PRIMARY KEY,
  last BIGINT NOT NULL
);
INSERT INTO order_counter (id, last) SELECT 1, COALESCE(MAX(counter), 0) FROM orders;
