-- People, their sessions, keys of programs, and what was done by whom in one chain.
CREATE TABLE people (
  name TEXT NOT NULL PRIMARY KEY,       -- what one signs in with
  shown TEXT NOT NULL,                  -- as the pages name the person
  roles TEXT NOT NULL,                  -- JSON array
  areas TEXT NOT NULL,                  -- JSON array of administrative division codes
  password TEXT,                        -- argon2id; NULL: none yet
  second_factor TEXT,                   -- sealed TOTP secret; NULL: none yet
  second_factor_step BIGINT NOT NULL,   -- the last time step that was used: a code works once
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  disabled_at BIGINT,
  failures BIGINT NOT NULL,             -- wrong passwords or codes in a row
  locked_until BIGINT NOT NULL,
  version BIGINT NOT NULL
);

CREATE TABLE sessions (
  hashed TEXT NOT NULL PRIMARY KEY,     -- SHA-256 of the cookie
  person TEXT NOT NULL REFERENCES people (name),
  csrf TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  ended_at BIGINT,
  is_strong BIGINT NOT NULL,            -- a second factor was shown
  client TEXT NOT NULL,                 -- address and browser, for the person to recognise it
  broken_until BIGINT NOT NULL,         -- glass broken: beyond one's areas until then
  broken_reason TEXT NOT NULL
);
CREATE INDEX sessions_by_person ON sessions (person);

CREATE TABLE sign_in_links (
  hashed TEXT NOT NULL PRIMARY KEY,
  person TEXT NOT NULL REFERENCES people (name),
  made_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE program_keys (
  hashed TEXT NOT NULL PRIMARY KEY,
  label TEXT NOT NULL,
  person TEXT NOT NULL REFERENCES people (name),
  made_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT
);

CREATE TABLE audit (
  seq BIGINT NOT NULL PRIMARY KEY,      -- from 1, without a hole
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  roles TEXT NOT NULL,                  -- JSON array
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  outcome TEXT NOT NULL,
  detail TEXT NOT NULL,                 -- JSON object
  prev TEXT NOT NULL,                   -- digest of the row before
  digest TEXT NOT NULL
);
CREATE INDEX audit_by_actor ON audit (actor);

CREATE TABLE audit_head (
  id BIGINT NOT NULL PRIMARY KEY,       -- 1
  seq BIGINT NOT NULL,
  digest TEXT NOT NULL
);
INSERT INTO audit_head (id, seq, digest) VALUES (1, 0, '');

CREATE TABLE audit_seals (
  seq BIGINT NOT NULL PRIMARY KEY,      -- the chain up to here ...
  digest TEXT NOT NULL,
  at BIGINT NOT NULL,
  kid TEXT NOT NULL,
  signature TEXT NOT NULL               -- ... under the central's key
);
