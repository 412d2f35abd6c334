-- The row-level policies compare pseudonyms with this setting. It lasts as long
-- as the transaction, so that no later one on the connection inherits it.
-- name: SetOwner :exec
SELECT set_config('fitvault.owner', sqlc.arg(pseudonym)::text, true);

-- name: Version :one
SELECT version FROM fitvault.parts WHERE pseudonym = $1 AND part = $2;

-- name: InsertPart :execrows
INSERT INTO fitvault.parts (pseudonym, part, first_day, last_day, version, sealed)
VALUES ($1, $2, $3, $4, 1, $5)
ON CONFLICT (pseudonym, part) DO NOTHING;

-- name: UpdatePart :execrows
UPDATE fitvault.parts
SET first_day = $3, last_day = $4, version = version + 1, sealed = $5
WHERE pseudonym = $1 AND part = $2 AND version = sqlc.arg(was);

-- A row may have 1 MiB, and each is held in memory: rows are answered as long as
-- those before them have no more bytes than may be. Lengths are known without
-- reading what is stored.
-- name: PartsBetween :many
SELECT part, to_char(first_day, 'YYYY-MM-DD') AS first_day, to_char(last_day, 'YYYY-MM-DD') AS last_day, version, sealed
FROM (
    SELECT *, sum(octet_length(sealed)) OVER (ORDER BY part COLLATE "C") - octet_length(sealed) AS before
    FROM fitvault.parts
    WHERE pseudonym = $1 AND last_day >= sqlc.arg(first)::date AND first_day <= sqlc.arg(last)::date
) AS found
WHERE before <= sqlc.arg(bytes)::bigint
ORDER BY part COLLATE "C"
LIMIT $2;
