-- +goose Up

-- One row for each part of an owner's days: a UTC day's readings, or a recording.
-- Only what finding a row takes is in clear; the figures are sealed.
CREATE SCHEMA fitvault;
CREATE TABLE fitvault.parts (
    pseudonym uuid   NOT NULL,
    part      text   NOT NULL CHECK (part ~ '^[a-z0-9#-]{1,64}$'),
    first_day date   NOT NULL,
    last_day  date   NOT NULL CHECK (last_day >= first_day),
    version   bigint NOT NULL CHECK (version > 0),
    sealed    bytea  NOT NULL CHECK (octet_length(sealed) BETWEEN 1 AND 1048576),
    PRIMARY KEY (pseudonym, part)
);
-- Most questions are about the last weeks: few rows end after such a first day.
CREATE INDEX parts_by_day ON fitvault.parts (pseudonym, last_day, first_day);

-- +goose Down
DROP SCHEMA fitvault CASCADE;
