/* Starting an agent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STAYLINE_EXAMPLE_LAUNCH_H
#define STAYLINE_EXAMPLE_LAUNCH_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

/* Starts a program with a socket for its input and output, and gives the other end. */
static pid_t launch(char **command, int *socket_to_child)
{
    int pair[2];
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || (child = fork()) < 0) {
        perror("launch");
        exit(1);
    }
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    fcntl(pair[1], F_SETFD, FD_CLOEXEC);
    if (child == 0) {
        dup2(pair[1], STDIN_FILENO);
        dup2(pair[1], STDOUT_FILENO);
        execvp(command[0], command);
        _exit(127);
    }
    close(pair[1]);
    *socket_to_child = pair[0];
    return child;
}

#endif
