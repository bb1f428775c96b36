-- The one member unit for which a person of a carrier, bank or regulator acts; NULL: none.
ALTER TABLE people ADD COLUMN unit TEXT REFERENCES member_units (unit);
