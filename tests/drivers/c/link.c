/* Links: what arrives on them, and what they put out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

static cJSON *attach(driver *driver, request *request)
{
    stayline_attach_options options = stayline_attach_options_default();
    stayline_session *session;
    stayline_link *link = NULL;
    stayline_view name;

    options.execution_id = argument_text(request, "execution");
    options.token = argument_optional_text(request, "token");
    options.acknowledged = argument_flag(request, "acknowledged");
    options.producer = argument_optional_text(request, "producer");
    options.attempt = argument_optional_number(request, "attempt", UINT64_MAX, 0);
    name = argument_text(request, "link");
    session = named_session(driver, request);
    if (request_is_fine(request) &&
        request_called(request,
                       stayline_session_attach(session, &options, &link, &request->refusal))) {
        registry_put(&driver->links, name, link);
    }
    stayline_session_free(session);
    return NULL;
}

static stayline_link *named_link(driver *driver, request *request)
{
    stayline_view name = argument_text(request, "link");
    stayline_link *link = NULL;

    if (request_is_fine(request)) {
        link = registry_get(&driver->links, name);
        if (link == NULL) {
            request_bad(request, "there is no link \"%s\"", name.data);
        }
    }
    return link;
}

static cJSON *receive(driver *driver, request *request)
{
    stayline_link *link = named_link(driver, request);
    stayline_view text = argument_text(request, "text");

    if (request_is_fine(request)) {
        request_called(request, stayline_link_receive(link, text, &request->refusal));
    }
    return NULL;
}

static cJSON *receive_binary(driver *driver, request *request)
{
    stayline_link *link = named_link(driver, request);
    size_t bytes = (size_t)argument_number(request, "bytes", SIZE_MAX);

    if (request_is_fine(request)) {
        request_called(request, stayline_link_receive_binary(link, bytes, &request->refusal));
    }
    return NULL;
}

static cJSON *link_closed(driver *driver, request *request)
{
    stayline_link *link = named_link(driver, request);
    uint16_t code = (uint16_t)argument_number(request, "code", UINT16_MAX);
    stayline_view reason = argument_text(request, "reason");

    if (request_is_fine(request)) {
        request_called(request, stayline_link_closed(link, code, reason, &request->refusal));
    }
    return NULL;
}

/* Says what an output says, and frees it. */
static cJSON *output_json(request *request, stayline_output *output)
{
    stayline_output_info info;
    cJSON *json = json_object();

    info.struct_size = sizeof(info);
    if (request_called(request, stayline_output_get(output, &info, &request->refusal))) {
        if (info.kind == STAYLINE_OUTPUT_KIND_SEND) {
            json_with(json, "send", json_text(info.text));
        } else {
            cJSON *close = json_with(json_object(), "code", json_number(info.code));

            json_with(json, "close", json_with(close, "reason", json_text(info.text)));
        }
    }
    stayline_output_free(output);
    return json;
}

static cJSON *link_outputs(driver *driver, request *request)
{
    stayline_link *link = named_link(driver, request);
    stayline_output *output = NULL;
    cJSON *json = json_list();

    while (
        request_is_fine(request) &&
        request_called(request, stayline_link_next_output(link, 0, &output, &request->refusal)) &&
        output != NULL) {
        json_append(json, output_json(request, output));
    }
    return json;
}

const operation_entry link_operations[] = {
    {"attach", attach},
    {"receive", receive},
    {"receive_binary", receive_binary},
    {"link_closed", link_closed},
    {"link_outputs", link_outputs},
    {NULL, NULL},
};
