-- Version 2: rows are sent lane by lane.
CREATE INDEX outbox_by_lane ON outbox (lane, seq);
