/*
 * Descriptors: readable means "take until it finds nothing", and for ever after the close.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>

#include "misuse.h"

static bool is_readable(int fd, int timeout_ms) {
    struct pollfd polled = {fd, POLLIN, 0};
    int ready = poll(&polled, 1, timeout_ms);
    CHECK(ready >= 0 && (polled.revents & ~POLLIN) == 0);
    return ready == 1;
}

static void stays_readable(int fd) {
    CHECK(is_readable(fd, PATIENCE_MS));
    CHECK(is_readable(fd, 0));
}

typedef struct {
    stayline_coordinator *coordinator;
    stayline_session *session;
    stayline_execution *execution;
} host;

static host host_open(void) {
    host host;
    host.coordinator = open_memory();
    host.session = session_of(host.coordinator, "s");
    host.execution = start(host.session, "e");
    return host;
}

static void host_free(host *host) {
    stayline_execution_free(host->execution);
    stayline_session_free(host->session);
    stayline_coordinator_free(host->coordinator);
}

static void fail_execution(const host *host) {
    EXPECT(OK, stayline_session_fail(host->session, text("e"), text("m"), NULL, NULL, NULL));
}

static bool take_notification(const host *host) {
    stayline_notification *notification = NULL;
    EXPECT(OK,
           stayline_coordinator_take_notification(host->coordinator, 0, &notification, NULL));
    if (notification != NULL) {
        EXPECT(OK, stayline_notification_ack(notification, NULL));
    }
    stayline_notification_free(notification);
    return notification != NULL;
}

static void of_notifications(void) {
    host host = host_open();
    int fd = -1, same = -1;
    EXPECT(OK, stayline_coordinator_notification_fd(host.coordinator, &fd, NULL));
    EXPECT(OK, stayline_coordinator_notification_fd(host.coordinator, &same, NULL));
    CHECK(fd >= 0 && fd == same);
    CHECK(!take_notification(&host));
    CHECK(!is_readable(fd, 0));
    fail_execution(&host);
    CHECK(is_readable(fd, PATIENCE_MS));
    CHECK(take_notification(&host));
    /* There may be more, until a take finds none. */
    CHECK(is_readable(fd, 0));
    CHECK(!take_notification(&host));
    CHECK(!is_readable(fd, 0));
    EXPECT(OK, stayline_coordinator_close(host.coordinator, NULL));
    stays_readable(fd);
    stayline_notification *notification = NULL;
    EXPECT(CLOSED,
           stayline_coordinator_take_notification(host.coordinator, 0, &notification, NULL));
    stays_readable(fd);
    host_free(&host);
}

static void of_executions(void) {
    for (int closes = 0; closes < 2; closes++) {
        host host = host_open();
        int fd = -1;
        EXPECT(OK, stayline_execution_fd(host.execution, &fd, NULL));
        EXPECT(TIMEOUT, stayline_execution_wait(host.execution, 0, NULL, NULL));
        CHECK(!is_readable(fd, 0));
        if (closes) {
            EXPECT(OK, stayline_coordinator_close(host.coordinator, NULL));
            stays_readable(fd);
            EXPECT(CLOSED, stayline_execution_wait(host.execution, 0, NULL, NULL));
        } else {
            fail_execution(&host);
            stays_readable(fd);
            EXPECT(OK, stayline_execution_wait(host.execution, 0, NULL, NULL));
        }
        stays_readable(fd);
        host_free(&host);
    }
}

static bool take_event(stayline_subscription *subscription) {
    stayline_event *event = NULL;
    EXPECT(OK, stayline_subscription_next(subscription, 0, &event, NULL));
    stayline_event_free(event);
    return event != NULL;
}

static void of_subscriptions(void) {
    for (int ending = 0; ending < 3; ending++) {
        host host = host_open();
        stayline_subscription *subscription = subscribe(host.session);
        int fd = -1;
        EXPECT(OK, stayline_subscription_fd(subscription, &fd, NULL));
        CHECK(is_readable(fd, 0));
        while (take_event(subscription)) {
            CHECK(is_readable(fd, 0));
        }
        CHECK(!is_readable(fd, 0));
        if (ending == 0) {
            EXPECT(OK, stayline_subscription_close(subscription, NULL));
            stays_readable(fd);
            stayline_event *event = NULL;
            EXPECT(CLOSED, stayline_subscription_next(subscription, 0, &event, NULL));
        } else {
            if (ending == 1) {
                EXPECT(OK, stayline_coordinator_close(host.coordinator, NULL));
            } else {
                EXPECT(OK, stayline_session_delete(host.session, NULL));
            }
            stays_readable(fd);
            while (take_event(subscription)) {
            }
            CHECK(stayline_subscription_is_ended(subscription));
        }
        stays_readable(fd);
        stayline_subscription_free(subscription);
        host_free(&host);
    }
}

static bool take_output(stayline_link *link) {
    stayline_output *output = NULL;
    EXPECT(OK, stayline_link_next_output(link, 0, &output, NULL));
    stayline_output_free(output);
    return output != NULL;
}

static void of_links(void) {
    for (int closes = 0; closes < 2; closes++) {
        host host = host_open();
        stayline_link *link = attach(host.session, "e");
        int fd = -1;
        EXPECT(OK, stayline_link_fd(link, &fd, NULL));
        CHECK(!take_output(link));
        CHECK(!is_readable(fd, 0));
        EXPECT(OK, stayline_link_receive(link, text("no frame"), NULL));
        CHECK(is_readable(fd, PATIENCE_MS));
        CHECK(take_output(link));
        CHECK(!take_output(link));
        CHECK(!is_readable(fd, 0));
        if (closes) {
            EXPECT(OK, stayline_link_closed(link, 1000, no_text, NULL));
        } else {
            EXPECT(OK, stayline_coordinator_close(host.coordinator, NULL));
        }
        stays_readable(fd);
        while (take_output(link)) {
        }
        CHECK(stayline_link_is_finished(link));
        stays_readable(fd);
        stayline_link_free(link);
        host_free(&host);
    }
}

static bool take_signal(stayline_wrapper *wrapper) {
    stayline_signal *signal = NULL;
    EXPECT(OK, stayline_wrapper_next_signal(wrapper, 0, &signal, NULL));
    stayline_signal_free(signal);
    return signal != NULL;
}

static void of_wrappers(void) {
    host host = host_open();
    stayline_server *server = serve(host.coordinator);
    stayline_wrapper *wrapper = wrap(server, "s", "e", text("secret"));
    int signals = -1, changes = -1;
    EXPECT(OK, stayline_wrapper_fd(wrapper, &signals, NULL));
    EXPECT(OK, stayline_wrapper_changes_fd(wrapper, &changes, NULL));
    CHECK(signals >= 0 && changes >= 0 && signals != changes);
    /* As an event loop waits for the connection. */
    stayline_status status;
    while ((status = stayline_wrapper_wait_connected(wrapper, 0, NULL)) ==
           STAYLINE_STATUS_TIMEOUT) {
        CHECK(is_readable(changes, PATIENCE_MS));
    }
    EXPECT(OK, status);
    while (take_signal(wrapper)) {
    }
    CHECK(!is_readable(signals, 0));
    EXPECT(OK, stayline_session_interrupt(host.session, NULL, NULL, NULL));
    CHECK(is_readable(signals, PATIENCE_MS));
    CHECK(take_signal(wrapper));
    while (take_signal(wrapper)) {
    }
    CHECK(!is_readable(signals, 0));
    EXPECT(OK, stayline_wrapper_aborted(wrapper, NULL));
    while ((status = stayline_wrapper_outcome(wrapper, 0, NULL, NULL, NULL)) ==
           STAYLINE_STATUS_TIMEOUT) {
        CHECK(is_readable(changes, PATIENCE_MS));
    }
    EXPECT(OK, status);
    EXPECT(OK, stayline_wrapper_close(wrapper, NULL, NULL));
    stays_readable(signals);
    stays_readable(changes);
    while (take_signal(wrapper)) {
    }
    CHECK(stayline_wrapper_is_finished(wrapper));
    EXPECT(OK, stayline_wrapper_outcome(wrapper, 0, NULL, NULL, NULL));
    stays_readable(signals);
    stays_readable(changes);
    stayline_wrapper_free(wrapper);
    stayline_server_free(server);
    host_free(&host);
}

typedef struct {
    counter calls;
    counter drops;
} kills;

static void count_kill(void *user_data, int32_t kill_signal) {
    kills *kills = user_data;
    CHECK(kill_signal == STAYLINE_KILL_SIGNAL_TERM);
    count(&kills->calls);
}

static void drop_kills(void *user_data) {
    kills *kills = user_data;
    count(&kills->drops);
}

/* The callback's thread finds nothing for itself; what is there for the event loop stays there. */
static void beside_a_kill_callback(void) {
    host host = host_open();
    stayline_server *server = serve(host.coordinator);
    stayline_wrapper *wrapper = wrap(server, "s", "e", text("secret"));
    kills kills = {COUNTER, COUNTER};
    const stayline_kill_callback callback = {count_kill, drop_kills, &kills};
    EXPECT(OK, stayline_wrapper_on_kill(wrapper, callback, NULL));
    EXPECT(OK, stayline_wrapper_wait_connected(wrapper, PATIENCE_MS, NULL));
    int fd = -1;
    EXPECT(OK, stayline_wrapper_fd(wrapper, &fd, NULL));
    while (take_signal(wrapper)) {
    }
    EXPECT(OK, stayline_session_interrupt(host.session, NULL, NULL, NULL));
    wait_until_counted(&kills.calls, 1);
    /* Until it has looked for the next. */
    sleep_ms(HEAD_START_MS);
    CHECK(is_readable(fd, 0));
    CHECK(take_signal(wrapper));
    stayline_wrapper_free(wrapper);
    wait_until_counted(&kills.drops, 1);
    stayline_server_free(server);
    host_free(&host);
}

const misuse_case descriptor_cases[] = {
    {"descriptors_of_notifications", of_notifications},
    {"descriptors_of_executions", of_executions},
    {"descriptors_of_subscriptions", of_subscriptions},
    {"descriptors_of_links", of_links},
    {"descriptors_of_wrappers", of_wrappers},
    {"descriptors_beside_a_kill_callback", beside_a_kill_callback},
    {NULL, NULL},
};
