/*
 * Every way in for a name, a type, a token, an address, each with each text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "values.h"

static stayline_wrapper *wrapper_to_nowhere(void) {
    stayline_wrapper_options options = nowhere();
    return opened(&options);
}

static stayline_sansio *machine(void) {
    stayline_sansio *sansio = NULL;
    must(stayline_sansio_new(NULL, NULL, &sansio, NULL));
    must(stayline_sansio_open(sansio, VIEW("e"), false, 0, NULL));
    return sansio;
}

#define WAY(name) static stayline_status name(world *w, stayline_view v, stayline_error **e)
#define UNUSED (void)w

WAY(open_it) {
    UNUSED;
    stayline_coordinator *made = NULL;
    stayline_status status = stayline_coordinator_open(v, NULL, &made, e);
    stayline_coordinator_free(made);
    return status;
}
WAY(open_path) {
    static const char folder[] = "sqlite:/nowhere/";
    const size_t length = sizeof folder - 1;
    char *path = malloc(length + v.len);
    memcpy(path, folder, length);
    memcpy(path + length, v.data, v.len);
    stayline_status status = open_it(w, (stayline_view){path, length + v.len}, e);
    free(path);
    return status;
}
WAY(session_id) {
    stayline_session *made = NULL;
    stayline_status status = stayline_coordinator_session(w->owner, v, &made, e);
    stayline_session_free(made);
    return status;
}
WAY(issue_ticket) {
    stayline_buffer ticket = {NULL, 0};
    stayline_status status = stayline_coordinator_issue_ticket(w->owner, v, 1000, &ticket, e);
    stayline_buffer_free(&ticket);
    return status;
}
WAY(verify_ticket) { return stayline_coordinator_verify_ticket(w->owner, VIEW("s"), v, e); }

static stayline_status served(world *w, stayline_view address, stayline_server_options *options,
                              stayline_error **e) {
    stayline_server *server = NULL;
    stayline_status status = stayline_coordinator_serve(w->owner, address, options, &server, e);
    stayline_server_free(server);
    return status;
}
#define SERVE(name, field)                                               \
    WAY(name) {                                                          \
        stayline_server_options options = stayline_server_options_default(); \
        options.field = v;                                               \
        return served(w, VIEW("127.0.0.1:0"), &options, e);              \
    }
SERVE(serve_key, key)
SERVE(serve_base_path, base_path)
WAY(serve_address) {
    stayline_server_options options = stayline_server_options_default();
    return served(w, v, &options, e);
}
WAY(serve_origin) {
    stayline_server_options options = stayline_server_options_default();
    options.allowed_origins = &v;
    options.allowed_origins_count = 1;
    return served(w, VIEW("127.0.0.1:0"), &options, e);
}
WAY(serve_certificate) {
    stayline_server_options options = stayline_server_options_default();
    options.tls_certificate = v;
    options.tls_key = v;
    return served(w, VIEW("127.0.0.1:0"), &options, e);
}

#define START(name, field)                                                 \
    WAY(name) {                                                            \
        stayline_session *other = NULL;                                    \
        must(stayline_coordinator_session(w->owner, VIEW("t"), &other, NULL)); \
        stayline_start_options options = stayline_start_options_default(); \
        options.field = v;                                                 \
        stayline_execution *made = NULL;                                   \
        stayline_status status = stayline_session_start(other, &options, &made, e); \
        stayline_execution_free(made);                                     \
        stayline_session_free(other);                                      \
        return status;                                                     \
    }
START(start_id, execution_id)
START(start_mode, mode)
START(start_token, token)

#define ATTACH(name, field)                                                  \
    WAY(name) {                                                              \
        stayline_attach_options options = stayline_attach_options_default(); \
        options.execution_id = VIEW("e");                                    \
        options.token = VIEW("t");                                           \
        options.acknowledged = true;                                         \
        options.producer = VIEW("p");                                        \
        options.attempt = 1;                                                 \
        options.field = v;                                                   \
        stayline_link *made = NULL;                                          \
        stayline_status status = stayline_session_attach(w->session, &options, &made, e); \
        stayline_link_free(made);                                            \
        return status;                                                       \
    }
ATTACH(attach_id, execution_id)
ATTACH(attach_token, token)
ATTACH(attach_producer, producer)

WAY(fail_id) { return stayline_session_fail(w->session, v, VIEW("m"), NULL, NULL, e); }
WAY(fail_type) {
    stayline_fail_options options = stayline_fail_options_default();
    options.event_type = v;
    return stayline_session_fail(w->session, VIEW("e"), VIEW("m"), &options, NULL, e);
}
WAY(fail_payload) {
    stayline_fail_options options = stayline_fail_options_default();
    options.payload = v;
    return stayline_session_fail(w->session, VIEW("e"), VIEW("m"), &options, NULL, e);
}
WAY(finish_id) {
    return stayline_session_finish(w->session, v, STAYLINE_EXECUTION_STATUS_FAILED,
                                   (stayline_view){NULL, 0}, STAYLINE_NONE, e);
}
WAY(interrupt) {
    stayline_interrupt_options options = stayline_interrupt_options_default();
    options.execution_id = v;
    return stayline_session_interrupt(w->session, &options, NULL, e);
}
WAY(clear_interrupt) { return stayline_session_clear_interrupt(w->session, v, e); }
WAY(heartbeat) { return stayline_session_heartbeat(w->session, v, e); }

static stayline_status leased(world *w, stayline_view id, stayline_view message, stayline_error **e) {
    stayline_lease *lease = NULL;
    stayline_status status = stayline_session_lease(w->session, VIEW("e"), id, message, &lease, e);
    stayline_lease_free(lease);
    return status;
}
WAY(lease) { return leased(w, v, (stayline_view){NULL, 0}, e); }
WAY(lease_message) { return leased(w, VIEW("l"), v, e); }
WAY(extend_lease) {
    stayline_lease *made = NULL;
    stayline_status status = stayline_session_extend_lease(w->session, VIEW("e"), v, &made, e);
    stayline_lease_free(made);
    return status;
}
WAY(release_lease) { return stayline_session_release_lease(w->session, v, VIEW("l"), e); }
WAY(execution) {
    stayline_execution *found = NULL;
    stayline_status status = stayline_session_execution(w->session, v, &found, e);
    stayline_execution_free(found);
    return status;
}
WAY(status_of) {
    int32_t status = 0;
    return stayline_session_status(w->session, v, &status, e);
}
WAY(health_of) {
    int32_t health = 0;
    return stayline_session_health(w->session, v, &health, e);
}
WAY(events_type) {
    stayline_event_filter filter = stayline_event_filter_default();
    filter.types = &v;
    filter.types_count = 1;
    stayline_events *events = NULL;
    stayline_status status = stayline_session_events(w->session, &filter, &events, e);
    stayline_events_free(events);
    return status;
}
WAY(count_events) {
    stayline_event_filter filter = stayline_event_filter_default();
    filter.executions = &v;
    filter.executions_count = 1;
    uint64_t count = 0;
    return stayline_session_count_events(w->session, &filter, &count, e);
}
#define SUBSCRIBE(name, field)                                                     \
    WAY(name) {                                                                    \
        stayline_subscribe_options options = stayline_subscribe_options_default(); \
        options.field = v;                                                         \
        stayline_subscription *made = NULL;                                        \
        stayline_status status = stayline_session_subscribe(w->session, &options, &made, e); \
        stayline_subscription_free(made);                                          \
        return status;                                                             \
    }
SUBSCRIBE(subscribe_until, until)
SUBSCRIBE(subscribe_epoch, epoch)

#define WRAP(name, field)                                              \
    WAY(name) {                                                        \
        UNUSED;                                                        \
        stayline_wrapper_options options = nowhere();                  \
        options.field = v;                                             \
        stayline_wrapper *made = NULL;                                 \
        stayline_status status = stayline_wrapper_open(&options, &made, e); \
        stayline_wrapper_free(made);                                   \
        return status;                                                 \
    }
WRAP(wrapper_url, url)
WRAP(wrapper_session, session_id)
WRAP(wrapper_execution, execution_id)
WRAP(wrapper_token, token)
WRAP(wrapper_proxy, proxy)

#define WITH_WRAPPER(name, call)                          \
    WAY(name) {                                           \
        UNUSED;                                           \
        stayline_wrapper *wrapper = wrapper_to_nowhere(); \
        stayline_status status = call;                    \
        stayline_wrapper_free(wrapper);                   \
        return status;                                    \
    }
WITH_WRAPPER(send_type, stayline_wrapper_try_send(wrapper, v, VIEW("{}"), NULL, e))
WITH_WRAPPER(send_data, stayline_wrapper_try_send(wrapper, VIEW("output"), v, NULL, e))
WITH_WRAPPER(complete_branch, stayline_wrapper_complete(wrapper, 0, v, e))
WITH_WRAPPER(agent_event_type, stayline_wrapper_agent_event(wrapper, v, VIEW("{}"), e))
WITH_WRAPPER(agent_event_properties, stayline_wrapper_agent_event(wrapper, VIEW("x"), v, e))
WITH_WRAPPER(task_done, stayline_wrapper_task_done(wrapper, v, true, e))

#define JOB(name, ...)                                                     \
    WAY(name) {                                                            \
        UNUSED;                                                            \
        stayline_wrapper *wrapper = wrapper_to_nowhere();                  \
        stayline_job job = stayline_job_default();                         \
        __VA_ARGS__;                                                       \
        stayline_status status = stayline_wrapper_start_job(wrapper, &job, e); \
        stayline_wrapper_free(wrapper);                                    \
        return status;                                                     \
    }
JOB(job_execution, job.execution_id = v)
JOB(job_agent_session, job.agent_session = v)
JOB(job_branch, job.branch = v)
JOB(job_task, job.tasks = &v; job.tasks_count = 1)

#define SETTING(name, setting, text)                                           \
    WAY(name) {                                                                \
        UNUSED;                                                                \
        stayline_settings *settings = NULL;                                    \
        must(stayline_settings_new(&settings, NULL));                          \
        stayline_status status = stayline_settings_set(settings, setting, text, e); \
        stayline_settings_free(settings);                                      \
        return status;                                                         \
    }
SETTING(setting_name, v, VIEW("1"))
SETTING(setting_value, VIEW("overflow"), v)

WAY(receive) {
    stayline_link *link = linked(w);
    stayline_status status = stayline_link_receive(link, v, e);
    stayline_link_free(link);
    return status;
}
WAY(receive_many) {
    stayline_link *link = linked(w);
    const stayline_view frames[] = {VIEW("{}"), v};
    stayline_status status = stayline_link_receive_many(link, frames, 2, e);
    stayline_link_free(link);
    return status;
}

#define WITH_MACHINE(name, call)                \
    WAY(name) {                                 \
        UNUSED;                                 \
        stayline_sansio *sansio = machine();    \
        stayline_status status = call;          \
        stayline_sansio_free(sansio);           \
        return status;                          \
    }
WAY(sansio_open) {
    UNUSED;
    stayline_sansio *sansio = NULL;
    must(stayline_sansio_new(NULL, NULL, &sansio, NULL));
    stayline_status status = stayline_sansio_open(sansio, v, false, 0, e);
    stayline_sansio_free(sansio);
    return status;
}
WITH_MACHINE(sansio_type, stayline_sansio_send(sansio, v, VIEW("{}"), NULL, 0, e))
WITH_MACHINE(sansio_data, stayline_sansio_send(sansio, VIEW("output"), v, NULL, 0, e))
WITH_MACHINE(sansio_frame, stayline_sansio_handle_frame(sansio, 1, v, 0, e))
WITH_MACHINE(sansio_agent_event, stayline_sansio_handle_agent_event(sansio, VIEW("x"), v, 0, e))

#define ROW(name) {#name, name}
static const struct {
    const char *name;
    stayline_status (*try)(world *, stayline_view, stayline_error **);
} ways[] = {
    ROW(open_it), ROW(open_path), ROW(session_id), ROW(issue_ticket), ROW(verify_ticket),
    ROW(serve_address), ROW(serve_key), ROW(serve_origin), ROW(serve_base_path),
    ROW(serve_certificate), ROW(start_id), ROW(start_mode), ROW(start_token), ROW(attach_id),
    ROW(attach_token), ROW(attach_producer), ROW(fail_id), ROW(fail_type), ROW(fail_payload),
    ROW(finish_id), ROW(interrupt), ROW(clear_interrupt), ROW(heartbeat), ROW(lease),
    ROW(lease_message), ROW(extend_lease), ROW(release_lease), ROW(execution), ROW(status_of),
    ROW(health_of), ROW(events_type), ROW(count_events), ROW(subscribe_until),
    ROW(subscribe_epoch), ROW(wrapper_url), ROW(wrapper_session), ROW(wrapper_execution),
    ROW(wrapper_token), ROW(wrapper_proxy), ROW(send_type), ROW(send_data), ROW(complete_branch),
    ROW(agent_event_type), ROW(agent_event_properties), ROW(task_done), ROW(job_execution),
    ROW(job_agent_session), ROW(job_branch), ROW(job_task), ROW(setting_name),
    ROW(setting_value), ROW(receive), ROW(receive_many), ROW(sansio_open), ROW(sansio_type),
    ROW(sansio_data), ROW(sansio_frame), ROW(sansio_agent_event),
};

void try_texts(void) {
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        for (size_t kind = 0; kind < TEXTS; kind++) {
            world w = begin();
            stayline_error *error = NULL;
            stayline_status status = ways[way].try(&w, texts[kind].value, &error);
            print_answer(ways[way].name, texts[kind].name, status, error);
            end(w);
        }
    }
}
