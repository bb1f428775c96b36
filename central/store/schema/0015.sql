-- Feeds of member units that came through the broker, until their rows are taken and the sender told.
CREATE TABLE feed_inbox (
  device TEXT NOT NULL,
  seq BIGINT NOT NULL,        -- a message that comes again is the same row
  unit TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  csv BLOB NOT NULL,          -- emptied once its rows are taken
  lines_before BIGINT NOT NULL,
  area TEXT NOT NULL,         -- of the sender
  came_at BIGINT NOT NULL,
  is_bound BIGINT NOT NULL,   -- 0: the sender may not feed this unit
  feed_id BIGINT REFERENCES feeds (id),
  done_at BIGINT,
  told_at BIGINT,
  PRIMARY KEY (device, seq)
);
CREATE INDEX feed_inbox_untold ON feed_inbox (told_at, came_at);
