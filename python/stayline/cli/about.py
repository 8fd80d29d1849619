"""The texts of ``--help``: what a command is for, in examples first."""

from __future__ import annotations

STAYLINE = """\
Keeps long agent runs on the line: their status, their events, their clean-up.

  stayline demo                             see it hold through cuts and kills (half a minute)
  stayline run -- make test                 run a program and keep what it prints
  stayline watch                            see runs as they go; with SESSION, one session live
  stayline runs                             what ran here, and how it ended
  stayline events SESSION                   what one session said
  stayline timeline SESSION -o run.html     one picture of how its runs went
  stayline interrupt SESSION                ask the active run to stop
  stayline fail SESSION -m REASON           end it from outside
  stayline serve                            let wrappers and readers on other machines in

What reads works beside whoever owns the file, or, with --to URL, from a server.
`stayline COMMAND --help` says more; `stayline completion bash` teaches your shell.
"""

SERVE = """\
Runs a coordinator on an SQLite file and serves wrappers, readers and REST until Ctrl-C.

  stayline serve
  stayline serve --store sqlite:/var/lib/agents/runs.db --listen 127.0.0.1:9000
  STAYLINE_KEY=… stayline serve --listen 0.0.0.0:8787
  stayline serve --listen 0.0.0.0:8787 --key-file /run/secrets/stayline
  stayline serve --listen 0.0.0.0:8787 --new-key
  stayline serve --listen 0.0.0.0:443 --new-key --tls-certificate cert.pem --tls-key key.pem
  stayline serve --set disconnect_grace_ms=30000

One coordinator owns the file; `watch`, `runs`, `events` and `timeline` read it meanwhile.
A server that other machines can reach needs a key. A key on the command line can be read by
everybody on this machine: prefer STAYLINE_KEY or --key-file.

With --tls-certificate and --tls-key it speaks https:// and wss:// only; callers use a name that the
certificate is for. Where its authority is one of your own, name that authority's certificate to
them by SSL_CERT_FILE. Without, let nobody but this machine in, or a proxy that has TLS (caddy,
nginx, a load balancer), and give wrappers its https:// address.
"""

DEMO = """\
Shows in half a minute what this is for, with real processes, sockets and kills:

1. a program prints tens of thousands of lines while the network breaks a few times a second;
2. a run's processes are killed: it fails once, after its grace, and the next run starts;
3. the coordinator is killed in the middle of a run and started again: the run goes on.

Everything stays in a temporary folder and on the loopback interface. The exit code is 0 if
everything held.
"""

RUN = """\
Runs any program as one execution. Its output passes through unchanged; each line of its stdout
becomes an event: a JSON object as it is, anything else as `output`. Lines of stderr become events,
too (`"stream":"stderr"`), where stderr is no terminal or --stderr says so. Signals reach the
program. The exit code is the program's; 0 is `completed`, Ctrl-C or a stop `interrupted`, anything
else `failed`.

  stayline run -- python crawl.py --depth 3
  stayline run --session nightly -- make test
  stayline run --to http://127.0.0.1:8787 -- ./agent
  stayline run --to https://runs.example.org --session ID --execution ID -- ./agent

Without --to the events go to a file of their own below .stayline/ (`stayline runs` lists it).
With --to the execution is started through REST (key: STAYLINE_KEY), unless --execution names one
that is started already (token: STAYLINE_TOKEN). The program gets neither. When the connection
breaks, lines wait and are sent again; when too many wait, the program waits too. Nothing is
dropped.
"""

EVENTS = """\
Prints what was stored for a session, oldest first. Works while a coordinator owns the file.

  stayline events nightly
  stayline events nightly --types output,error --limit 20
  stayline events nightly --tail 50 --follow
  stayline events nightly --since 2026-03-07T12:00:00Z --until 2026-03-07T13:00:00Z
  stayline events nightly --after 1200 --json | jq .data
  stayline events nightly --to http://127.0.0.1:8787 --follow

--since and --until mean the event's own time: ISO 8601, or ms since 1970. With --json each line
is the event as readers of a server get it: eventId, executionId, streamEventType, timestamp, data.
"""

RUNS = """\
Lists executions, newest first. Works while a coordinator owns the file.

  stayline runs
  stayline runs --status failed
  stayline runs --store sqlite:/var/lib/agents/runs.db --json
  stayline runs --to http://127.0.0.1:8787 --session nightly

HEALTH says `no link` while no wrapper is connected to a running execution, and `gone` where
nobody owns its file any more. SEEN is how long ago the last sign of life was; `-` before the
first. A terminal that is too narrow loses columns, or gets some lines a run; a pipe always gets
the whole table.
"""

WATCH = """\
Shows what goes on, until Ctrl-C: all runs as a table, or one session's events as they come, with
its status, health, disconnects and resumes.

  stayline watch
  stayline watch nightly
  stayline watch nightly --until-end && echo it went well
  stayline watch nightly --to http://127.0.0.1:8787
  stayline watch nightly --json | jq .

Reads beside whoever owns the file, looking every --interval seconds; a server tells by itself.
`behind` in the last line is how many events were stored and not yet shown here. Without a
terminal, lines only. --json prints events as `events --json` does, and between them a record of
the type `state` (eventId 0) whenever status, health or connection change; without a session one
object, as `runs --json` prints, for each run that changed. --until-end ends with the active run:
exit code 0 when it completed, else 1.
"""

FAIL = """\
Ends the session's active execution, or the one named, as failed; its wrapper is told to stop.

  stayline fail nightly -m "machine is going away"
  stayline fail nightly exc_0198f0c1 -m "gave up" --to http://127.0.0.1:8787

An execution that has ended already stays as it is. A file that nobody owns is opened for it; when
a server owns it, the server is asked (key: STAYLINE_KEY). `stayline run` owns the file of its
program: stop that with Ctrl-C or `kill`.
"""

INTERRUPT = """\
Asks the session's active execution, or the one named, to stop. Its wrapper gets SIGTERM at once or,
when it is not connected, as soon as it is; SIGKILL follows after --grace seconds.

  stayline interrupt nightly
  stayline interrupt nightly --grace 120
  stayline interrupt nightly --escalate --to http://127.0.0.1:8787

A file that nobody owns is opened for it; when a server owns it, the server is asked (key:
STAYLINE_KEY). `stayline run` owns the file of its program: stop that with Ctrl-C or `kill`.
"""

TIMELINE = """\
Draws how a session's runs went: pending, running, cuts and resumes, bursts of events, the ending,
and what came too late.

  stayline timeline nightly                 in characters
  stayline timeline nightly -o run.html     a page of its own, light and dark
  stayline timeline nightly -o run.svg --execution exc_0198f0c1

Runs that go on are drawn up to now. Works while a coordinator owns the file.
"""

COMPLETION = """\
Prints what your shell needs to complete commands, options, statuses and sessions.

  stayline completion bash > ~/.local/share/bash-completion/completions/stayline
  stayline completion zsh > "${fpath[1]}/_stayline"
  stayline completion fish > ~/.config/fish/completions/stayline.fish
  source <(stayline completion bash)        only for now
"""
