"""A host in its plainest form: the built-in server, one run, and its events as they come.

Wrappers connect to the server that `coordinator.serve` starts; the host launches its sandbox, here
a process on this machine, and watches. Cut the connection, or stop the agent for a while: the run
goes on where it was. Kill the agent: the run fails once, and says so.

    python examples/plain_host.py [sqlite:runs.db]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import stayline

AGENT = Path(__file__).with_name("agent.py")


def main(location: str = "memory:") -> int:
    """Hosts one run to its end; 0 when it completed."""
    with stayline.Coordinator(location) as coordinator, coordinator.serve() as server:
        print(f"serving at {server.url}", flush=True)
        session = coordinator.session("user_1:agent_1")
        with session.launch(mode="code") as execution:
            # If this raises the run has failed, cleanly, and nobody waits for it.
            agent = start_agent(server.url, session.id, execution.id, str(execution.token))
        for event in session.stream(until=execution.id):
            print(f"{event.id:>3} {event.type} {event.raw_data}", flush=True)
        agent.wait()
        ended = session.execution(execution.id)
        print(f"{ended.status}{': ' + ended.error if ended.error else ''}", flush=True)
        for notification in coordinator.notifications(timeout=0):
            # Here a host tells its users; what is not acknowledged comes again.
            notification.ack()
        return 0 if ended.status == "completed" else 1


def start_agent(*words: str) -> subprocess.Popen[bytes]:
    """Starts the sandbox. Yours is a container, a pod, or a call to somebody's cloud."""
    return subprocess.Popen([sys.executable, str(AGENT), *words])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
