"""The wrapper's machine itself, without sockets, threads or a clock: for other transports.

Every ``handle_*`` call and every command is followed by emptying ``poll_action()``; then nothing
happens until the next input, or until ``next_deadline_ms()``, when ``handle_timeout`` is due.
Times are milliseconds of any clock that only goes forward::

    machine = sansio.Wrapper(settings)
    machine.open("exc_1", now_ms=clock())
    while machine.state != "closed":
        while (action := machine.poll_action()) is not None:
            match action:
                case sansio.Connect(attempt, execution_id, protocol, producer): ...
                case sansio.Write(attempt, text): ...
                case sansio.CloseAttempt(attempt, code, reason): ...
                case signal: ...  # what stayline.Wrapper.signals would give
        wait_for_input_or(machine.next_deadline_ms())

Each connection attempt has a number. Inputs name it, and those of an older attempt change
nothing, so a late socket can never disturb a newer one.
"""

from __future__ import annotations

from stayline._internal import CloseAttempt, Connect, Write
from stayline._internal import SansioWrapper as Wrapper

__all__ = ["CloseAttempt", "Connect", "Wrapper", "Write"]
