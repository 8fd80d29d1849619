/* A host with one thread and an event loop of its own: poll(2) over the agent's socket and over the
 * descriptors of a link, a stream and the notifications. Nothing here waits anywhere else.
 *
 *     poll_host STORE AGENT…       poll_host memory: ./poll_agent
 *
 * The agent is a program that writes frames to its output and reads them from its input, one a
 * line. It is stopped when three events have come, unless it ends before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 200809L

#include "example.h"
#include "launch.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is held of frames that have not come wholly, or cannot be handed over yet. */
#define MOST_BYTES 65536

static stayline_coordinator *coordinator;
static stayline_session *session;
static stayline_subscription *stream;
static stayline_link *link_to_agent; /* NULL: its socket is gone */
static int agent_socket;
static char received[MOST_BYTES]; /* and not handed over yet */
static size_t received_count;
static bool is_held_back; /* the link is congested: nothing more is read */
static bool is_over;

/* The socket is gone, by whomever. */
static void lose_link(uint16_t code, const char *reason)
{
    printf("link closed: %d\n", code);
    check(stayline_link_closed(link_to_agent, code, stayline_view_of(reason), &error));
    stayline_link_free(link_to_agent);
    link_to_agent = NULL;
    close(agent_socket);
}

/* Hands whole lines over, unless the link is congested: then they stay here, and the link's
 * descriptor tells when to try again. */
static void hand_over(void)
{
    size_t used = 0;
    bool taken = true;
    char *end;

    while (taken && (end = memchr(received + used, '\n', received_count - used)) != NULL) {
        stayline_view frame = {received + used, (size_t)(end - received) - used};

        check(stayline_link_try_receive(link_to_agent, &frame, 1, &taken, &error));
        used += taken ? frame.len + 1 : 0;
    }
    received_count -= used;
    memmove(received, received + used, received_count);
    is_held_back = !taken;
    if (taken && received_count == MOST_BYTES) {
        lose_link(1009, "a frame is too long");
    }
}

static void read_socket(void)
{
    ssize_t got = read(agent_socket, received + received_count, MOST_BYTES - received_count);

    if (got <= 0) {
        lose_link(1006, "the agent is gone");
    } else {
        received_count += (size_t)got;
        hand_over();
    }
}

/* Does to the socket what the link says, until it says nothing. */
static void write_outputs(void)
{
    stayline_output *output = NULL;
    stayline_output_info info = {.struct_size = sizeof(info)};

    while (check(stayline_link_next_output(link_to_agent, 0, &output, &error)), output != NULL) {
        check(stayline_output_get(output, &info, &error));
        if (info.kind == STAYLINE_OUTPUT_KIND_CLOSE) {
            lose_link(info.code, "as asked");
            stayline_output_free(output);
            return;
        }
        printf("to the agent: %.*s\n", TEXT(info.text));
        /* Commands are few and short, so they find room in the socket. */
        dprintf(agent_socket, "%.*s\n", TEXT(info.text));
        stayline_output_free(output);
    }
    hand_over(); /* The descriptor may also tell the end of a congestion. */
}

static void print_events(void)
{
    stayline_event *event = NULL;
    stayline_event_info info = {.struct_size = sizeof(info)};

    while (check(stayline_subscription_next(stream, 0, &event, &error)), event != NULL) {
        check(stayline_event_get(event, &info, &error));
        if (!info.control) {
            printf("event %d: %.*s %.*s\n", (int)info.id, TEXT(info.event_type), TEXT(info.data));
        }
        stayline_event_free(event);
        if (info.id == 3) {
            stayline_status status = stayline_session_interrupt(session, NULL, NULL, &error);

            /* It may have ended by itself just now. */
            if (status == STAYLINE_STATUS_NO_ACTIVE_EXECUTION) {
                stayline_error_free(error);
            } else {
                check(status);
            }
        }
    }
}

static void take_notifications(void)
{
    stayline_notification *taken = NULL;
    stayline_notification_info info = {.struct_size = sizeof(info)};

    while (check(stayline_coordinator_take_notification(coordinator, 0, &taken, &error)), taken) {
        check(stayline_notification_get(taken, &info, &error));
        printf("notification: %.*s, %.*s\n", TEXT(stayline_notification_kind_name(info.kind)),
               TEXT(stayline_execution_status_name(info.status)));
        /* It is dealt with; without this it would come again. */
        check(stayline_notification_ack(taken, &error));
        is_over |= info.kind == STAYLINE_NOTIFICATION_KIND_EXECUTION_ENDED;
        stayline_notification_free(taken);
    }
}

int main(int count, char **arguments)
{
    stayline_subscribe_options reading = stayline_subscribe_options_default();
    stayline_attach_options attach = stayline_attach_options_default();
    stayline_execution *execution;
    stayline_execution_info started = {.struct_size = sizeof(started)};
    struct pollfd polled[4];
    pid_t agent;

    if (count < 3) {
        return fprintf(stderr, "usage: poll_host STORE AGENT...\n"), 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    check(stayline_coordinator_open(stayline_view_of(arguments[1]), NULL, &coordinator, &error));
    check(stayline_coordinator_session(coordinator, stayline_view_of("user_1"), &session, &error));
    check(stayline_session_start(session, NULL, &execution, &error));
    check(stayline_execution_get(execution, &started, &error));
    reading.until = started.id;
    check(stayline_session_subscribe(session, &reading, &stream, &error));
    attach.execution_id = started.id;
    attach.trusted = true; /* We made the socket ourselves; others bring started.token. */
    check(stayline_session_attach(session, &attach, &link_to_agent, &error));
    stayline_execution_free(execution);
    agent = launch(arguments + 2, &agent_socket);
    signal(SIGPIPE, SIG_IGN); /* An agent that is gone is told by read. */

    check(stayline_subscription_fd(stream, &polled[0].fd, &error));
    check(stayline_coordinator_notification_fd(coordinator, &polled[1].fd, &error));
    check(stayline_link_fd(link_to_agent, &polled[2].fd, &error));
    while (!is_over || link_to_agent != NULL || !stayline_subscription_is_ended(stream)) {
        /* Below 0, poll overlooks an entry. What is over stays readable. */
        polled[0].fd = stayline_subscription_is_ended(stream) ? -1 : polled[0].fd;
        polled[2].fd = link_to_agent == NULL ? -1 : polled[2].fd;
        polled[3].fd = link_to_agent == NULL || is_held_back ? -1 : agent_socket;
        polled[0].events = polled[1].events = polled[2].events = polled[3].events = POLLIN;
        if (poll(polled, 4, -1) < 0) {
            return perror("poll_host"), 1;
        }
        if (polled[3].revents != 0) {
            read_socket();
        }
        if (link_to_agent != NULL && polled[2].revents != 0) {
            write_outputs();
        }
        if (polled[0].revents != 0) {
            print_events();
        }
        if (polled[1].revents != 0) {
            take_notifications();
        }
    }
    waitpid(agent, NULL, 0);
    stayline_subscription_free(stream);
    stayline_session_free(session);
    check(stayline_coordinator_close(coordinator, &error));
    stayline_coordinator_free(coordinator);
    return 0;
}
