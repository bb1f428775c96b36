-- Version 1 of the outbox store of one device.

-- Messages that no receipt covers yet.
CREATE TABLE outbox (
    seq       INTEGER PRIMARY KEY,
    lane      TEXT    NOT NULL,
    digest    BLOB    NOT NULL,  -- SHA-256 of cose
    put_at_us INTEGER NOT NULL,  -- wall time, microseconds
    cose      BLOB    NOT NULL
) STRICT;

-- Hashes of messages that the central holds beyond a hole, until a receipt's prefix passes them:
-- the head of that receipt may be one of them.
CREATE TABLE released (
    seq    INTEGER PRIMARY KEY,
    digest BLOB    NOT NULL
) STRICT;

-- Ids that derive from their content (detections), so that seeing it again adds nothing.
CREATE TABLE known (
    message_id  BLOB    PRIMARY KEY,
    seq         INTEGER NOT NULL,
    known_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The newest receipts as they came: the central's signed word that it took the evidence over.
CREATE TABLE receipts (
    id             INTEGER PRIMARY KEY,
    up_to          INTEGER NOT NULL,
    received_at_us INTEGER NOT NULL,
    raw            BLOB    NOT NULL
) STRICT;

-- One row: whose store this is and where its hash chain stands.
CREATE TABLE chain (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    tenant         TEXT    NOT NULL,
    device         TEXT    NOT NULL,
    last_seq       INTEGER NOT NULL,
    head           BLOB    NOT NULL,  -- SHA-256 of message last_seq, zeros where a chain begins
    receipted      INTEGER NOT NULL,  -- the central holds everything up to here
    receipted_head BLOB    NOT NULL   -- SHA-256 of message receipted, empty at 0
) STRICT;
