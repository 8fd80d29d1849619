/* What the examples share: going no further when a call fails, and printing texts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STAYLINE_EXAMPLE_H
#define STAYLINE_EXAMPLE_H

#include <stayline.h>
#include <stdio.h>
#include <stdlib.h>

/* For printf's %.*s: a view does not end with a NUL. */
#define TEXT(view) (int)(view).len, (view).data

/* Where calls leave their error. A host with several threads has one in each function. */
static stayline_error *error;

static void check(stayline_status status)
{
    if (status != STAYLINE_STATUS_OK) {
        fprintf(stderr, "%.*s: %.*s\n", TEXT(stayline_error_name(error)),
                TEXT(stayline_error_message(error)));
        stayline_error_free(error);
        exit(1);
    }
}

#endif
