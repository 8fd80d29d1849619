/*
 * One valid object of every type, so that a call can be wrong in one argument only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "misuse.h"

static fixture made;
static bool is_made;
/* What the objects above come from. */
static stayline_session *ended;
static stayline_execution *with_wrapper;

static void make_session(void) {
    made.coordinator = open_memory();
    made.session = session_of(made.coordinator, "session");
    made.execution = start(made.session, "execution");
    made.link = attach(made.session, "execution");
    EXPECT(OK, stayline_request_read(text("/sessions/s/ingest?executionId=execution"), NULL, 0,
                                     &made.request, NULL));
    /* Without a token, so that it takes the link from nobody. */
    EXPECT(OK, stayline_session_begin_attach(made.session, made.request, false, &made.attaching,
                                             NULL));
    /* Not a frame: that is answered. */
    EXPECT(OK, stayline_link_receive(made.link, text("nonsense"), NULL));
    EXPECT(OK, stayline_link_next_output(made.link, PATIENCE_MS, &made.output, NULL));
    CHECK(made.output != NULL);
    EXPECT(OK, stayline_session_lease(made.session, text("execution"), text("lease"), no_text,
                                      &made.lease, NULL));
    EXPECT(OK, stayline_session_events(made.session, NULL, &made.events, NULL));
    made.subscription = subscribe(made.session);
    EXPECT(OK, stayline_subscription_next(made.subscription, PATIENCE_MS, &made.event, NULL));
    CHECK(made.event != NULL);
    EXPECT(OK, stayline_session_executions(made.session, 0, 10, &made.executions, NULL));
    EXPECT(OK, stayline_session_snapshot_get(made.session, &made.session_snapshot, NULL));
    EXPECT(OK, stayline_coordinator_sessions(made.coordinator, 10, &made.session_snapshots, NULL));
}

static void make_notifications(void) {
    ended = session_of(made.coordinator, "ended");
    stayline_execution_free(start(ended, "execution"));
    EXPECT(OK, stayline_session_fail(ended, text("execution"), text("failed"), NULL, NULL, NULL));
    EXPECT(OK, stayline_coordinator_take_notification(made.coordinator, PATIENCE_MS,
                                                      &made.notification, NULL));
    CHECK(made.notification != NULL);
    EXPECT(OK, stayline_coordinator_notifications(made.coordinator, false, &made.notifications,
                                                  NULL));
}

static void make_wrappers(void) {
    EXPECT(OK, stayline_sansio_new(NULL, NULL, &made.sansio, NULL));
    stayline_sansio *refused = NULL;
    EXPECT(OK, stayline_sansio_new(NULL, NULL, &refused, NULL));
    EXPECT(OK, stayline_sansio_open(refused, text("execution"), false, 0, NULL));
    EXPECT(OK, stayline_sansio_handle_refused(refused, 1, NULL, 0, NULL));
    while (made.signal == NULL) {
        stayline_action_free(made.action);
        EXPECT(OK, stayline_sansio_poll_action(refused, &made.action, NULL));
        CHECK(made.action != NULL);
        made.signal = stayline_action_signal(made.action);
    }
    stayline_sansio_free(refused);
    made.server = serve(made.coordinator);
    stayline_session *session = session_of(made.coordinator, "wrapped");
    with_wrapper = start(session, "execution");
    stayline_session_free(session);
    made.wrapper = wrap(made.server, "wrapped", "execution", text("secret"));
    EXPECT(OK, stayline_wrapper_wait_connected(made.wrapper, PATIENCE_MS, NULL));
}

const fixture *objects(void) {
    if (!is_made) {
        is_made = true;
        EXPECT(OK, stayline_clock_new(0, &made.clock, NULL));
        EXPECT(OK, stayline_settings_new(&made.settings, NULL));
        EXPECT(INVALID_ARGUMENT, stayline_clock_advance(made.clock, -1, &made.error));
        make_session();
        make_notifications();
        make_wrappers();
    }
    return &made;
}

void objects_free(void) {
    /* Also where nothing was made: NULL is fine everywhere. */
    stayline_wrapper_free(made.wrapper);
    stayline_server_free(made.server);
    stayline_action_free(made.action);
    stayline_clock_free(made.clock);
    stayline_error_free(made.error);
    stayline_event_free(made.event);
    stayline_events_free(made.events);
    stayline_execution_free(made.execution);
    stayline_executions_free(made.executions);
    stayline_lease_free(made.lease);
    stayline_attaching_free(made.attaching);
    stayline_request_free(made.request);
    stayline_link_free(made.link);
    stayline_notification_free(made.notification);
    stayline_notifications_free(made.notifications);
    stayline_output_free(made.output);
    stayline_sansio_free(made.sansio);
    stayline_session_free(made.session);
    stayline_session_snapshot_free(made.session_snapshot);
    stayline_session_snapshots_free(made.session_snapshots);
    stayline_settings_free(made.settings);
    stayline_subscription_free(made.subscription);
    stayline_session_free(ended);
    stayline_execution_free(with_wrapper);
    stayline_coordinator_free(made.coordinator);
    memset(&made, 0, sizeof made);
    ended = NULL;
    with_wrapper = NULL;
    is_made = false;
}
