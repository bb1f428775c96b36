-- Visits linked over machines. What waits from one machine to another is ciphertext that nothing here
-- opens; it goes once it was compared or its order is over. What machines found stays.
CREATE TABLE link_parcels (
  digest BLOB NOT NULL PRIMARY KEY,
  order_id BLOB NOT NULL REFERENCES orders (order_id),
  sender TEXT NOT NULL,
  recipient TEXT NOT NULL,
  parcel BLOB NOT NULL,
  came_at BIGINT NOT NULL
);
CREATE INDEX link_parcels_by_recipient ON link_parcels (recipient, came_at);
CREATE TABLE link_comparisons (
  machine TEXT NOT NULL,
  digest BLOB NOT NULL,       -- of the parcel: one that was compared is not taken again
  order_id BLOB NOT NULL REFERENCES orders (order_id),
  sender TEXT NOT NULL,
  is_opened BIGINT NOT NULL,
  faces BIGINT NOT NULL,
  compared BIGINT NOT NULL,
  linked BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (machine, digest)
);
CREATE INDEX link_comparisons_by_order ON link_comparisons (order_id, at);
CREATE TABLE linked_visits (
  order_id BLOB NOT NULL REFERENCES orders (order_id),
  machine TEXT NOT NULL,
  sender TEXT NOT NULL,
  visit BIGINT NOT NULL,
  captured_at BIGINT NOT NULL,
  similarity DOUBLE NOT NULL,
  PRIMARY KEY (order_id, machine, sender, visit)
);
