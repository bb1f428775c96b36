-- The tenant's keys: to whom they can be sealed, and each step of going over to another one.
CREATE TABLE device_boxes (
  device TEXT NOT NULL PRIMARY KEY REFERENCES devices (device),
  public BLOB NOT NULL,           -- X25519; the private half never leaves the machine
  at BIGINT NOT NULL
);

CREATE TABLE tenant_key_steps (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  step TEXT NOT NULL,             -- begin, switch, retire
  number BIGINT NOT NULL,         -- of the key
  actor TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE TRIGGER tenant_key_steps_unchanged BEFORE UPDATE ON tenant_key_steps
  BEGIN SELECT RAISE (ABORT, 'tenant_key_steps is append-only'); END;
CREATE TRIGGER tenant_key_steps_kept BEFORE DELETE ON tenant_key_steps
  BEGIN SELECT RAISE (ABORT, 'tenant_key_steps is append-only'); END;

-- Rows that are still listed are found by the index of the live ones, in order and without sorting.
DROP INDEX list_entries_removed;
CREATE INDEX list_entries_removed ON list_entries (removed_version)
  WHERE removed_version IS NOT NULL;
DROP INDEX list_entries_live;
CREATE INDEX list_entries_live
  ON list_entries (account, listed_for, regime, until_at, added_version, removed_version)
  WHERE added_version IS NOT NULL AND removed_version IS NULL;
