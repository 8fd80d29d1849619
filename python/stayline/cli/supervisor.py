"""The main thread of ``stayline run``: waits for everything, and decides what each thing means.

What can come, in any order: a signal of the system (passed on to the program, unless the terminal
has sent it to both; Ctrl-C and its like make the run an interrupted one), a kill from the
coordinator (the program is stopped, SIGTERM first), the end of the execution (somebody else ended
it: the program is stopped, so that it does not work on beside the next run), the wrapper giving up
(the program goes on; what can no longer be sent is counted), the end of the program.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import stayline
from stayline.cli import processes, waiting
from stayline.cli.child import Child
from stayline.cli.console import count
from stayline.cli.relay import Relay
from stayline.cli.signals import Arrival, SignalWatch, name_of
from stayline.cli.swept import ServedStore
from stayline.cli.teller import Teller

#: Signals that ask for an end.
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

#: A program that works on for longer than this many seconds after Ctrl-C has not taken it for its
#: end, and how it ends later is its own affair.
_OUTLIVED = 10.0

#: Seconds by which the news of a program's end may overtake the signal that ended it, at most and
#: commonly.
_SAME_MOMENT = 0.5
_OVERTAKEN = 0.05

#: Seconds for what a program has printed to get out, once it was given up.
_ABANDONED = 2.0

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
    #: The wrapper gave up by itself: it is let in no more, or was away for too long.
    refused: bool = False
    #: Stderr takes nothing, and that was waited for until a stop came.
    unheard: bool = False

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
        trouble: Callable[[], str | None],
        served: ServedStore | None = None,
    ) -> None:
        self._child = child
        self._wrapper = wrapper
        self._watch = watch
        self._stop_grace = stop_grace
        #: Why the coordinator, where it is ours, stores nothing any more.
        self._trouble = trouble
        #: The store of a coordinator that is not ours, and what was told of it.
        self._served = served
        self._told_of_store: str | None = None
        self._teller = Teller()
        self._relay = Relay(child.outputs, wrapper, settings)
        #: The signal of the system that asked for an end.
        self._stop: Arrival | None = None
        self._stopped_at = 0.0
        self._ended_at = 0.0
        #: A stop came when nothing but the ending was left.
        self._stops_waiting = False
        #: When output that nobody takes is waited for no longer.
        self._abandon_at: float | None = None
        #: The coordinator asked for an end, or somebody else has ended the execution.
        self._killed = False
        self._kill_deadline: float | None = None
        self._ended: stayline.Ended | None = None
        self._replaced = False
        self._gave_up: str | None = None
        #: That was our own decision.
        self._stopped_trying = False
        self._listening = True
        #: What the wrapper had not got acknowledged when we closed it.
        self._left = 0

    def run(self) -> Report:
        """Returns when the program has ended and its execution's end is known or given up."""
        while not (self._child.exit_code is not None and self._is_read()):
            self._wait(self._timeout(), with_relay=True)
            self._escalate()
            if self._child.exit_code is not None:
                self._relay.program_ended()
        if self._killed:
            # Whatever the program started and left behind must not work on either.
            self._child.stop(signal.SIGKILL)
        self._child.close()
        if self._relay.finished:
            self._relay.close()
        if self._relay.error is not None:
            self._teller.tell(f"the output could not be passed on: {self._relay.error}")
        if self._relay.is_held and not self._killed:
            self._tell_holders()
        if self._child.shares_terminal and self._exit_code() != 0 and self._stop is None:
            # The news of its end may have overtaken what ended it.
            self._wait(_OVERTAKEN, with_relay=True)
        self._send_ending()
        report = self._report(self._settle())
        return report if self._all_told() else replace(report, unheard=True)

    def _all_told(self) -> bool:
        """Waits until all that was told is printed; false when a stop came first."""
        self._teller.close()
        while not self._teller.finishes(_OVERTAKEN):
            if self._stops_waiting or self._wait(0, with_relay=False):
                # A moment more, for who reads slowly.
                return self._teller.finishes(_SAME_MOMENT)
        return True

    def _is_read(self) -> bool:
        given_up = self._abandon_at is not None and time.monotonic() >= self._abandon_at
        return self._relay.finished or given_up

    def _tell_holders(self) -> None:
        holders = self._relay.holders
        who = processes.described(holders) if holders else "something that the program has started"
        self._teller.tell(
            f"{who} still has the program's output; what it prints from now on is not kept"
        )

    # --- while the program runs -----------------------------------------------------------------

    def _timeout(self) -> float:
        if self._kill_deadline is None:
            return _LOOK_AGAIN if self._child.exit_code is None else _LOOK_AGAIN / 5
        return min(_LOOK_AGAIN, max(0.0, self._kill_deadline - time.monotonic()))

    def _wait(self, timeout: float, *, with_relay: bool) -> list[Arrival]:
        """Waits for something to happen and takes it in; the stops among it are returned."""
        sources: list[int | waiting.HasFileno] = [self._watch]
        if with_relay and not self._relay.finished:
            sources.append(self._relay)
        if self._listening:
            sources.append(self._wrapper)
        waiting.readable(sources, timeout)
        arrived = self._watch.take()
        if with_relay:
            for arrival in arrived:
                self._pass_on(arrival)
        if self._child.poll() and not self._ended_at:
            self._ended_at = time.monotonic()
        self._listen()
        if self._gave_up is None and (trouble := self._trouble()) is not None:
            # It will not come back, so nothing is waited for.
            self._give_up(trouble)
        self._tell_of_store()
        stops = [arrival for arrival in arrived if arrival.number in _STOPS]
        return [arrival for arrival in stops if not self._has_ended_it(arrival)]

    def _tell_of_store(self) -> None:
        """Says once that the server stores nothing any more, and once that it does again."""
        trouble = None if self._served is None else self._served.trouble
        if trouble is None or trouble == self._told_of_store or self._gave_up is not None:
            return
        self._told_of_store = trouble
        self._teller.tell(
            f"the server stores nothing any more: {trouble}; {self._waiting()} until it does"
        )

    def _waiting(self) -> str:
        under_way = self._wrapper.buffered + self._wrapper.unacknowledged
        return f"{count(under_way, 'event')} {'waits' if under_way == 1 else 'wait'}"

    def _pass_on(self, arrival: Arrival) -> None:
        number = arrival.number
        if number == signal.SIGCHLD:
            return
        if number == signal.SIGWINCH:
            if self._child.pty is not None:
                self._child.pty.resize()
            return
        if self._child.exit_code is not None:
            if self._has_ended_it(arrival):
                self._stop, self._stopped_at = arrival, self._ended_at
            elif number in _STOPS and self._relay.finishes(_SAME_MOMENT):
                # The ending is all that is left to be sent.
                self._stops_waiting = True
            elif number in _STOPS:
                # Only its output still waits for the coordinator, or for whoever reads it, and not
                # any longer.
                self._give_up("given up while lines were waiting")
                self._abandon_at = self._abandon_at or time.monotonic() + _ABANDONED
            return
        if number in _STOPS:
            self._stop, self._stopped_at = arrival, time.monotonic()
        if not (arrival.from_terminal and self._child.shares_terminal):
            self._child.send(number)
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _has_ended_it(self, arrival: Arrival) -> bool:
        """Whether the program has ended of this one, which the terminal has sent to both."""
        is_shared = arrival.from_terminal and self._child.shares_terminal
        is_now = 0.0 < time.monotonic() - self._ended_at < _SAME_MOMENT
        is_first = self._stop in (None, arrival)
        return is_shared and is_now and is_first and arrival.number in _STOPS

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
        elif isinstance(told, stayline.Reconnecting):
            if self._served is not None:
                self._served.ask()
        elif isinstance(told, stayline.Reconnected):
            if self._served is not None:
                self._served.is_back()
            if self._told_of_store is not None:
                self._told_of_store = None
                self._teller.tell("the server stores again")
        elif isinstance(told, stayline.Ended):
            self._ended = told
        elif isinstance(told, stayline.Replaced):
            self._replaced = True
        elif isinstance(told, stayline.Disconnected):
            self._gave_up = told.reason

    def _kill(self, name: str) -> None:
        self._killed = True
        if name == "SIGKILL":
            self._child.stop(signal.SIGKILL)
        elif self._kill_deadline is None:
            self._child.stop(signal.SIGTERM)
            self._kill_deadline = time.monotonic() + self._stop_grace

    def _escalate(self) -> None:
        if self._kill_deadline is not None and time.monotonic() >= self._kill_deadline:
            self._kill_deadline = None
            if self._child.exit_code is None:
                self._child.stop(signal.SIGKILL)

    # --- after it ---------------------------------------------------------------------------------

    def _send_ending(self) -> None:
        """Tells the coordinator how the run ended, unless it knows better already."""
        if self._replaced or self._gave_up is not None:
            return
        try:
            if self._killed or self._ended is not None:
                self._wrapper.aborted()
            elif self._interrupted():
                self._wrapper.interrupted(self._reason(), exit_code=self._exit_code(), timeout=0)
            elif self._exit_code() == 0:
                self._wrapper.complete(0, timeout=0)
            else:
                self._wrapper.fail(self._how(), exit_code=self._exit_code(), timeout=0)
        except (stayline.Timeout, stayline.Closed, stayline.Disconnected, stayline.Superseded):
            # Under way, or over already, in whatever way; `_settle` finds out.
            pass

    def _interrupted(self) -> bool:
        if self._child.exit_code == -signal.SIGINT:
            return True
        # On a terminal of its own Ctrl-C reaches the program without passing us, and a shell there
        # tells of it in its exit code. Elsewhere that is a number like any other.
        if self._child.pty is not None and self._exit_code() == 128 + signal.SIGINT:
            return True
        if self._stop is None:
            return False
        is_outlived = self._ended_at - self._stopped_at > _OUTLIVED
        return self._stop.number != signal.SIGINT or not is_outlived

    def _reason(self) -> str:
        if self._stop is None or self._stop.number == signal.SIGINT:
            return "User interrupted"
        return f"Stopped by {self._stop.name}"

    def _how(self) -> str:
        return f"exit code {self._exit_code()}"

    def _settle(self) -> stayline.Ended | None:
        """Waits until the coordinator has everything; a stop meanwhile gives the rest up."""
        began = time.monotonic()
        told = False
        while self._gave_up is None:
            try:
                ended = self._wrapper.outcome(timeout=0)
                # On a late link what the program has said still goes out (R10a).
                if self._wrapper.state == "closed":
                    return ended
            except stayline.Timeout:
                pass
            except stayline.Superseded:
                self._replaced = True
                return None
            except (stayline.Disconnected, stayline.Closed) as error:
                self._gave_up = getattr(error, "reason", str(error))
                return None
            if self._wait(_LOOK_AGAIN, with_relay=False) or self._stops_waiting:
                self._give_up("given up before everything was acknowledged")
            if not told and time.monotonic() - began > _PATIENCE and sys.stderr.isatty():
                waiting = count(self._wrapper.buffered + self._wrapper.unacknowledged, "event")
                self._teller.tell(
                    f"waiting for the coordinator to take {waiting}; Ctrl-C gives them up"
                )
                told = True
        # Where only the rest was given up, how it ended is known all the same.
        with suppress(stayline.Error):
            return self._wrapper.outcome(timeout=0)
        return None

    def _give_up(self, reason: str) -> None:
        self._gave_up = reason
        self._stopped_trying = True
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
            refused=ended is None and self._gave_up is not None and not self._stopped_trying,
        )

    def _status(self, ended: stayline.Ended | None) -> str:
        if ended is not None:
            if ended.status is not None:
                return ended.status
            # Basic mode has no word for it; this is what was sent.
            if self._killed or self._interrupted():
                return "interrupted"
            return "completed" if self._exit_code() == 0 else "failed"
        return "replaced" if self._replaced else "disconnected"

    def _detail(self, ended: stayline.Ended | None) -> str:
        code = self._child.exit_code
        if code is not None and code < 0 and ended is not None and ended.error == self._how():
            return f"{self._how()}, {name_of(-code)}"
        if ended is not None and ended.error:
            return ended.error
        if self._replaced:
            return "another wrapper has taken over"
        if ended is None and self._gave_up:
            return self._gave_up
        return f"exit code {self._exit_code()}"
