/* An agent for poll_host: it counts, and stops when it is told to. It needs nothing of Stayline;
 * what it writes are frames, one a line.
 *
 *     poll_agent [COUNT]       ends by itself after COUNT events
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    long most = count > 1 ? strtol(arguments[1], NULL, 10) : -1;
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    char command[4096];
    long number;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (number = 1; most < 0 || number <= most; number++) {
        printf("{\"streamEventType\":\"output\",\"data\":{\"number\":%ld}}\n", number);
        /* Its work: a moment for each number, and always an ear for commands. */
        if (poll(&input, 1, 20) > 0) {
            if (fgets(command, sizeof(command), stdin) == NULL) {
                return 1; /* The host is gone. */
            }
            if (strstr(command, "\"kill\"") != NULL) {
                puts("{\"streamEventType\":\"interrupted\",\"data\":{\"reason\":\"as you wish\"}}");
                return 0;
            }
        }
    }
    puts("{\"streamEventType\":\"complete\",\"data\":{\"exitCode\":0}}");
    return 0;
}
