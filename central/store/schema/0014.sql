-- Passkeys that officers made and no administrator has decided on. Those that sign are in the bundle.
CREATE TABLE waiting_passkeys (
  kid BLOB NOT NULL PRIMARY KEY,
  person TEXT NOT NULL REFERENCES people (name),
  credential_id BLOB NOT NULL,
  public_pem TEXT NOT NULL,
  made_at BIGINT NOT NULL
);
CREATE INDEX waiting_passkeys_by_person ON waiting_passkeys (person, made_at);
