-- Version 2: rows are sent and counted lane by lane.
CREATE INDEX outbox_by_lane ON outbox (lane, seq);

-- Messages that the broker or the central refused again and again. They are not sent any more; a
-- gap message in the chain says so.
CREATE TABLE refused (
    seq           INTEGER PRIMARY KEY,
    lane          TEXT    NOT NULL,
    digest        BLOB    NOT NULL,
    put_at_us     INTEGER NOT NULL,
    cose          BLOB    NOT NULL,
    refused_at_us INTEGER NOT NULL,
    why           TEXT    NOT NULL
) STRICT;
