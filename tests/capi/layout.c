/*
 * What the library sees, against what the header says: it compiles, or they differ.
 *
 * Written by `cargo test -p stayline-ffi --lib layout`; do not edit it. A change in here is a
 * change of the binary interface.
 */

#include <stddef.h>

#include <stayline.h>

#define SAME(here, there) extern int stayline_layout_check[(here) == (there) ? 1 : -1]
#define SIZE(type, field) sizeof(((type *)0)->field)

SAME(STAYLINE_NONE, (-9223372036854775807 - 1));
SAME(STAYLINE_GRACE_DEFAULT, (-9223372036854775807 - 1));
SAME(STAYLINE_GRACE_NEVER, -9223372036854775807);
SAME(STAYLINE_ABI_VERSION, 1);

SAME(sizeof(stayline_status), 4);
SAME(STAYLINE_STATUS_OK, 0);
SAME(STAYLINE_STATUS_INVALID_ARGUMENT, 100);
SAME(STAYLINE_STATUS_INVALID_SETTINGS, 101);
SAME(STAYLINE_STATUS_INVALID_EVENT, 102);
SAME(STAYLINE_STATUS_NOT_FOUND, 200);
SAME(STAYLINE_STATUS_ALREADY_EXISTS, 201);
SAME(STAYLINE_STATUS_EXECUTION_IN_PROGRESS, 202);
SAME(STAYLINE_STATUS_EXECUTION_NOT_ACTIVE, 203);
SAME(STAYLINE_STATUS_INVALID_TRANSITION, 204);
SAME(STAYLINE_STATUS_NO_ACTIVE_EXECUTION, 205);
SAME(STAYLINE_STATUS_JOB_CONFLICT, 206);
SAME(STAYLINE_STATUS_SUPERSEDED, 207);
SAME(STAYLINE_STATUS_ALREADY_HELD, 210);
SAME(STAYLINE_STATUS_WRONG_HOLDER, 211);
SAME(STAYLINE_STATUS_UNAUTHORIZED, 300);
SAME(STAYLINE_STATUS_FULL, 400);
SAME(STAYLINE_STATUS_LIMIT_EXCEEDED, 401);
SAME(STAYLINE_STATUS_TIMEOUT, 402);
SAME(STAYLINE_STATUS_CLOSED, 403);
SAME(STAYLINE_STATUS_DISCONNECTED, 404);
SAME(STAYLINE_STATUS_STORE_IN_USE, 500);
SAME(STAYLINE_STATUS_STORE_ERROR, 501);
SAME(STAYLINE_STATUS_STORE_UNKNOWN, 502);
SAME(STAYLINE_STATUS_STORE_FORMAT, 503);
SAME(STAYLINE_STATUS_FORK_ERROR, 600);
SAME(STAYLINE_STATUS_PANIC, 700);

SAME(sizeof(stayline_action_kind), 4);
SAME(STAYLINE_ACTION_KIND_CONNECT, 1);
SAME(STAYLINE_ACTION_KIND_WRITE, 2);
SAME(STAYLINE_ACTION_KIND_CLOSE, 3);
SAME(STAYLINE_ACTION_KIND_TELL, 4);

SAME(sizeof(stayline_authorization), 4);
SAME(STAYLINE_AUTHORIZATION_DENY, 0);
SAME(STAYLINE_AUTHORIZATION_ALLOW, 1);
SAME(STAYLINE_AUTHORIZATION_LATER, 2);

SAME(sizeof(stayline_commit_outcome), 4);
SAME(STAYLINE_COMMIT_OUTCOME_LOST, 1);
SAME(STAYLINE_COMMIT_OUTCOME_UNKNOWN_KEPT, 2);
SAME(STAYLINE_COMMIT_OUTCOME_UNKNOWN_LOST, 3);
SAME(STAYLINE_COMMIT_OUTCOME_PANIC, 4);

SAME(sizeof(stayline_execution_status), 4);
SAME(STAYLINE_EXECUTION_STATUS_PENDING, 1);
SAME(STAYLINE_EXECUTION_STATUS_RUNNING, 2);
SAME(STAYLINE_EXECUTION_STATUS_COMPLETED, 3);
SAME(STAYLINE_EXECUTION_STATUS_FAILED, 4);
SAME(STAYLINE_EXECUTION_STATUS_INTERRUPTED, 5);

SAME(sizeof(stayline_health), 4);
SAME(STAYLINE_HEALTH_NONE, 0);
SAME(STAYLINE_HEALTH_HEALTHY, 1);
SAME(STAYLINE_HEALTH_UNKNOWN, 2);
SAME(STAYLINE_HEALTH_STALE, 3);

SAME(sizeof(stayline_kill_signal), 4);
SAME(STAYLINE_KILL_SIGNAL_KILL, 9);
SAME(STAYLINE_KILL_SIGNAL_TERM, 15);

SAME(sizeof(stayline_log_level), 4);
SAME(STAYLINE_LOG_LEVEL_ERROR, 1);
SAME(STAYLINE_LOG_LEVEL_WARN, 2);
SAME(STAYLINE_LOG_LEVEL_INFO, 3);
SAME(STAYLINE_LOG_LEVEL_DEBUG, 4);

SAME(sizeof(stayline_notification_kind), 4);
SAME(STAYLINE_NOTIFICATION_KIND_EXECUTION_ENDED, 1);
SAME(STAYLINE_NOTIFICATION_KIND_SESSION_IDLE, 2);
SAME(STAYLINE_NOTIFICATION_KIND_LATE_RESULT, 3);

SAME(sizeof(stayline_output_kind), 4);
SAME(STAYLINE_OUTPUT_KIND_SEND, 1);
SAME(STAYLINE_OUTPUT_KIND_CLOSE, 2);

SAME(sizeof(stayline_signal_kind), 4);
SAME(STAYLINE_SIGNAL_KIND_RECONNECTING, 1);
SAME(STAYLINE_SIGNAL_KIND_RECONNECTED, 2);
SAME(STAYLINE_SIGNAL_KIND_DISCONNECTED, 3);
SAME(STAYLINE_SIGNAL_KIND_EXECUTION_DONE, 4);
SAME(STAYLINE_SIGNAL_KIND_REPLACED, 5);
SAME(STAYLINE_SIGNAL_KIND_COMMAND, 6);
SAME(STAYLINE_SIGNAL_KIND_RESTART_FEED, 7);
SAME(STAYLINE_SIGNAL_KIND_TASK, 8);
SAME(STAYLINE_SIGNAL_KIND_ABORT, 9);
SAME(STAYLINE_SIGNAL_KIND_DRAINED, 10);

SAME(sizeof(stayline_verdict), 4);
SAME(STAYLINE_VERDICT_SENT, 1);
SAME(STAYLINE_VERDICT_LATCHED, 2);
SAME(STAYLINE_VERDICT_ALREADY_TERMINAL, 3);

SAME(sizeof(stayline_endpoint), 4);
SAME(STAYLINE_ENDPOINT_OTHER, 0);
SAME(STAYLINE_ENDPOINT_INGEST, 1);
SAME(STAYLINE_ENDPOINT_STREAM, 2);
SAME(STAYLINE_ENDPOINT_EVENTS, 3);

SAME(sizeof(stayline_wrapper_state), 4);
SAME(STAYLINE_WRAPPER_STATE_IDLE, 0);
SAME(STAYLINE_WRAPPER_STATE_CONNECTING, 1);
SAME(STAYLINE_WRAPPER_STATE_CONNECTED, 2);
SAME(STAYLINE_WRAPPER_STATE_RECONNECTING, 3);
SAME(STAYLINE_WRAPPER_STATE_CLOSED, 4);

SAME(sizeof(stayline_view), 16);
SAME(offsetof(stayline_view, data), 0);
SAME(SIZE(stayline_view, data), 8);
SAME(offsetof(stayline_view, len), 8);
SAME(SIZE(stayline_view, len), 8);

SAME(sizeof(stayline_action_info), 88);
SAME(offsetof(stayline_action_info, struct_size), 0);
SAME(SIZE(stayline_action_info, struct_size), 8);
SAME(offsetof(stayline_action_info, kind), 8);
SAME(SIZE(stayline_action_info, kind), 4);
SAME(offsetof(stayline_action_info, protocol), 12);
SAME(SIZE(stayline_action_info, protocol), 1);
SAME(offsetof(stayline_action_info, code), 14);
SAME(SIZE(stayline_action_info, code), 2);
SAME(offsetof(stayline_action_info, attempt), 16);
SAME(SIZE(stayline_action_info, attempt), 8);
SAME(offsetof(stayline_action_info, execution_id), 24);
SAME(SIZE(stayline_action_info, execution_id), 16);
SAME(offsetof(stayline_action_info, producer), 40);
SAME(SIZE(stayline_action_info, producer), 16);
SAME(offsetof(stayline_action_info, dial_timeout_ms), 56);
SAME(SIZE(stayline_action_info, dial_timeout_ms), 8);
SAME(offsetof(stayline_action_info, upgrade_timeout_ms), 64);
SAME(SIZE(stayline_action_info, upgrade_timeout_ms), 8);
SAME(offsetof(stayline_action_info, text), 72);
SAME(SIZE(stayline_action_info, text), 16);

SAME(sizeof(stayline_coordinator_options), 32);
SAME(offsetof(stayline_coordinator_options, struct_size), 0);
SAME(SIZE(stayline_coordinator_options, struct_size), 8);
SAME(offsetof(stayline_coordinator_options, settings), 8);
SAME(SIZE(stayline_coordinator_options, settings), 8);
SAME(offsetof(stayline_coordinator_options, clock), 16);
SAME(SIZE(stayline_coordinator_options, clock), 8);
SAME(offsetof(stayline_coordinator_options, read_only), 24);
SAME(SIZE(stayline_coordinator_options, read_only), 1);

SAME(sizeof(stayline_authorize_callback), 24);
SAME(offsetof(stayline_authorize_callback, call), 0);
SAME(SIZE(stayline_authorize_callback, call), 8);
SAME(offsetof(stayline_authorize_callback, drop), 8);
SAME(SIZE(stayline_authorize_callback, drop), 8);
SAME(offsetof(stayline_authorize_callback, user_data), 16);
SAME(SIZE(stayline_authorize_callback, user_data), 8);

SAME(sizeof(stayline_server_options), 152);
SAME(offsetof(stayline_server_options, struct_size), 0);
SAME(SIZE(stayline_server_options, struct_size), 8);
SAME(offsetof(stayline_server_options, key), 8);
SAME(SIZE(stayline_server_options, key), 16);
SAME(offsetof(stayline_server_options, allowed_origins), 24);
SAME(SIZE(stayline_server_options, allowed_origins), 8);
SAME(offsetof(stayline_server_options, allowed_origins_count), 32);
SAME(SIZE(stayline_server_options, allowed_origins_count), 8);
SAME(offsetof(stayline_server_options, authorize), 40);
SAME(SIZE(stayline_server_options, authorize), 24);
SAME(offsetof(stayline_server_options, base_path), 64);
SAME(SIZE(stayline_server_options, base_path), 16);
SAME(offsetof(stayline_server_options, tls_certificate), 80);
SAME(SIZE(stayline_server_options, tls_certificate), 16);
SAME(offsetof(stayline_server_options, tls_key), 96);
SAME(SIZE(stayline_server_options, tls_key), 16);
SAME(offsetof(stayline_server_options, max_sockets), 112);
SAME(SIZE(stayline_server_options, max_sockets), 8);
SAME(offsetof(stayline_server_options, max_unauthenticated_sockets), 120);
SAME(SIZE(stayline_server_options, max_unauthenticated_sockets), 8);
SAME(offsetof(stayline_server_options, max_requests), 128);
SAME(SIZE(stayline_server_options, max_requests), 8);
SAME(offsetof(stayline_server_options, max_body_bytes), 136);
SAME(SIZE(stayline_server_options, max_body_bytes), 8);
SAME(offsetof(stayline_server_options, workers), 144);
SAME(SIZE(stayline_server_options, workers), 8);

SAME(sizeof(stayline_buffer), 16);
SAME(offsetof(stayline_buffer, data), 0);
SAME(SIZE(stayline_buffer, data), 8);
SAME(offsetof(stayline_buffer, len), 8);
SAME(SIZE(stayline_buffer, len), 8);

SAME(sizeof(stayline_event_filter), 72);
SAME(offsetof(stayline_event_filter, struct_size), 0);
SAME(SIZE(stayline_event_filter, struct_size), 8);
SAME(offsetof(stayline_event_filter, after), 8);
SAME(SIZE(stayline_event_filter, after), 8);
SAME(offsetof(stayline_event_filter, executions), 16);
SAME(SIZE(stayline_event_filter, executions), 8);
SAME(offsetof(stayline_event_filter, executions_count), 24);
SAME(SIZE(stayline_event_filter, executions_count), 8);
SAME(offsetof(stayline_event_filter, types), 32);
SAME(SIZE(stayline_event_filter, types), 8);
SAME(offsetof(stayline_event_filter, types_count), 40);
SAME(SIZE(stayline_event_filter, types_count), 8);
SAME(offsetof(stayline_event_filter, since_ms), 48);
SAME(SIZE(stayline_event_filter, since_ms), 8);
SAME(offsetof(stayline_event_filter, until_ms), 56);
SAME(SIZE(stayline_event_filter, until_ms), 8);
SAME(offsetof(stayline_event_filter, limit), 64);
SAME(SIZE(stayline_event_filter, limit), 8);

SAME(sizeof(stayline_event_info), 96);
SAME(offsetof(stayline_event_info, struct_size), 0);
SAME(SIZE(stayline_event_info, struct_size), 8);
SAME(offsetof(stayline_event_info, id), 8);
SAME(SIZE(stayline_event_info, id), 8);
SAME(offsetof(stayline_event_info, execution_id), 16);
SAME(SIZE(stayline_event_info, execution_id), 16);
SAME(offsetof(stayline_event_info, session_id), 32);
SAME(SIZE(stayline_event_info, session_id), 16);
SAME(offsetof(stayline_event_info, event_type), 48);
SAME(SIZE(stayline_event_info, event_type), 16);
SAME(offsetof(stayline_event_info, timestamp_ms), 64);
SAME(SIZE(stayline_event_info, timestamp_ms), 8);
SAME(offsetof(stayline_event_info, late), 72);
SAME(SIZE(stayline_event_info, late), 1);
SAME(offsetof(stayline_event_info, control), 73);
SAME(SIZE(stayline_event_info, control), 1);
SAME(offsetof(stayline_event_info, data), 80);
SAME(SIZE(stayline_event_info, data), 16);

SAME(sizeof(stayline_execution_info), 184);
SAME(offsetof(stayline_execution_info, struct_size), 0);
SAME(SIZE(stayline_execution_info, struct_size), 8);
SAME(offsetof(stayline_execution_info, id), 8);
SAME(SIZE(stayline_execution_info, id), 16);
SAME(offsetof(stayline_execution_info, session_id), 24);
SAME(SIZE(stayline_execution_info, session_id), 16);
SAME(offsetof(stayline_execution_info, token), 40);
SAME(SIZE(stayline_execution_info, token), 16);
SAME(offsetof(stayline_execution_info, mode), 56);
SAME(SIZE(stayline_execution_info, mode), 16);
SAME(offsetof(stayline_execution_info, status), 72);
SAME(SIZE(stayline_execution_info, status), 4);
SAME(offsetof(stayline_execution_info, health), 76);
SAME(SIZE(stayline_execution_info, health), 4);
SAME(offsetof(stayline_execution_info, error), 80);
SAME(SIZE(stayline_execution_info, error), 16);
SAME(offsetof(stayline_execution_info, agent_session_id), 96);
SAME(SIZE(stayline_execution_info, agent_session_id), 16);
SAME(offsetof(stayline_execution_info, interrupt_requested), 112);
SAME(SIZE(stayline_execution_info, interrupt_requested), 1);
SAME(offsetof(stayline_execution_info, grace), 113);
SAME(SIZE(stayline_execution_info, grace), 1);
SAME(offsetof(stayline_execution_info, reconnects), 120);
SAME(SIZE(stayline_execution_info, reconnects), 8);
SAME(offsetof(stayline_execution_info, created_at_ms), 128);
SAME(SIZE(stayline_execution_info, created_at_ms), 8);
SAME(offsetof(stayline_execution_info, started_at_ms), 136);
SAME(SIZE(stayline_execution_info, started_at_ms), 8);
SAME(offsetof(stayline_execution_info, completed_at_ms), 144);
SAME(SIZE(stayline_execution_info, completed_at_ms), 8);
SAME(offsetof(stayline_execution_info, last_heartbeat_at_ms), 152);
SAME(SIZE(stayline_execution_info, last_heartbeat_at_ms), 8);
SAME(offsetof(stayline_execution_info, last_event_at_ms), 160);
SAME(SIZE(stayline_execution_info, last_event_at_ms), 8);
SAME(offsetof(stayline_execution_info, last_seen_at_ms), 168);
SAME(SIZE(stayline_execution_info, last_seen_at_ms), 8);
SAME(offsetof(stayline_execution_info, exit_code), 176);
SAME(SIZE(stayline_execution_info, exit_code), 8);

SAME(sizeof(stayline_kill_callback), 24);
SAME(offsetof(stayline_kill_callback, call), 0);
SAME(SIZE(stayline_kill_callback, call), 8);
SAME(offsetof(stayline_kill_callback, drop), 8);
SAME(SIZE(stayline_kill_callback, drop), 8);
SAME(offsetof(stayline_kill_callback, user_data), 16);
SAME(SIZE(stayline_kill_callback, user_data), 8);

SAME(sizeof(stayline_interrupt_options), 40);
SAME(offsetof(stayline_interrupt_options, struct_size), 0);
SAME(SIZE(stayline_interrupt_options, struct_size), 8);
SAME(offsetof(stayline_interrupt_options, execution_id), 8);
SAME(SIZE(stayline_interrupt_options, execution_id), 16);
SAME(offsetof(stayline_interrupt_options, escalate), 24);
SAME(SIZE(stayline_interrupt_options, escalate), 1);
SAME(offsetof(stayline_interrupt_options, grace_ms), 32);
SAME(SIZE(stayline_interrupt_options, grace_ms), 8);

SAME(sizeof(stayline_job), 72);
SAME(offsetof(stayline_job, struct_size), 0);
SAME(SIZE(stayline_job, struct_size), 8);
SAME(offsetof(stayline_job, execution_id), 8);
SAME(SIZE(stayline_job, execution_id), 16);
SAME(offsetof(stayline_job, agent_session), 24);
SAME(SIZE(stayline_job, agent_session), 16);
SAME(offsetof(stayline_job, tasks), 40);
SAME(SIZE(stayline_job, tasks), 8);
SAME(offsetof(stayline_job, tasks_count), 48);
SAME(SIZE(stayline_job, tasks_count), 8);
SAME(offsetof(stayline_job, branch), 56);
SAME(SIZE(stayline_job, branch), 16);

SAME(sizeof(stayline_lease_info), 64);
SAME(offsetof(stayline_lease_info, struct_size), 0);
SAME(SIZE(stayline_lease_info, struct_size), 8);
SAME(offsetof(stayline_lease_info, execution_id), 8);
SAME(SIZE(stayline_lease_info, execution_id), 16);
SAME(offsetof(stayline_lease_info, lease_id), 24);
SAME(SIZE(stayline_lease_info, lease_id), 16);
SAME(offsetof(stayline_lease_info, message_id), 40);
SAME(SIZE(stayline_lease_info, message_id), 16);
SAME(offsetof(stayline_lease_info, expires_at_ms), 56);
SAME(SIZE(stayline_lease_info, expires_at_ms), 8);

SAME(sizeof(stayline_output_info), 32);
SAME(offsetof(stayline_output_info, struct_size), 0);
SAME(SIZE(stayline_output_info, struct_size), 8);
SAME(offsetof(stayline_output_info, kind), 8);
SAME(SIZE(stayline_output_info, kind), 4);
SAME(offsetof(stayline_output_info, code), 12);
SAME(SIZE(stayline_output_info, code), 2);
SAME(offsetof(stayline_output_info, text), 16);
SAME(SIZE(stayline_output_info, text), 16);

SAME(sizeof(stayline_log_callback), 24);
SAME(offsetof(stayline_log_callback, call), 0);
SAME(SIZE(stayline_log_callback, call), 8);
SAME(offsetof(stayline_log_callback, drop), 8);
SAME(SIZE(stayline_log_callback, drop), 8);
SAME(offsetof(stayline_log_callback, user_data), 16);
SAME(SIZE(stayline_log_callback, user_data), 8);

SAME(sizeof(stayline_notification_info), 128);
SAME(offsetof(stayline_notification_info, struct_size), 0);
SAME(SIZE(stayline_notification_info, struct_size), 8);
SAME(offsetof(stayline_notification_info, id), 8);
SAME(SIZE(stayline_notification_info, id), 16);
SAME(offsetof(stayline_notification_info, kind), 24);
SAME(SIZE(stayline_notification_info, kind), 4);
SAME(offsetof(stayline_notification_info, status), 28);
SAME(SIZE(stayline_notification_info, status), 4);
SAME(offsetof(stayline_notification_info, session_id), 32);
SAME(SIZE(stayline_notification_info, session_id), 16);
SAME(offsetof(stayline_notification_info, execution_id), 48);
SAME(SIZE(stayline_notification_info, execution_id), 16);
SAME(offsetof(stayline_notification_info, error), 64);
SAME(SIZE(stayline_notification_info, error), 16);
SAME(offsetof(stayline_notification_info, branch), 80);
SAME(SIZE(stayline_notification_info, branch), 16);
SAME(offsetof(stayline_notification_info, agent_session_id), 96);
SAME(SIZE(stayline_notification_info, agent_session_id), 16);
SAME(offsetof(stayline_notification_info, attempt), 112);
SAME(SIZE(stayline_notification_info, attempt), 4);
SAME(offsetof(stayline_notification_info, parked), 116);
SAME(SIZE(stayline_notification_info, parked), 1);
SAME(offsetof(stayline_notification_info, created_at_ms), 120);
SAME(SIZE(stayline_notification_info, created_at_ms), 8);

SAME(sizeof(stayline_header), 32);
SAME(offsetof(stayline_header, name), 0);
SAME(SIZE(stayline_header, name), 16);
SAME(offsetof(stayline_header, value), 16);
SAME(SIZE(stayline_header, value), 16);

SAME(sizeof(stayline_request_info), 64);
SAME(offsetof(stayline_request_info, struct_size), 0);
SAME(SIZE(stayline_request_info, struct_size), 8);
SAME(offsetof(stayline_request_info, endpoint), 8);
SAME(SIZE(stayline_request_info, endpoint), 4);
SAME(offsetof(stayline_request_info, session_id), 16);
SAME(SIZE(stayline_request_info, session_id), 16);
SAME(offsetof(stayline_request_info, token), 32);
SAME(SIZE(stayline_request_info, token), 16);
SAME(offsetof(stayline_request_info, ticket), 48);
SAME(SIZE(stayline_request_info, ticket), 16);

SAME(sizeof(stayline_refused), 72);
SAME(offsetof(stayline_refused, struct_size), 0);
SAME(SIZE(stayline_refused, struct_size), 8);
SAME(offsetof(stayline_refused, status), 8);
SAME(SIZE(stayline_refused, status), 2);
SAME(offsetof(stayline_refused, refusal), 16);
SAME(SIZE(stayline_refused, refusal), 16);
SAME(offsetof(stayline_refused, execution_status), 32);
SAME(SIZE(stayline_refused, execution_status), 16);
SAME(offsetof(stayline_refused, detail), 48);
SAME(SIZE(stayline_refused, detail), 16);
SAME(offsetof(stayline_refused, retry_after_ms), 64);
SAME(SIZE(stayline_refused, retry_after_ms), 8);

SAME(sizeof(stayline_outcome), 24);
SAME(offsetof(stayline_outcome, struct_size), 0);
SAME(SIZE(stayline_outcome, struct_size), 8);
SAME(offsetof(stayline_outcome, status), 8);
SAME(SIZE(stayline_outcome, status), 4);
SAME(offsetof(stayline_outcome, unacknowledged), 16);
SAME(SIZE(stayline_outcome, unacknowledged), 8);

SAME(sizeof(stayline_send_options), 24);
SAME(offsetof(stayline_send_options, struct_size), 0);
SAME(SIZE(stayline_send_options, struct_size), 8);
SAME(offsetof(stayline_send_options, droppable), 8);
SAME(SIZE(stayline_send_options, droppable), 1);
SAME(offsetof(stayline_send_options, timestamp_ms), 16);
SAME(SIZE(stayline_send_options, timestamp_ms), 8);

SAME(sizeof(stayline_start_options), 56);
SAME(offsetof(stayline_start_options, struct_size), 0);
SAME(SIZE(stayline_start_options, struct_size), 8);
SAME(offsetof(stayline_start_options, execution_id), 8);
SAME(SIZE(stayline_start_options, execution_id), 16);
SAME(offsetof(stayline_start_options, mode), 24);
SAME(SIZE(stayline_start_options, mode), 16);
SAME(offsetof(stayline_start_options, token), 40);
SAME(SIZE(stayline_start_options, token), 16);

SAME(sizeof(stayline_attach_options), 72);
SAME(offsetof(stayline_attach_options, struct_size), 0);
SAME(SIZE(stayline_attach_options, struct_size), 8);
SAME(offsetof(stayline_attach_options, execution_id), 8);
SAME(SIZE(stayline_attach_options, execution_id), 16);
SAME(offsetof(stayline_attach_options, token), 24);
SAME(SIZE(stayline_attach_options, token), 16);
SAME(offsetof(stayline_attach_options, trusted), 40);
SAME(SIZE(stayline_attach_options, trusted), 1);
SAME(offsetof(stayline_attach_options, acknowledged), 41);
SAME(SIZE(stayline_attach_options, acknowledged), 1);
SAME(offsetof(stayline_attach_options, producer), 48);
SAME(SIZE(stayline_attach_options, producer), 16);
SAME(offsetof(stayline_attach_options, attempt), 64);
SAME(SIZE(stayline_attach_options, attempt), 8);

SAME(sizeof(stayline_fail_options), 48);
SAME(offsetof(stayline_fail_options, struct_size), 0);
SAME(SIZE(stayline_fail_options, struct_size), 8);
SAME(offsetof(stayline_fail_options, event_type), 8);
SAME(SIZE(stayline_fail_options, event_type), 16);
SAME(offsetof(stayline_fail_options, payload), 24);
SAME(SIZE(stayline_fail_options, payload), 16);
SAME(offsetof(stayline_fail_options, suppress_notification), 40);
SAME(SIZE(stayline_fail_options, suppress_notification), 1);
SAME(offsetof(stayline_fail_options, only_pending), 41);
SAME(SIZE(stayline_fail_options, only_pending), 1);

SAME(sizeof(stayline_subscribe_options), 56);
SAME(offsetof(stayline_subscribe_options, struct_size), 0);
SAME(SIZE(stayline_subscribe_options, struct_size), 8);
SAME(offsetof(stayline_subscribe_options, filter), 8);
SAME(SIZE(stayline_subscribe_options, filter), 8);
SAME(offsetof(stayline_subscribe_options, epoch), 16);
SAME(SIZE(stayline_subscribe_options, epoch), 16);
SAME(offsetof(stayline_subscribe_options, live_only), 32);
SAME(SIZE(stayline_subscribe_options, live_only), 1);
SAME(offsetof(stayline_subscribe_options, until), 40);
SAME(SIZE(stayline_subscribe_options, until), 16);

SAME(sizeof(stayline_session_info), 120);
SAME(offsetof(stayline_session_info, struct_size), 0);
SAME(SIZE(stayline_session_info, struct_size), 8);
SAME(offsetof(stayline_session_info, id), 8);
SAME(SIZE(stayline_session_info, id), 16);
SAME(offsetof(stayline_session_info, epoch), 24);
SAME(SIZE(stayline_session_info, epoch), 16);
SAME(offsetof(stayline_session_info, created_at_ms), 40);
SAME(SIZE(stayline_session_info, created_at_ms), 8);
SAME(offsetof(stayline_session_info, last_activity_at_ms), 48);
SAME(SIZE(stayline_session_info, last_activity_at_ms), 8);
SAME(offsetof(stayline_session_info, last_event_id), 56);
SAME(SIZE(stayline_session_info, last_event_id), 8);
SAME(offsetof(stayline_session_info, branch), 64);
SAME(SIZE(stayline_session_info, branch), 16);
SAME(offsetof(stayline_session_info, agent_session_id), 80);
SAME(SIZE(stayline_session_info, agent_session_id), 16);
SAME(offsetof(stayline_session_info, active), 96);
SAME(SIZE(stayline_session_info, active), 16);
SAME(offsetof(stayline_session_info, grace), 112);
SAME(SIZE(stayline_session_info, grace), 1);
SAME(offsetof(stayline_session_info, link_attached), 113);
SAME(SIZE(stayline_session_info, link_attached), 1);

SAME(sizeof(stayline_signal_info), 48);
SAME(offsetof(stayline_signal_info, struct_size), 0);
SAME(SIZE(stayline_signal_info, struct_size), 8);
SAME(offsetof(stayline_signal_info, kind), 8);
SAME(SIZE(stayline_signal_info, kind), 4);
SAME(offsetof(stayline_signal_info, status), 12);
SAME(SIZE(stayline_signal_info, status), 4);
SAME(offsetof(stayline_signal_info, kill_signal), 16);
SAME(SIZE(stayline_signal_info, kill_signal), 4);
SAME(offsetof(stayline_signal_info, attempt), 20);
SAME(SIZE(stayline_signal_info, attempt), 4);
SAME(offsetof(stayline_signal_info, unacknowledged), 24);
SAME(SIZE(stayline_signal_info, unacknowledged), 8);
SAME(offsetof(stayline_signal_info, text), 32);
SAME(SIZE(stayline_signal_info, text), 16);

SAME(sizeof(stayline_wrapper_options), 104);
SAME(offsetof(stayline_wrapper_options, struct_size), 0);
SAME(SIZE(stayline_wrapper_options, struct_size), 8);
SAME(offsetof(stayline_wrapper_options, url), 8);
SAME(SIZE(stayline_wrapper_options, url), 16);
SAME(offsetof(stayline_wrapper_options, session_id), 24);
SAME(SIZE(stayline_wrapper_options, session_id), 16);
SAME(offsetof(stayline_wrapper_options, execution_id), 40);
SAME(SIZE(stayline_wrapper_options, execution_id), 16);
SAME(offsetof(stayline_wrapper_options, token), 56);
SAME(SIZE(stayline_wrapper_options, token), 16);
SAME(offsetof(stayline_wrapper_options, settings), 72);
SAME(SIZE(stayline_wrapper_options, settings), 8);
SAME(offsetof(stayline_wrapper_options, retry_first), 80);
SAME(SIZE(stayline_wrapper_options, retry_first), 1);
SAME(offsetof(stayline_wrapper_options, active), 81);
SAME(SIZE(stayline_wrapper_options, active), 1);
SAME(offsetof(stayline_wrapper_options, proxy), 88);
SAME(SIZE(stayline_wrapper_options, proxy), 16);
