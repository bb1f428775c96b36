-- The lists that ATMs look at: entries with their history, who proposed and who approved, versions.

-- A proposal: rows to list, entries to take off, or a version to go back to. Two people make it.
CREATE TABLE list_changes (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,             -- add, remove, rollback
  state TEXT NOT NULL,            -- proposed, approved, declined
  name TEXT NOT NULL,             -- of the file or form
  note TEXT NOT NULL,
  taken BIGINT NOT NULL,          -- rows taken
  refused BIGINT NOT NULL,
  refusals TEXT NOT NULL,         -- JSON: [line, reason] of the first of them
  back_to BIGINT,
  proposed_by TEXT NOT NULL,
  proposed_at BIGINT NOT NULL,
  decided_by TEXT,
  decided_at BIGINT,
  version BIGINT                  -- the list in which it took effect
);
CREATE INDEX list_changes_by_state ON list_changes (state, version);

-- One reason to list one account. In the list while added_version is set and removed_version is not.
CREATE TABLE list_entries (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  account BLOB NOT NULL,          -- HMAC under the tenant's key
  last4 TEXT NOT NULL,
  listed_for BIGINT NOT NULL,     -- one bit of contract.account_list.ListedFor
  regime BIGINT NOT NULL,
  from_at BIGINT,
  until_at BIGINT,                -- NULL: open
  source TEXT NOT NULL,           -- file, order
  source_ref TEXT NOT NULL,       -- FILE:LINE, or the order's id
  note TEXT NOT NULL,
  change_id BIGINT,
  added_version BIGINT,
  removed_version BIGINT,
  seal_id BLOB,                   -- what the sealed number is bound to
  sealed BLOB,                    -- full number, encrypted; NULL: known by its HMAC alone
  key_number BIGINT NOT NULL      -- which of the tenant's keys the HMAC is under
);
CREATE INDEX list_entries_live ON list_entries (account, listed_for, regime, until_at)
  WHERE added_version IS NOT NULL AND removed_version IS NULL;
CREATE INDEX list_entries_added ON list_entries (added_version);
CREATE INDEX list_entries_removed ON list_entries (removed_version);
CREATE INDEX list_entries_by_change ON list_entries (change_id);
CREATE INDEX list_entries_until ON list_entries (until_at) WHERE removed_version IS NULL;

-- Entries that a proposal takes off.
CREATE TABLE list_change_targets (
  change_id BIGINT NOT NULL REFERENCES list_changes (id),
  entry_id BIGINT NOT NULL REFERENCES list_entries (id),
  PRIMARY KEY (change_id, entry_id)
);

-- Every list that was drawn up; one without a hash is being made.
CREATE TABLE list_versions (
  version BIGINT NOT NULL PRIMARY KEY,
  why TEXT NOT NULL,              -- change, orders, term, rollback, key
  count BIGINT NOT NULL,
  added BIGINT NOT NULL,
  removed BIGINT NOT NULL,
  sha256 BLOB,
  made_at BIGINT NOT NULL
);
