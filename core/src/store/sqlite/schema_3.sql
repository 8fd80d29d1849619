-- Version 3. What the terminal event said of the exit code (R29); how many events a run has, so
-- that telling it costs no walk; the secret that signs tickets, so that they survive a restart;
-- and the settings that the wake-ups were computed with (R18). Texts of any length came onto
-- records before (R5): they are cut, names that are none go.

ALTER TABLE executions ADD COLUMN exit_code INTEGER;

ALTER TABLE executions ADD COLUMN event_count INTEGER NOT NULL DEFAULT 0;

UPDATE executions SET event_count = counts.number
    FROM (SELECT execution_key, count(*) AS number FROM events GROUP BY execution_key) AS counts
    WHERE executions.key = counts.execution_key;

ALTER TABLE store ADD COLUMN ticket_secret BLOB;

ALTER TABLE store ADD COLUMN wake_settings TEXT;

UPDATE executions SET error = substr(error, 1, 4090) || '… (+'
    || (length(CAST(error AS BLOB)) - length(CAST(substr(error, 1, 4090) AS BLOB))) || ' bytes)'
    WHERE length(CAST(error AS BLOB)) > 16384;

UPDATE notifications SET error = substr(error, 1, 4090) || '… (+'
    || (length(CAST(error AS BLOB)) - length(CAST(substr(error, 1, 4090) AS BLOB))) || ' bytes)'
    WHERE length(CAST(error AS BLOB)) > 16384;

UPDATE notifications SET branch = NULL WHERE length(CAST(branch AS BLOB)) > 4096;

UPDATE sessions SET branch = NULL WHERE length(CAST(branch AS BLOB)) > 4096;
