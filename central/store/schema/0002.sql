-- Orders as they were signed, and what each device did with them.
CREATE TABLE orders (
  order_id BLOB NOT NULL PRIMARY KEY,
  type TEXT NOT NULL,
  counter BIGINT NOT NULL UNIQUE,
  issued_at BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  signers TEXT NOT NULL,        -- JSON array of names
  raw BLOB NOT NULL
);

CREATE TABLE order_targets (
  order_id BLOB NOT NULL REFERENCES orders (order_id),
  device TEXT NOT NULL REFERENCES devices (device),
  outcome TEXT,                 -- NULL: pending
  reason TEXT,
  detail TEXT NOT NULL DEFAULT '',
  answered_at BIGINT,           -- device's time
  attempts BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (order_id, device)
);
CREATE INDEX order_targets_pending ON order_targets (device) WHERE outcome IS NULL;
