"""The program that ``stayline run`` runs: started, signalled, waited for.

Its stdout is a pipe, its stderr another one if its lines are kept, the rest is ours; with a
terminal of its own all three are that. It ends when we are killed, where the system can do that.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stayline._internal import _start_program
from stayline.cli import processes, terminal
from stayline.cli.terminal import Pty

#: With these a program could act on runs, its own among them.
_SECRETS = ("STAYLINE_KEY", "STAYLINE_TOKEN")

#: What Python sets LC_CTYPE to by itself (PEP 538).
_COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")

#: Whether the end of a child can be seen without giving its number away; macOS learns it with
#: Python 3.13. Elsewhere nothing is sent to its group after its end.
_CAN_LOOK = hasattr(os, "waitid")

#: The terminal stops a job with these, all of it.
_TERMINAL_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


@dataclass(frozen=True)
class Wiring:
    """How a program is connected."""

    #: A terminal of its own.
    pty: bool
    #: Lines of its stderr are kept, too.
    stderr: bool
    #: What it left behind comes to us, and is waited for.
    adopts: bool


class Child:
    """A started program. ``outputs`` are the reading ends of what it prints, by the descriptor that
    it is passed on to."""

    def __init__(self, program: Sequence[str], execution_id: str, wiring: Wiring) -> None:
        """Starts it; ``OSError`` when that does not work."""
        #: What its processes are known by.
        self.mark = secrets.token_hex(8)
        self._adopts = wiring.adopts
        self.pty = Pty() if wiring.pty else None
        #: A process group of its own; a terminal of its own comes with one.
        self._leads_group = self.pty is not None or not terminal.is_job()
        self.outputs: dict[int, int] = {}
        #: Its code, or minus a signal's number, once it has ended.
        self.exit_code: int | None = None
        #: Its number is no longer its own.
        self._is_reaped = False
        #: The program's ends of the pipes.
        ours: list[int] = []
        try:
            if self.pty is not None:
                descriptors = (self.pty.slave, self.pty.slave, self.pty.slave)
                self.outputs[1] = self.pty.master
                self.pty.starting()
            else:
                descriptors = (0, self._pipe(1, ours), self._pipe(2, ours) if wiring.stderr else 2)
            self.pid = _start_program(
                [os.fsencode(word) for word in program],
                _environment(execution_id, self.mark),
                descriptors,
                group=self._leads_group and self.pty is None,
                terminal=self.pty is not None,
            )
        except BaseException:
            for output in self.outputs.values():
                os.close(output)
            if self.pty is not None:
                os.close(self.pty.slave)
                self.pty.close()
            raise
        finally:
            for writer in ours:
                os.close(writer)
        if self.pty is not None:
            self.pty.started()

    def _pipe(self, target: int, ours: list[int]) -> int:
        self.outputs[target], writer = os.pipe()
        ours.append(writer)
        return writer

    def poll(self) -> bool:
        """Whether it has ended; ``exit_code`` is known then.

        It stays a zombie until ``close``, which keeps its number, and its group's, from being given
        to somebody else: signals are still sent there.
        """
        if self.exit_code is None:
            self._look()
        if self._adopts:
            self._reap_adopted()
        return self.exit_code is not None

    def _look(self) -> None:
        while self.exit_code is None and (told := _news_of(self.pid)) is not None:
            if told.stopped_by is not None:
                self._stopped(told.stopped_by)
            else:
                self.exit_code = told.exit_code
                self._is_reaped = not _CAN_LOOK

    def _stopped(self, number: int) -> None:
        if number not in _TERMINAL_STOPS:
            # Whoever stopped the program alone lets it go on alone.
            return
        if self.pty is not None:
            self.pty.suspended()
            self.send(signal.SIGCONT)
        else:
            # A shell's ``fg`` lets the whole job go on; elsewhere whoever stopped it does.
            terminal.stop_with_program()

    def _reap_adopted(self) -> None:
        """Waits for whatever else has ended and is ours to wait for."""
        while (pid := _ended_child()) is not None:
            if pid == self.pid and not self._is_reaped:
                # As long as it is there, it is named first.
                for other in _children():
                    if other != self.pid:
                        with suppress(ChildProcessError):
                            os.waitpid(other, os.WNOHANG)
                return
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    @property
    def shares_terminal(self) -> bool:
        """Whether what the terminal sends comes to it without us."""
        return not self._leads_group

    @property
    def _has_group(self) -> bool:
        """Whether its number is still that of its group."""
        return self._leads_group and not self._is_reaped

    def send(self, number: int) -> None:
        """Passes a signal on: to its group, if it leads one, otherwise to the program."""
        if not self._has_group and self.exit_code is not None:
            return
        send = os.killpg if self._has_group else os.kill
        with suppress(ProcessLookupError, PermissionError):
            send(self.pid, number)
            # A stopped program would not notice anything else.
            if number not in (signal.SIGKILL, signal.SIGTSTP):
                send(self.pid, signal.SIGCONT)

    def stop(self, number: int) -> None:
        """Sends it to the program and to everything that it has started."""
        self.send(number)
        for pid in processes.of_run(self.mark):
            with suppress(ProcessLookupError, PermissionError):
                has_it = self._has_group and os.getpgid(pid) == self.pid
                if pid != self.pid and not has_it:
                    os.kill(pid, number)

    def close(self) -> None:
        """Gives the terminal back, and the number of a program that has ended."""
        if self.exit_code is not None and not self._is_reaped:
            self._is_reaped = True
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        if self.pty is not None:
            self.pty.close()


@dataclass(frozen=True)
class _News:
    stopped_by: int | None = None
    exit_code: int | None = None


def _news_of(pid: int) -> _News | None:
    """What has become of a child since the last time. Its end is told again and again: it stays a
    zombie, where the system can do that."""
    with suppress(ChildProcessError):
        if not _CAN_LOOK:
            found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if found and os.WIFSTOPPED(status):
                return _News(stopped_by=os.WSTOPSIG(status))
            return _News(exit_code=os.waitstatus_to_exitcode(status)) if found else None
        told = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        if told is None:
            return None
        if told.si_code == os.CLD_EXITED:
            return _News(exit_code=told.si_status)
        if told.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
            return _News(exit_code=-told.si_status)
        # A stop is told once. Nobody is there to be asked about it who has been killed since.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG)
        return _News(stopped_by=told.si_status)
    return None


def _ended_child() -> int | None:
    """A child that waits to be waited for."""
    if _CAN_LOOK:
        with suppress(ChildProcessError):
            told = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return None if told is None else told.si_pid
    return None


def _children() -> list[int]:
    """All of ours; none where the system does not list them."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with suppress(OSError), open(f"/proc/self/task/{thread}/children") as listed:
                found += [int(word) for word in listed.read().split()]
    return found


def _environment(execution_id: str, mark: str) -> list[tuple[bytes, bytes]]:
    """Ours without what is secret, and with what it should know."""
    environment = dict(os.environb)
    for name in _SECRETS:
        environment.pop(os.fsencode(name), None)
    _restore_locale(environment)
    # Into a pipe Python prints nothing before its buffer is full, and events come late.
    environment.setdefault(b"PYTHONUNBUFFERED", b"1")
    environment[b"STAYLINE_EXECUTION_ID"] = os.fsencode(execution_id)
    # What an inner run starts was started by the outer one as well.
    outer = environment.get(os.fsencode(processes.MARK), b"")
    marks = [outer, os.fsencode(mark)] if outer else [os.fsencode(mark)]
    environment[os.fsencode(processes.MARK)] = processes.MARKS_APART.join(marks)
    return list(environment.items())


def _restore_locale(environment: dict[bytes, bytes]) -> None:
    """Python sets LC_CTYPE for itself where the locale is C, as it is under cron; the program gets
    what we were given. Where that cannot be read, it gets ours."""
    name = b"LC_CTYPE"
    if environment.get(name) not in _COERCED:
        return
    try:
        given = Path("/proc/self/environ").read_bytes()
    except OSError:
        return
    values = [one for one in given.split(b"\0") if one.startswith(name + b"=")]
    if values:
        environment[name] = values[0].partition(b"=")[2]
    else:
        environment.pop(name, None)
