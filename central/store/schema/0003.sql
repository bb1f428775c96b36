-- Invitations of devices, used once, and the certificates that were issued.
CREATE TABLE invitations (
  hashed BLOB NOT NULL PRIMARY KEY,   -- of the token's secret
  device TEXT NOT NULL,
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  made_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,                     -- NULL: not yet
  used_kid BLOB                       -- the evidence key that used it
);
CREATE INDEX invitations_by_device ON invitations (device);

CREATE TABLE certificates (
  serial TEXT NOT NULL PRIMARY KEY,   -- hexadecimal
  device TEXT NOT NULL REFERENCES devices (device),
  not_before BIGINT NOT NULL,
  not_after BIGINT NOT NULL,
  issued_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX certificates_by_device ON certificates (device);
