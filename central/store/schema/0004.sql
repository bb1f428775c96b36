-- Numbers that a device will not send, by its own signed word (a gap message).
CREATE TABLE drops (
  device TEXT NOT NULL REFERENCES devices (device),
  gap_seq BIGINT NOT NULL,      -- message that says so
  first BIGINT NOT NULL,
  last BIGINT NOT NULL,
  lane TEXT NOT NULL,
  reason TEXT NOT NULL,
  first_put BIGINT NOT NULL,    -- device's time of the oldest and newest message of that word
  last_put BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (device, gap_seq, first)
);
