// Written by `cargo test -p stayline-ffi --test layout` from the header; do not edit it.
layout! {
    constants {
        clock::STAYLINE_NONE,
        interrupt::STAYLINE_GRACE_DEFAULT,
        interrupt::STAYLINE_GRACE_NEVER,
        version::STAYLINE_ABI_VERSION,
    }
    enums {
        error::stayline_status {
            Ok = STAYLINE_STATUS_OK,
            InvalidArgument = STAYLINE_STATUS_INVALID_ARGUMENT,
            InvalidSettings = STAYLINE_STATUS_INVALID_SETTINGS,
            InvalidEvent = STAYLINE_STATUS_INVALID_EVENT,
            NotFound = STAYLINE_STATUS_NOT_FOUND,
            AlreadyExists = STAYLINE_STATUS_ALREADY_EXISTS,
            ExecutionInProgress = STAYLINE_STATUS_EXECUTION_IN_PROGRESS,
            ExecutionNotActive = STAYLINE_STATUS_EXECUTION_NOT_ACTIVE,
            InvalidTransition = STAYLINE_STATUS_INVALID_TRANSITION,
            NoActiveExecution = STAYLINE_STATUS_NO_ACTIVE_EXECUTION,
            JobConflict = STAYLINE_STATUS_JOB_CONFLICT,
            Superseded = STAYLINE_STATUS_SUPERSEDED,
            AlreadyHeld = STAYLINE_STATUS_ALREADY_HELD,
            WrongHolder = STAYLINE_STATUS_WRONG_HOLDER,
            Unauthorized = STAYLINE_STATUS_UNAUTHORIZED,
            Full = STAYLINE_STATUS_FULL,
            LimitExceeded = STAYLINE_STATUS_LIMIT_EXCEEDED,
            Timeout = STAYLINE_STATUS_TIMEOUT,
            Closed = STAYLINE_STATUS_CLOSED,
            Disconnected = STAYLINE_STATUS_DISCONNECTED,
            StoreInUse = STAYLINE_STATUS_STORE_IN_USE,
            StoreError = STAYLINE_STATUS_STORE_ERROR,
            StoreUnknown = STAYLINE_STATUS_STORE_UNKNOWN,
            StoreFormat = STAYLINE_STATUS_STORE_FORMAT,
            ForkError = STAYLINE_STATUS_FORK_ERROR,
            Panic = STAYLINE_STATUS_PANIC,
        }
        action::stayline_action_kind {
            Connect = STAYLINE_ACTION_KIND_CONNECT,
            Write = STAYLINE_ACTION_KIND_WRITE,
            Close = STAYLINE_ACTION_KIND_CLOSE,
            Tell = STAYLINE_ACTION_KIND_TELL,
        }
        server::stayline_authorization {
            Deny = STAYLINE_AUTHORIZATION_DENY,
            Allow = STAYLINE_AUTHORIZATION_ALLOW,
            Later = STAYLINE_AUTHORIZATION_LATER,
        }
        coordinator::stayline_commit_outcome {
            Lost = STAYLINE_COMMIT_OUTCOME_LOST,
            UnknownKept = STAYLINE_COMMIT_OUTCOME_UNKNOWN_KEPT,
            UnknownLost = STAYLINE_COMMIT_OUTCOME_UNKNOWN_LOST,
            Panic = STAYLINE_COMMIT_OUTCOME_PANIC,
        }
        execution::stayline_execution_status {
            Pending = STAYLINE_EXECUTION_STATUS_PENDING,
            Running = STAYLINE_EXECUTION_STATUS_RUNNING,
            Completed = STAYLINE_EXECUTION_STATUS_COMPLETED,
            Failed = STAYLINE_EXECUTION_STATUS_FAILED,
            Interrupted = STAYLINE_EXECUTION_STATUS_INTERRUPTED,
        }
        execution::stayline_health {
            None = STAYLINE_HEALTH_NONE,
            Healthy = STAYLINE_HEALTH_HEALTHY,
            Unknown = STAYLINE_HEALTH_UNKNOWN,
            Stale = STAYLINE_HEALTH_STALE,
        }
        signal::stayline_kill_signal {
            Kill = STAYLINE_KILL_SIGNAL_KILL,
            Term = STAYLINE_KILL_SIGNAL_TERM,
        }
        log::stayline_log_level {
            Error = STAYLINE_LOG_LEVEL_ERROR,
            Warn = STAYLINE_LOG_LEVEL_WARN,
            Info = STAYLINE_LOG_LEVEL_INFO,
            Debug = STAYLINE_LOG_LEVEL_DEBUG,
        }
        notification::stayline_notification_kind {
            ExecutionEnded = STAYLINE_NOTIFICATION_KIND_EXECUTION_ENDED,
            SessionIdle = STAYLINE_NOTIFICATION_KIND_SESSION_IDLE,
            LateResult = STAYLINE_NOTIFICATION_KIND_LATE_RESULT,
        }
        link::stayline_output_kind {
            Send = STAYLINE_OUTPUT_KIND_SEND,
            Close = STAYLINE_OUTPUT_KIND_CLOSE,
        }
        signal::stayline_signal_kind {
            Reconnecting = STAYLINE_SIGNAL_KIND_RECONNECTING,
            Reconnected = STAYLINE_SIGNAL_KIND_RECONNECTED,
            Disconnected = STAYLINE_SIGNAL_KIND_DISCONNECTED,
            ExecutionDone = STAYLINE_SIGNAL_KIND_EXECUTION_DONE,
            Replaced = STAYLINE_SIGNAL_KIND_REPLACED,
            Command = STAYLINE_SIGNAL_KIND_COMMAND,
            RestartFeed = STAYLINE_SIGNAL_KIND_RESTART_FEED,
            Task = STAYLINE_SIGNAL_KIND_TASK,
            Abort = STAYLINE_SIGNAL_KIND_ABORT,
            Drained = STAYLINE_SIGNAL_KIND_DRAINED,
        }
        interrupt::stayline_verdict {
            Sent = STAYLINE_VERDICT_SENT,
            Latched = STAYLINE_VERDICT_LATCHED,
            AlreadyTerminal = STAYLINE_VERDICT_ALREADY_TERMINAL,
        }
        request::stayline_endpoint {
            Other = STAYLINE_ENDPOINT_OTHER,
            Ingest = STAYLINE_ENDPOINT_INGEST,
            Stream = STAYLINE_ENDPOINT_STREAM,
            Events = STAYLINE_ENDPOINT_EVENTS,
        }
        wrapper::stayline_wrapper_state {
            Idle = STAYLINE_WRAPPER_STATE_IDLE,
            Connecting = STAYLINE_WRAPPER_STATE_CONNECTING,
            Connected = STAYLINE_WRAPPER_STATE_CONNECTED,
            Reconnecting = STAYLINE_WRAPPER_STATE_RECONNECTING,
            Closed = STAYLINE_WRAPPER_STATE_CLOSED,
        }
    }
    structs {
        text::stayline_view {
            data,
            len,
        }
        action::stayline_action_info {
            struct_size,
            kind,
            protocol,
            code,
            attempt,
            execution_id,
            producer,
            dial_timeout_ms,
            upgrade_timeout_ms,
            text,
        }
        coordinator::stayline_coordinator_options {
            struct_size,
            settings,
            clock,
            read_only,
        }
        server::stayline_authorize_callback {
            call,
            drop,
            user_data,
        }
        server::stayline_server_options {
            struct_size,
            key,
            allowed_origins,
            allowed_origins_count,
            authorize,
            base_path,
            tls_certificate,
            tls_key,
            max_sockets,
            max_unauthenticated_sockets,
            max_requests,
            max_body_bytes,
            workers,
        }
        text::stayline_buffer {
            data,
            len,
        }
        event::stayline_event_filter {
            struct_size,
            after,
            executions,
            executions_count,
            types,
            types_count,
            since_ms,
            until_ms,
            limit,
        }
        event::stayline_event_info {
            struct_size,
            id,
            execution_id,
            session_id,
            event_type,
            timestamp_ms,
            late,
            control,
            data,
        }
        execution::stayline_execution_info {
            struct_size,
            id,
            session_id,
            token,
            mode,
            status,
            health,
            error,
            agent_session_id,
            interrupt_requested,
            grace,
            reconnects,
            created_at_ms,
            started_at_ms,
            completed_at_ms,
            last_heartbeat_at_ms,
            last_event_at_ms,
            last_seen_at_ms,
            exit_code,
        }
        hub::stayline_kill_callback {
            call,
            drop,
            user_data,
        }
        interrupt::stayline_interrupt_options {
            struct_size,
            execution_id,
            escalate,
            grace_ms,
        }
        job::stayline_job {
            struct_size,
            execution_id,
            agent_session,
            tasks,
            tasks_count,
            branch,
        }
        lease::stayline_lease_info {
            struct_size,
            execution_id,
            lease_id,
            message_id,
            expires_at_ms,
        }
        link::stayline_output_info {
            struct_size,
            kind,
            code,
            text,
        }
        log::stayline_log_callback {
            call,
            drop,
            user_data,
        }
        notification::stayline_notification_info {
            struct_size,
            id,
            kind,
            status,
            session_id,
            execution_id,
            error,
            branch,
            agent_session_id,
            attempt,
            parked,
            created_at_ms,
        }
        request::stayline_header {
            name,
            value,
        }
        request::stayline_request_info {
            struct_size,
            endpoint,
            session_id,
            token,
            ticket,
        }
        sansio::stayline_refused {
            struct_size,
            status,
            refusal,
            execution_status,
            detail,
            retry_after_ms,
        }
        sending::stayline_outcome {
            struct_size,
            status,
            unacknowledged,
        }
        sending::stayline_send_options {
            struct_size,
            droppable,
            timestamp_ms,
        }
        session::stayline_start_options {
            struct_size,
            execution_id,
            mode,
            token,
        }
        session::stayline_attach_options {
            struct_size,
            execution_id,
            token,
            trusted,
            acknowledged,
            producer,
            attempt,
        }
        session::stayline_fail_options {
            struct_size,
            event_type,
            payload,
            suppress_notification,
            only_pending,
        }
        subscription::stayline_subscribe_options {
            struct_size,
            filter,
            epoch,
            live_only,
            until,
        }
        session_snapshot::stayline_session_info {
            struct_size,
            id,
            epoch,
            created_at_ms,
            last_activity_at_ms,
            last_event_id,
            branch,
            agent_session_id,
            active,
            grace,
            link_attached,
        }
        signal::stayline_signal_info {
            struct_size,
            kind,
            status,
            kill_signal,
            attempt,
            unacknowledged,
            text,
        }
        wrapper::stayline_wrapper_options {
            struct_size,
            url,
            session_id,
            execution_id,
            token,
            settings,
            retry_first,
            active,
            proxy,
        }
    }
}
