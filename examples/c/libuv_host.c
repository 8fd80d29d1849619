/* A host on libuv, with a listening socket of its own: it reads requests, speaks WebSocket, and hands
 * frames over. One thread: nothing in it waits, neither for a peer nor for the disk.
 *
 *     libuv_host STORE          cc libuv_host.c $(pkg-config --cflags --libs stayline libuv libcrypto)
 *
 * It starts an execution, prints where its wrapper may come, and what becomes of it, until it has
 * ended. A wrapper's request is attached by a thread of the library (stayline_session_begin_attach);
 * its descriptor and those of the link, of the stream and of the notifications are polled by libuv.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 200809L

#include "example.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* What is held of a peer: a frame has to fit. */
#define MOST_BYTES (1024 * 1024 + 4096)
#define MOST_HEADERS 64

/* A peer of the listening socket. */
typedef struct {
    uv_tcp_t socket;
    uv_poll_t watched; /* the descriptor of its attach, then of its link */
    bool is_watched, is_closing;
    bool is_between; /* the handle for the attach closes, to be that for the link */
    int open_handles;
    char accept[32]; /* the answer to Sec-WebSocket-Key */
    stayline_attaching *attaching;
    stayline_link *link; /* NULL: not attached, or its socket is gone */
    size_t count;
    char bytes[MOST_BYTES];
} peer;

static uv_loop_t loop;
static uv_tcp_t listener;
static uv_poll_t stream_watched, notifications_watched;
static stayline_coordinator *coordinator;
static stayline_session *session;
static stayline_subscription *stream;

static void advance(peer *from);

/* ---- sockets ---------------------------------------------------------------------------------- */

static void written(uv_write_t *request, int status)
{
    (void)status; /* One that is gone is told by its reader. */
    free(request);
}

/* Copies, so that nothing of ours has to live until it is out. */
static void say(peer *to, const char *head, size_t head_count, stayline_view text)
{
    uv_write_t *request = malloc(sizeof *request + head_count + text.len);
    uv_buf_t bytes = uv_buf_init((char *)(request + 1), (unsigned)(head_count + text.len));

    memcpy(bytes.base, head, head_count);
    if (text.len > 0) {
        memcpy(bytes.base + head_count, text.data, text.len);
    }
    if (uv_write(request, (uv_stream_t *)&to->socket, &bytes, 1, written) != 0) {
        free(request);
    }
}

static void closed(uv_handle_t *handle)
{
    peer *gone = handle->data;

    if (--gone->open_handles == 0) {
        stayline_attaching_free(gone->attaching);
        stayline_link_free(gone->link);
        free(gone);
    }
}

static void stop_watching(peer *of)
{
    if (of->is_watched) {
        uv_poll_stop(&of->watched);
        of->is_watched = false;
    }
}

static void leave(peer *gone, uint16_t code)
{
    if (gone->is_closing) {
        return;
    }
    gone->is_closing = true;
    stop_watching(gone);
    if (gone->link != NULL) {
        stayline_link_closed(gone->link, code, stayline_view_of("the socket is gone"), NULL);
    }
    uv_close((uv_handle_t *)&gone->socket, closed);
    if (gone->open_handles == 2 && !gone->is_between) {
        uv_close((uv_handle_t *)&gone->watched, closed);
    }
}

static void shut(uv_shutdown_t *request, int status)
{
    peer *gone = request->data;

    (void)status;
    free(request);
    leave(gone, 1000);
}

/* Ends the connection behind what was written. */
static void finish(peer *to)
{
    uv_shutdown_t *request = malloc(sizeof *request);

    request->data = to;
    uv_read_stop((uv_stream_t *)&to->socket);
    stop_watching(to);
    if (uv_shutdown(request, (uv_stream_t *)&to->socket, shut) != 0) {
        free(request);
        leave(to, 1006);
    }
}

static void watch(peer *of, int descriptor, uv_poll_cb ready)
{
    /* A handle watches one descriptor for its life. */
    uv_poll_init(&loop, &of->watched, descriptor);
    of->watched.data = of;
    of->open_handles = 2;
    of->is_watched = true;
    uv_poll_start(&of->watched, UV_READABLE, ready);
}

/* ---- WebSocket, as much as a wrapper needs --------------------------------------------------------- */

static void send_frame(peer *to, int kind, stayline_view text)
{
    unsigned char head[10] = {(unsigned char)(0x80 | kind)};
    size_t count = 2;

    if (text.len < 126) {
        head[1] = (unsigned char)text.len;
    } else if (text.len < 65536) {
        head[1] = 126;
        head[2] = (unsigned char)(text.len >> 8);
        head[3] = (unsigned char)text.len;
        count = 4;
    } else {
        head[1] = 127;
        for (int at = 0; at < 8; at++) {
            head[2 + at] = (unsigned char)((uint64_t)text.len >> (56 - 8 * at));
        }
        count = 10;
    }
    say(to, (const char *)head, count, text);
}

static void send_close(peer *to, uint16_t code, stayline_view reason)
{
    char body[125] = {(char)(code >> 8), (char)code};
    size_t count = reason.len > sizeof body - 2 ? sizeof body - 2 : reason.len;

    memcpy(body + 2, reason.data, count);
    send_frame(to, 8, (stayline_view){body, count + 2});
    finish(to);
}

/* One whole frame: how long it is; 0: it has not come wholly. */
static size_t frame_of(peer *from, int *kind, char **text, size_t *text_count)
{
    unsigned char *bytes = (unsigned char *)from->bytes, *mask;
    size_t head = 2, count;

    if (from->count < 2) {
        return 0;
    }
    count = bytes[1] & 0x7f;
    if (count == 126) {
        head = 4;
        count = from->count < head ? MOST_BYTES : (size_t)bytes[2] << 8 | bytes[3];
    } else if (count == 127) {
        head = 10;
        count = 0;
        for (int at = 2; from->count >= head && at < 10; at++) {
            count = count << 8 | bytes[at];
        }
    }
    if (from->count < head + 4 || from->count - head - 4 < count) {
        return 0;
    }
    mask = bytes + head;
    *kind = bytes[0] & 0x0f;
    *text = from->bytes + head + 4;
    *text_count = count;
    for (size_t at = 0; (bytes[1] & 0x80) != 0 && at < count; at++) {
        (*text)[at] = (char)((*text)[at] ^ mask[at % 4]);
    }
    bytes[1] &= 0x7f; /* so that it is read only once, however often it is looked at */
    return head + 4 + count;
}

static void take_frames(peer *from)
{
    int kind;
    char *text;
    size_t text_count, used;

    while (!from->is_closing && (used = frame_of(from, &kind, &text, &text_count)) > 0) {
        stayline_view frame = {text, text_count};
        bool taken = true;

        if (kind == 1) {
            check(stayline_link_try_receive(from->link, &frame, 1, &taken, &error));
        } else if (kind == 8) {
            uint16_t code = text_count < 2 ? 1005 : (uint16_t)((uint8_t)text[0] << 8 | (uint8_t)text[1]);

            send_frame(from, 8, frame);
            leave(from, code);
            return;
        } else if (kind == 9) {
            send_frame(from, 10, frame);
        }
        if (!taken) {
            /* Congested: the link's descriptor tells when to go on. */
            uv_read_stop((uv_stream_t *)&from->socket);
            return;
        }
        from->count -= used;
        memmove(from->bytes, from->bytes + used, from->count);
    }
}

/* ---- a peer's life ----------------------------------------------------------------------------------- */

static void refuse(peer *to, unsigned status, stayline_view refusal, stayline_view text)
{
    char head[512];
    int count = snprintf(head, sizeof head,
                         "HTTP/1.1 %u -\r\nContent-Length: %zu\r\nConnection: close\r\n%s%s%.*s%s\r\n",
                         status, text.len, status == 503 ? "Retry-After: 1\r\n" : "",
                         refusal.data == NULL ? "" : "Stayline-Refusal: ", TEXT(refusal),
                         refusal.data == NULL ? "" : "\r\n");

    say(to, head, (size_t)count, text);
    finish(to);
}

static void refuse_for(peer *to, stayline_error *why)
{
    printf("refused: %.*s\n", TEXT(stayline_error_name(why)));
    refuse(to, (unsigned)stayline_error_http_status(why), stayline_error_refusal(why),
           stayline_error_message(why));
    stayline_error_free(why);
}

static void link_ready(uv_poll_t *handle, int status, int events)
{
    peer *of = handle->data;
    stayline_output *output = NULL;
    stayline_output_info info = {.struct_size = sizeof info};

    (void)status, (void)events;
    while (!of->is_closing &&
           (check(stayline_link_next_output(of->link, 0, &output, &error)), output != NULL)) {
        check(stayline_output_get(output, &info, &error));
        if (info.kind == STAYLINE_OUTPUT_KIND_SEND) {
            send_frame(of, 1, info.text);
        } else {
            send_close(of, info.code, info.text);
            stayline_output_free(output);
            return;
        }
        stayline_output_free(output);
    }
    advance(of); /* The descriptor may also tell the end of a congestion. */
}

static void watch_link(uv_handle_t *handle)
{
    peer *of = handle->data;
    int descriptor = -1;

    of->is_between = false;
    if (of->is_closing) { /* The socket has gone meanwhile. */
        closed(handle);
        return;
    }
    stayline_attaching_free(of->attaching);
    of->attaching = NULL;
    check(stayline_link_fd(of->link, &descriptor, &error));
    watch(of, descriptor, link_ready);
    advance(of);
}

static void attach_ready(uv_poll_t *handle, int status, int events)
{
    peer *of = handle->data;
    char head[256];
    int count;

    (void)status, (void)events;
    if (stayline_attaching_take(of->attaching, 0, &of->link, &error) != STAYLINE_STATUS_OK) {
        refuse_for(of, error);
        return;
    }
    if (of->link == NULL) {
        return;
    }
    printf("attached\n");
    count = snprintf(head, sizeof head,
                     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                     of->accept,
                     stayline_link_is_acknowledged(of->link) ? "Stayline-Protocol: 2\r\n" : "");
    say(of, head, (size_t)count, stayline_view_of(""));
    stop_watching(of);
    of->is_between = true;
    uv_close((uv_handle_t *)&of->watched, watch_link);
}

/* The head of a request, at whose end there is an empty line. */
static void take_request(peer *from, char *end)
{
    stayline_header headers[MOST_HEADERS];
    size_t headers_count = 0;
    stayline_request *request = NULL;
    stayline_request_info info = {.struct_size = sizeof info};
    char *line = from->bytes, *target, *target_end, key[128] = "";
    unsigned char digest[SHA_DIGEST_LENGTH];
    int descriptor = -1;

    end[0] = '\0';
    target = strchr(line, ' ');
    target_end = target == NULL ? NULL : strchr(target + 1, ' ');
    if (target_end == NULL) {
        refuse(from, 400, (stayline_view){NULL, 0}, stayline_view_of("no request"));
        return;
    }
    for (line = strstr(line, "\r\n"); line != NULL && headers_count < MOST_HEADERS;) {
        char *name = line + 2, *colon = strchr(name, ':'), *value, *value_end;

        line = strstr(name, "\r\n");
        value_end = line == NULL ? end : line;
        if (colon == NULL || colon > value_end) {
            continue;
        }
        for (value = colon + 1; *value == ' '; value++) {
        }
        headers[headers_count].name = (stayline_view){name, (size_t)(colon - name)};
        headers[headers_count++].value = (stayline_view){value, (size_t)(value_end - value)};
        if (colon - name == 17 && strncasecmp(name, "Sec-WebSocket-Key", 17) == 0) {
            snprintf(key, sizeof key, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                     (int)(value_end - value), value);
        }
    }
    if (stayline_request_read((stayline_view){target + 1, (size_t)(target_end - target - 1)}, headers,
                              headers_count, &request, &error) != STAYLINE_STATUS_OK) {
        refuse_for(from, error);
        return;
    }
    check(stayline_request_get(request, &info, &error));
    from->count = 0; /* A wrapper sends nothing more before the answer. */
    if (info.endpoint != STAYLINE_ENDPOINT_INGEST || key[0] == '\0') {
        refuse(from, 200, (stayline_view){NULL, 0}, stayline_view_of("still here\n"));
    } else if (stayline_session_begin_attach(session, request, false, &from->attaching, &error) !=
               STAYLINE_STATUS_OK) {
        refuse_for(from, error);
    } else {
        SHA1((const unsigned char *)key, strlen(key), digest);
        EVP_EncodeBlock((unsigned char *)from->accept, digest, sizeof digest);
        check(stayline_attaching_fd(from->attaching, &descriptor, &error));
        watch(from, descriptor, attach_ready);
    }
    stayline_request_free(request);
}

static void allocate(uv_handle_t *handle, size_t wanted, uv_buf_t *bytes)
{
    peer *from = handle->data;

    (void)wanted;
    *bytes = uv_buf_init(from->bytes + from->count, (unsigned)(MOST_BYTES - 1 - from->count));
}

static void received(uv_stream_t *socket, ssize_t got, const uv_buf_t *bytes)
{
    peer *from = socket->data;

    (void)bytes;
    if (got < 0) {
        leave(from, 1006);
        return;
    }
    from->count += (size_t)got;
    advance(from);
}

/* Goes on with what has come. */
static void advance(peer *from)
{
    char *end;

    if (from->is_closing) {
        return;
    }
    if (from->link != NULL && from->attaching == NULL) {
        uv_read_start((uv_stream_t *)&from->socket, allocate, received);
        take_frames(from);
    } else if (from->attaching == NULL) {
        from->bytes[from->count] = '\0';
        if ((end = strstr(from->bytes, "\r\n\r\n")) != NULL) {
            take_request(from, end);
        }
    }
    if (!from->is_closing && from->count == MOST_BYTES - 1) {
        leave(from, 1009);
    }
}

static void connected(uv_stream_t *socket, int status)
{
    peer *from = calloc(1, sizeof *from);

    (void)status;
    uv_tcp_init(&loop, &from->socket);
    from->socket.data = from;
    from->open_handles = 1;
    if (uv_accept(socket, (uv_stream_t *)&from->socket) != 0) {
        leave(from, 1006);
        return;
    }
    uv_read_start((uv_stream_t *)&from->socket, allocate, received);
}

/* ---- what becomes of the run ----------------------------------------------------------------------------- */

static void notifications_ready(uv_poll_t *handle, int status, int events)
{
    stayline_notification *taken = NULL;
    stayline_notification_info info = {.struct_size = sizeof info};

    (void)status, (void)events;
    while (check(stayline_coordinator_take_notification(coordinator, 0, &taken, &error)), taken) {
        check(stayline_notification_get(taken, &info, &error));
        printf("notification: %.*s\n", TEXT(stayline_execution_status_name(info.status)));
        check(stayline_notification_ack(taken, &error));
        stayline_notification_free(taken);
        uv_poll_stop(handle);
        uv_close((uv_handle_t *)handle, NULL);
        /* Who is connected says goodbye, nobody else comes: the loop ends by itself. */
        uv_close((uv_handle_t *)&listener, NULL);
        return;
    }
}

static void stream_ready(uv_poll_t *handle, int status, int events)
{
    stayline_event *event = NULL;
    stayline_event_info info = {.struct_size = sizeof info};

    (void)status, (void)events;
    while (check(stayline_subscription_next(stream, 0, &event, &error)), event != NULL) {
        check(stayline_event_get(event, &info, &error));
        if (!info.control) {
            printf("event %d: %.*s %.*s\n", (int)info.id, TEXT(info.event_type), TEXT(info.data));
        }
        stayline_event_free(event);
    }
    if (stayline_subscription_is_ended(stream)) {
        uv_poll_stop(handle);
        uv_close((uv_handle_t *)handle, NULL);
    }
}

int main(int count, char **arguments)
{
    stayline_subscribe_options reading = stayline_subscribe_options_default();
    stayline_execution *execution;
    stayline_execution_info started = {.struct_size = sizeof started};
    struct sockaddr_in address;
    int address_count = sizeof address, descriptor = -1;

    if (count != 2) {
        return fprintf(stderr, "usage: libuv_host STORE\n"), 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN); /* libuv's writes raise it; a peer that is gone is told by its reader. */
    check(stayline_coordinator_open(stayline_view_of(arguments[1]), NULL, &coordinator, &error));
    check(stayline_coordinator_session(coordinator, stayline_view_of("user_1"), &session, &error));
    check(stayline_session_start(session, NULL, &execution, &error));
    check(stayline_execution_get(execution, &started, &error));
    reading.until = started.id;
    check(stayline_session_subscribe(session, &reading, &stream, &error));

    uv_loop_init(&loop);
    uv_tcp_init(&loop, &listener);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
    if (uv_listen((uv_stream_t *)&listener, 128, connected) != 0) {
        return fprintf(stderr, "libuv_host: no socket to listen at\n"), 1;
    }
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &address_count);
    printf("http://127.0.0.1:%d user_1 %.*s %.*s\n", ntohs(address.sin_port), TEXT(started.id),
           TEXT(started.token));
    stayline_execution_free(execution);

    check(stayline_subscription_fd(stream, &descriptor, &error));
    uv_poll_init(&loop, &stream_watched, descriptor);
    uv_poll_start(&stream_watched, UV_READABLE, stream_ready);
    check(stayline_coordinator_notification_fd(coordinator, &descriptor, &error));
    uv_poll_init(&loop, &notifications_watched, descriptor);
    uv_poll_start(&notifications_watched, UV_READABLE, notifications_ready);
    uv_run(&loop, UV_RUN_DEFAULT);

    uv_loop_close(&loop);
    stayline_subscription_free(stream);
    stayline_session_free(session);
    check(stayline_coordinator_close(coordinator, &error));
    stayline_coordinator_free(coordinator);
    return 0;
}
