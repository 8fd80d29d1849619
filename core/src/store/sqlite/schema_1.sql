-- Version 1. Keys of sessions and executions are never given twice (AUTOINCREMENT), so that what
-- remembers one can only miss, not mistake it for another.

CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    commit_id INTEGER,
    newest_time INTEGER
) STRICT;

INSERT INTO store (one) VALUES (1);

CREATE TABLE sessions (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_event_id INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    idle_told INTEGER NOT NULL,
    branch TEXT,
    agent_session_id TEXT,
    wake_at INTEGER
) STRICT;

CREATE INDEX sessions_by_wake ON sessions (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE executions (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    session_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    mode TEXT,
    token_hash TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,
    error TEXT,
    last_heartbeat_at INTEGER,
    last_event_at INTEGER,
    first_event_id INTEGER,
    agent_session_id TEXT,
    interrupt TEXT,
    grace TEXT,
    producer TEXT,
    producer_last_seq INTEGER,
    former_producers TEXT,
    own_ending INTEGER NOT NULL,
    reconnects INTEGER NOT NULL,
    lease TEXT,
    UNIQUE (session_key, id)
) STRICT;

CREATE UNIQUE INDEX one_active_execution ON executions (session_key)
    WHERE status IN ('pending', 'running');

CREATE INDEX executions_in_order ON executions (session_key);

-- In the order of commit: appending dirties the fewest pages, and retention deletes from the
-- front. `position` means nothing else.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    session_key INTEGER NOT NULL,
    id INTEGER NOT NULL,
    execution_key INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    late INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_by_session ON events (session_key, id);

-- `head`: the oldest of its session that is not parked.
CREATE TABLE notifications (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    session_id TEXT NOT NULL,
    execution_id TEXT,
    status TEXT,
    error TEXT,
    branch TEXT,
    agent_session_id TEXT,
    created_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    head INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX notifications_waiting ON notifications (session_id, place) WHERE parked = 0;
CREATE UNIQUE INDEX notification_heads ON notifications (session_id) WHERE head = 1;
CREATE INDEX notification_heads_in_order ON notifications (place, available_at) WHERE head = 1;
CREATE INDEX notification_heads_by_time ON notifications (available_at) WHERE head = 1;
