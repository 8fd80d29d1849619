-- Version 2. Where an execution's events end, so that reading one run's events costs no more
-- when others have followed; its runs by status; and the events of deleted sessions with so many
-- that they go piece by piece.

ALTER TABLE executions ADD COLUMN last_event_id INTEGER;

UPDATE executions SET last_event_id = ends.last_id
    FROM (SELECT execution_key, max(id) AS last_id FROM events GROUP BY execution_key) AS ends
    WHERE executions.key = ends.execution_key;

CREATE INDEX executions_by_status ON executions (session_key, status);

CREATE TABLE remnants (
    session_key INTEGER PRIMARY KEY
) STRICT;
