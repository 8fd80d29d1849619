"""The main thread of ``stayline run``: waits for everything, and decides what each thing means.

What can come, in any order: a signal of the system (passed on to the program; Ctrl-C and its like
make the run an interrupted one), a kill from the coordinator (the program is stopped, SIGTERM
first), the end of the execution (somebody else ended it: the program is stopped, so that it does
not work on beside the next run), the wrapper giving up (the program goes on; what can no longer be
sent is counted), the end of the program.
"""

from __future__ import annotations

import select
import signal
import sys
import time
from dataclasses import dataclass

import stayline
from stayline.cli.child import Child
from stayline.cli.console import complain, count
from stayline.cli.relay import Relay
from stayline.cli.signals import SignalWatch

#: Signals that ask for an end.
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds between looks, for what has no descriptor to wait for.
_LOOK_AGAIN = 0.25

#: Seconds of waiting for the coordinator after which people are told why nothing happens.
_PATIENCE = 3.0


@dataclass(frozen=True)
class Report:
    """How it ended."""

    #: The execution's status, or what stands in its place.
    status: str
    #: Why, in a few words; may be empty.
    detail: str
    #: The program's exit code, as a shell tells it.
    exit_code: int
    #: Events made from the program's output.
    events: int
    #: Of these and the ending: how many the coordinator never acknowledged.
    lost: int
    reconnects: int

    @property
    def trouble(self) -> bool:
        """Whether people should hear of it even when they asked for quiet."""
        return self.lost > 0 or self.status not in ("completed", "interrupted")


class Supervisor:
    """Watches over one program and its wrapper until both are done."""

    def __init__(
        self,
        child: Child,
        wrapper: stayline.Wrapper,
        watch: SignalWatch,
        settings: stayline.Settings,
        stop_grace: float,
    ) -> None:
        self._child = child
        self._wrapper = wrapper
        self._watch = watch
        self._stop_grace = stop_grace
        self._relay = Relay(child.output, wrapper, settings)
        #: The signal of the system that asked for an end.
        self._stop: signal.Signals | None = None
        #: The coordinator asked for an end, or somebody else has ended the execution.
        self._killed = False
        self._kill_deadline: float | None = None
        self._ended: stayline.Ended | None = None
        self._replaced = False
        self._gave_up: str | None = None
        self._listening = True
        #: What the wrapper had not got acknowledged when we closed it.
        self._left = 0

    def run(self) -> Report:
        """Returns when the program has ended and its execution's end is known or given up."""
        while not (self._child.exit_code is not None and self._relay.finished):
            self._wait(self._timeout(), with_relay=True)
            self._escalate()
            if self._child.poll():
                self._relay.program_ended()
        if self._killed:
            # Whatever the program started and left behind must not work on either.
            self._child.send(signal.SIGKILL)
        self._relay.close()
        if self._relay.error is not None:
            complain(f"the output could not be passed on: {self._relay.error}")
        self._send_ending()
        return self._report(self._settle())

    # --- while the program runs -----------------------------------------------------------------

    def _timeout(self) -> float:
        if self._kill_deadline is None:
            return _LOOK_AGAIN if self._child.exit_code is None else _LOOK_AGAIN / 5
        return min(_LOOK_AGAIN, max(0.0, self._kill_deadline - time.monotonic()))

    def _wait(self, timeout: float, *, with_relay: bool) -> list[signal.Signals]:
        """Waits for something to happen and takes it in; the stops among it are returned."""
        sources: list[SignalWatch | Relay | stayline.Wrapper] = [self._watch]
        if with_relay and not self._relay.finished:
            sources.append(self._relay)
        if self._listening:
            sources.append(self._wrapper)
        select.select(sources, [], [], timeout)
        stops = [number for number in self._watch.take() if number in _STOPS]
        if with_relay:
            for number in stops:
                self._pass_on(number)
        self._listen()
        return stops

    def _pass_on(self, number: signal.Signals) -> None:
        if self._child.exit_code is None:
            self._stop = number
            self._child.send(number)
        else:
            # It has ended; only its output still waits for the coordinator, and not any longer.
            self._give_up("given up while lines were waiting")

    def _listen(self) -> None:
        """Takes in what the wrapper tells."""
        if not self._listening:
            return
        while True:
            try:
                told = self._wrapper.try_signal()
            except stayline.Closed:
                told = None
            if told is None:
                # After the last signal the descriptor would stay readable for ever.
                self._listening = self._wrapper.state != "closed"
                return
            self._take(told)

    def _take(self, told: stayline.Signal) -> None:
        if isinstance(told, stayline.Kill):
            # A wrapper that gave up stops nobody: the output still passes through.
            if self._gave_up is None:
                self._kill(told.signal)
        elif isinstance(told, stayline.Ended):
            self._ended = told
        elif isinstance(told, stayline.Replaced):
            self._replaced = True
        elif isinstance(told, stayline.Disconnected):
            self._gave_up = told.reason

    def _kill(self, name: str) -> None:
        self._killed = True
        if name == "SIGKILL":
            self._child.send(signal.SIGKILL)
        elif self._kill_deadline is None:
            self._child.send(signal.SIGTERM)
            self._kill_deadline = time.monotonic() + self._stop_grace

    def _escalate(self) -> None:
        if self._kill_deadline is not None and time.monotonic() >= self._kill_deadline:
            self._kill_deadline = None
            if self._child.exit_code is None:
                self._child.send(signal.SIGKILL)

    # --- after it ---------------------------------------------------------------------------------

    def _send_ending(self) -> None:
        """Tells the coordinator how the run ended, unless it knows better already."""
        if self._ended is not None or self._replaced or self._gave_up is not None:
            return
        try:
            if self._killed:
                self._wrapper.aborted()
            elif self._interrupted():
                self._wrapper.interrupted(self._reason(), timeout=0)
            else:
                self._wrapper.complete(self._exit_code(), timeout=0)
        except (stayline.Timeout, stayline.Closed):
            # Under way, or over already; `_settle` finds out which.
            pass

    def _interrupted(self) -> bool:
        # On a terminal Ctrl-C reaches the program without passing us.
        return self._stop is not None or self._exit_code() == 128 + signal.SIGINT

    def _reason(self) -> str:
        if self._stop in (None, signal.SIGINT):
            return "User interrupted"
        assert self._stop is not None
        return f"Stopped by {self._stop.name}"

    def _settle(self) -> stayline.Ended | None:
        """Waits until the coordinator has everything; a stop meanwhile gives the rest up."""
        began = time.monotonic()
        told = False
        while self._gave_up is None:
            try:
                return self._wrapper.outcome(timeout=0)
            except stayline.Timeout:
                pass
            except stayline.Superseded:
                self._replaced = True
                return None
            except (stayline.Disconnected, stayline.Closed) as error:
                self._gave_up = getattr(error, "reason", str(error))
                return None
            if self._wait(_LOOK_AGAIN, with_relay=False):
                self._give_up("given up before everything was acknowledged")
            if not told and time.monotonic() - began > _PATIENCE and sys.stderr.isatty():
                waiting = count(self._wrapper.buffered + self._wrapper.unacknowledged, "event")
                complain(f"waiting for the coordinator to take {waiting}; Ctrl-C gives them up")
                told = True
        return None

    def _give_up(self, reason: str) -> None:
        self._gave_up = reason
        self._left = self._wrapper.close()

    def _exit_code(self) -> int:
        code = self._child.exit_code
        assert code is not None
        return code if code >= 0 else 128 - code

    def _report(self, ended: stayline.Ended | None) -> Report:
        left = max(self._left, self._wrapper.close(), ended.unacknowledged if ended else 0)
        return Report(
            status=self._status(ended),
            detail=self._detail(ended),
            exit_code=self._exit_code(),
            events=self._relay.sent + self._relay.refused,
            lost=left + self._relay.refused,
            reconnects=self._wrapper.reconnects,
        )

    def _status(self, ended: stayline.Ended | None) -> str:
        if ended is not None:
            if ended.status is not None:
                return ended.status
            # Basic mode has no word for it; this is what was sent.
            return "interrupted" if self._killed or self._interrupted() else "completed"
        return "replaced" if self._replaced else "disconnected"

    def _detail(self, ended: stayline.Ended | None) -> str:
        if ended is not None and ended.error:
            return ended.error
        if self._replaced:
            return "another wrapper has taken over"
        if ended is None and self._gave_up:
            return self._gave_up
        return f"exit code {self._exit_code()}"
