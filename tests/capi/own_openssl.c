/* A host with an OpenSSL and an SQLite of its own, which it uses while the library serves TLS.
 *
 * Called with an empty folder, and with the paths of an authority and of a certificate and a key that
 * it signed; whom the library trusts is said by SSL_CERT_FILE. Two coordinators, each with a wrapper
 * that sends events: one is served by the library's TLS, in front of the other stands a listener of
 * the host, which ends TLS with OpenSSL and passes on the bytes. In between the host asks for /health
 * with OpenSSL, and writes to a file of its own with SQLite. Prints whose functions it calls and what
 * came of it all. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sqlite3.h>
#include <stayline.h>

#define TURNS 20

typedef struct {
    char path[4096];
    stayline_coordinator *coordinator;
    stayline_server *server;
    stayline_session *session;
    stayline_execution *execution;
    stayline_wrapper *wrapper;
} side;

/* The host's listener, and the plain server behind it. */
typedef struct {
    SSL_CTX *context;
    int listener, stop;
    int plain_port;
    long connections, in, out;
    char version[16];
} relay;

static void fail(const char *what)
{
    fprintf(stderr, "failed: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void check(stayline_status status, stayline_error *const *error)
{
    if (status == STAYLINE_STATUS_OK)
        return;
    fprintf(stderr, "%.*s\n", STAYLINE_ARG(stayline_error_message(*error)));
    fail("a call of the library");
}

/* -- The host's sockets and its OpenSSL ------------------------------------------------------- */

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (plain < 0 || connect(plain, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    return plain;
}

static int listen_somewhere(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0
        || listen(listener, 16) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("listen");
    *port = ntohs(address.sin_port);
    return listener;
}

static void write_all(int plain, const char *bytes, ssize_t length)
{
    while (length > 0) {
        const ssize_t written = write(plain, bytes, (size_t)length);
        if (written <= 0)
            return; /* it has gone, as the next read of it says */
        bytes += written;
        length -= written;
    }
}

/* Asks for /health. Without an authority the server must be refused. */
static void ask_health(int port, const char *authority, bool tell)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[4096] = "";
    size_t length = 0;
    int got;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (authority != NULL && SSL_CTX_load_verify_locations(context, authority, NULL) != 1)
        fail(authority);
    SSL *tls = SSL_new(context);
    const int plain = connect_to(port);
    SSL_set_fd(tls, plain);
    SSL_set_tlsext_host_name(tls, "localhost");
    SSL_set1_host(tls, "localhost");
    const bool connected = SSL_connect(tls) == 1;
    if (authority == NULL) {
        printf("without authority: %s\n", X509_verify_cert_error_string(SSL_get_verify_result(tls)));
        if (connected)
            fail("a stranger was trusted");
        ERR_clear_error();
    } else {
        if (!connected || SSL_write(tls, request, sizeof request - 1) != sizeof request - 1)
            fail("SSL_connect, SSL_write");
        while ((got = SSL_read(tls, answer + length, (int)(sizeof answer - 1 - length))) > 0)
            length += (size_t)got;
        if (SSL_get_error(tls, got) != SSL_ERROR_ZERO_RETURN)
            fail("the server did not end TLS in order");
        const char *body = strstr(answer, "\r\n\r\n");
        if (body == NULL || strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
            fail(answer);
        if (tell)
            printf("health: %s, %s\n", SSL_get_version(tls), body + 4);
        SSL_shutdown(tls);
    }
    SSL_free(tls);
    close(plain);
    SSL_CTX_free(context);
}

/* Until one of the two ends, or the host. */
static void pass_on(relay *own, SSL *tls, int secret, int plain)
{
    char bytes[16384];
    for (;;) {
        struct pollfd ready[] = {
            {.fd = secret, .events = POLLIN},
            {.fd = plain, .events = POLLIN},
            {.fd = own->stop, .events = POLLIN},
        };
        if (SSL_pending(tls) == 0 && poll(ready, 3, -1) < 0)
            fail("poll");
        if (ready[2].revents != 0)
            return;
        if (SSL_pending(tls) > 0 || ready[0].revents != 0) {
            const int got = SSL_read(tls, bytes, sizeof bytes);
            if (got <= 0 && SSL_get_error(tls, got) != SSL_ERROR_WANT_READ)
                return;
            if (got > 0)
                own->in += got;
            write_all(plain, bytes, got);
        }
        if (ready[1].revents != 0) {
            const ssize_t got = read(plain, bytes, sizeof bytes);
            if (got <= 0 || SSL_write(tls, bytes, (int)got) <= 0)
                return;
            own->out += got;
        }
    }
}

static void *run_relay(void *data)
{
    relay *own = data;
    for (;;) {
        struct pollfd ready[] = {
            {.fd = own->listener, .events = POLLIN},
            {.fd = own->stop, .events = POLLIN},
        };
        if (poll(ready, 2, -1) < 0)
            fail("poll");
        if (ready[1].revents != 0)
            return NULL;
        const int secret = accept(own->listener, NULL, NULL);
        const int plain = connect_to(own->plain_port);
        SSL *tls = SSL_new(own->context);
        SSL_set_fd(tls, secret);
        SSL_clear_mode(tls, SSL_MODE_AUTO_RETRY); /* a record without data must not block */
        if (SSL_accept(tls) != 1)
            fail("SSL_accept");
        own->connections++;
        snprintf(own->version, sizeof own->version, "%s", SSL_get_version(tls));
        pass_on(own, tls, secret, plain);
        ERR_clear_error();
        SSL_shutdown(tls);
        SSL_free(tls);
        close(secret);
        close(plain);
    }
}

/* -- The host's SQLite ------------------------------------------------------------------------ */

static sqlite3 *open_database(const char *path, int flags)
{
    sqlite3 *database;
    if (sqlite3_open_v2(path, &database, flags, NULL) != SQLITE_OK)
        fail(sqlite3_errmsg(database));
    sqlite3_busy_timeout(database, 30000);
    return database;
}

static int count_rows(const char *path, const char *sql)
{
    sqlite3 *database = open_database(path, SQLITE_OPEN_READONLY);
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK
        || sqlite3_step(statement) != SQLITE_ROW)
        fail(sqlite3_errmsg(database));
    const int rows = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return rows;
}

static void execute(sqlite3 *database, const char *sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sqlite3_errmsg(database));
}

/* -- The library ------------------------------------------------------------------------------ */

static int port_of(const side *one)
{
    char url[64]; /* a copy, because views end without a NUL */
    snprintf(url, sizeof url, "%.*s", STAYLINE_ARG(stayline_server_url(one->server)));
    return atoi(strrchr(url, ':') + 1);
}

static void serve(side *one, const char *folder, const char *name, char **pair)
{
    char location[4104];
    stayline_error *error;
    stayline_server_options serving = stayline_server_options_default();
    if (snprintf(one->path, sizeof one->path, "%s/%s", folder, name) >= (int)sizeof one->path)
        fail("a path that long");
    snprintf(location, sizeof location, "sqlite:%s", one->path);
    check(stayline_coordinator_open(stayline_view_of(location), NULL, &one->coordinator, &error), &error);
    if (pair != NULL) {
        serving.tls_certificate = stayline_view_of(pair[0]);
        serving.tls_key = stayline_view_of(pair[1]);
    }
    check(stayline_coordinator_serve(one->coordinator, stayline_view_of("127.0.0.1:0"), &serving,
                                     &one->server, &error),
          &error);
}

static void start(side *one, int port)
{
    char url[64];
    stayline_error *error;
    stayline_execution_info started = {.struct_size = sizeof started};
    stayline_wrapper_options options = stayline_wrapper_options_default();
    check(stayline_coordinator_session(one->coordinator, stayline_view_of("s"), &one->session, &error),
          &error);
    check(stayline_session_start(one->session, NULL, &one->execution, &error), &error);
    check(stayline_execution_get(one->execution, &started, &error), &error);
    snprintf(url, sizeof url, "https://127.0.0.1:%d", port);
    options.url = stayline_view_of(url);
    options.session_id = started.session_id;
    options.execution_id = started.id;
    options.token = started.token;
    check(stayline_wrapper_open(&options, &one->wrapper, &error), &error);
    check(stayline_wrapper_wait_connected(one->wrapper, 60000, &error), &error);
}

static void say(side *one)
{
    stayline_error *error;
    check(stayline_wrapper_send(one->wrapper, stayline_view_of("output"),
                                stayline_view_of("{\"text\":\"hello\"}"), NULL, &error),
          &error);
    check(stayline_wrapper_flush(one->wrapper, 60000, &error), &error);
}

static void complete(side *one, const char *name)
{
    stayline_error *error;
    stayline_outcome outcome = {.struct_size = sizeof outcome};
    check(stayline_wrapper_complete(one->wrapper, 0, stayline_view_of(NULL), &error), &error);
    check(stayline_wrapper_outcome(one->wrapper, 60000, &outcome, NULL, &error), &error);
    printf("%s: %.*s, %d events\n", name,
           STAYLINE_ARG(stayline_execution_status_name(outcome.status)),
           count_rows(one->path, "SELECT count(*) FROM events WHERE event_type = 'output'"));
}

static void end(side *one)
{
    stayline_error *error;
    stayline_wrapper_free(one->wrapper);
    stayline_execution_free(one->execution);
    stayline_session_free(one->session);
    stayline_server_free(one->server);
    check(stayline_coordinator_close(one->coordinator, &error), &error);
    stayline_coordinator_free(one->coordinator);
}

/* -- The host --------------------------------------------------------------------------------- */

/* In which file the function is that the host's calls are bound to. */
static void tell_owner(const char *name)
{
    Dl_info found;
    void *address = dlsym(RTLD_DEFAULT, name);
    if (address == NULL || dladdr(address, &found) == 0)
        fail(name);
    const char *slash = strrchr(found.dli_fname, '/');
    printf("%s: %s\n", name, slash == NULL ? found.dli_fname : slash + 1);
}

int main(int count, char **arguments)
{
    static side ours, theirs;
    static relay own;
    pthread_t thread;
    int ends[2], port;
    char path[4096];
    if (count != 5) {
        fprintf(stderr, "usage: own_openssl FOLDER AUTHORITY CERTIFICATE KEY\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without asking for silence */
    printf("%s\n%s\n", OpenSSL_version(OPENSSL_VERSION_STRING), sqlite3_libversion());
    tell_owner("SSL_connect");
    tell_owner("EVP_DigestInit_ex");
    tell_owner("sqlite3_open_v2");
    tell_owner("stayline_coordinator_open");

    serve(&ours, arguments[1], "runs.db", arguments + 3);
    serve(&theirs, arguments[1], "behind.db", NULL);

    own.context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(own.context, arguments[3]) != 1
        || SSL_CTX_use_PrivateKey_file(own.context, arguments[4], SSL_FILETYPE_PEM) != 1)
        fail("the certificate and its key");
    own.listener = listen_somewhere(&port);
    own.plain_port = port_of(&theirs);
    if (pipe(ends) != 0)
        fail("pipe");
    own.stop = ends[0];
    if (pthread_create(&thread, NULL, run_relay, &own) != 0)
        fail("pthread_create");

    start(&ours, port_of(&ours));
    start(&theirs, port);
    ask_health(port_of(&ours), NULL, true);
    snprintf(path, sizeof path, "%s/host.db", arguments[1]);
    sqlite3 *database = open_database(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    execute(database, "PRAGMA journal_mode = wal");
    execute(database, "CREATE TABLE of_the_host (a)");
    for (int turn = 0; turn < TURNS; turn++) {
        say(&ours);
        say(&theirs);
        execute(database, "INSERT INTO of_the_host VALUES (1)");
        if (turn % 5 == 0)
            ask_health(port_of(&ours), arguments[2], turn == 0);
    }
    complete(&ours, "by the library's TLS");
    complete(&theirs, "by the host's TLS");
    sqlite3_close(database);
    printf("of the host: %d rows\n", count_rows(path, "SELECT count(*) FROM of_the_host"));
    /* The library's copy has its connections open, and counts for itself. */
    printf("memory of the host's SQLite: %lld\n", (long long)sqlite3_memory_used());

    end(&ours);
    end(&theirs);
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
    close(own.listener);
    SSL_CTX_free(own.context);
    printf("relay: %s, %s\n", own.version,
           own.connections > 0 && own.in > 0 && own.out > 0 ? "both ways" : "nothing");
    return 0;
}
