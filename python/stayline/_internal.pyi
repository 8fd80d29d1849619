"""The compiled part of ``stayline``: what its names are and take.

Rules that are cited (``R12``) are those of every language:
https://github.com/stayline/stayline/blob/main/docs/rules.md
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from types import TracebackType
from typing import (
    Any,
    ClassVar,
    Final,
    Literal,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    final,
    type_check_only,
)

from typing_extensions import Self, Unpack

from stayline.timeline import Timeline

__version__: Final[str]

_T = TypeVar("_T")
_Seconds: TypeAlias = float | timedelta
_Moment: TypeAlias = datetime | int
_Milliseconds: TypeAlias = int | timedelta
_Status: TypeAlias = Literal["pending", "running", "completed", "failed", "interrupted"]
_Ending: TypeAlias = Literal["completed", "failed", "interrupted"]
_Health: TypeAlias = Literal["healthy", "unknown", "stale"]
_Verdict: TypeAlias = Literal["sent", "latched", "already_terminal"]
_State: TypeAlias = Literal["idle", "connecting", "connected", "reconnecting", "closed"]
_Signal: TypeAlias = (
    Kill
    | Reconnecting
    | Reconnected
    | Ended
    | Replaced
    | Disconnected
    | RunTask
    | RestartFeed
    | Command
    | Drained
)

@type_check_only
class _Authorize(Protocol):
    def __call__(
        self, session_id: str, execution_id: str, bearer: str | None, /
    ) -> bool | None: ...

@type_check_only
class _OnKill(Protocol):
    def __call__(self, kill: Kill, /) -> object: ...

# --- errors -------------------------------------------------------------------------------------

class Error(Exception):
    """The base of every error of this library.

    `name` and `number` are stable and the same in every language; `fields` is a dictionary of
    what the text names, and each field is an attribute as well.
    """

    name: str
    number: int
    fields: Mapping[str, Any]

class InvalidArgument(Error, ValueError):
    """The call is wrong; `what` says how. Fix the call. Also a `ValueError`.

    Number 100.
    """

    what: str
    __match_args__ = ("what",)

class InvalidSettings(Error):
    """Two settings contradict each other (R24); `first` and `second` name them.

    Number 101.
    """

    first: str
    second: str
    __match_args__ = ("first", "second")

class InvalidEvent(Error):
    """The event was not accepted, for `reason`; it had `bytes` bytes (R40). Send something else.

    Number 102.
    """

    reason: str
    bytes: int
    __match_args__ = ("reason", "bytes")

class NotFound(Error):
    """There is no such session, execution, lease or file; `what` names it (R19a).

    Number 200.
    """

    what: str
    __match_args__ = ("what",)

class AlreadyExists(Error):
    """An execution with the id `execution_id` exists already (R2). Choose another id.

    Number 201.
    """

    execution_id: str
    __match_args__ = ("execution_id",)

class ExecutionInProgress(Error):
    """Another execution, `active`, is active in the session (R2). Wait for it, or interrupt it.

    Number 202.
    """

    active: str
    __match_args__ = ("active",)

class ExecutionNotActive(Error):
    """The execution is not active any more; its `status` says how it ended (R25).

    Number 203.
    """

    status: _Status
    __match_args__ = ("status",)

class InvalidTransition(Error):
    """An execution cannot go from status `from_` to status `to` (R1): it had ended, or not
    begun.

    Number 204.
    """

    from_: _Status
    to: _Status
    __match_args__ = ("from_", "to")

class NoActiveExecution(Error):
    """No execution is active in the session: there is nothing to stop (R11).

    Number 205.
    """

    __match_args__ = ()

class JobConflict(Error):
    """The wrapper's job `active` is still active (R49). Wait until it is idle.

    Number 206.
    """

    active: str
    __match_args__ = ("active",)

class Superseded(Error):
    """Another wrapper has taken over this execution (R45a). Stop.

    Number 207.
    """

    __match_args__ = ()

class AlreadyHeld(Error):
    """The lease is held by `holder` until `expires_at` (ms since the Unix epoch; R38). Wait, or
    give up.

    Number 210.
    """

    holder: str
    expires_at: int
    __match_args__ = ("holder", "expires_at")

class WrongHolder(Error):
    """The lease is held by `holder`, not by you, until `expires_at` (ms since the Unix epoch;
    R38).

    Number 211.
    """

    holder: str
    expires_at: int
    __match_args__ = ("holder", "expires_at")

class Unauthorized(Error):
    """The token or the ticket is missing or wrong (R25).

    Number 300.
    """

    __match_args__ = ()

class Full(Error):
    """The wrapper's buffer is full: `events` events, `bytes` bytes (R44). Slow down, or choose
    an overflow policy.

    Number 400.
    """

    events: int
    bytes: int
    __match_args__ = ("events", "bytes")

class LimitExceeded(Error):
    """The limit named `limit` is exceeded by `value`.

    Number 401.
    """

    limit: str
    value: int
    __match_args__ = ("limit", "value")

class Timeout(Error, TimeoutError):
    """The time given to a waiting call is over; what was stored stays stored. Also a
    `TimeoutError`.

    Number 402.
    """

    __match_args__ = ()

class Closed(Error):
    """It was closed, or has ended; the text says what, and how a run ended. Make a new one.

    Number 403.
    """

    __match_args__ = ()

class Disconnected(Error):
    """The wrapper gave up, for `reason` (R41, R46, R48). Also told by `Wrapper.signals`.

    Number 404.
    """

    reason: str
    __match_args__ = ("reason",)

class StoreInUse(Error):
    """Another coordinator owns the file: process `pid`, since `since` (ms since the Unix epoch),
    serving at `url` if it serves; `program` is its name, where that is known. Use that one, or
    open with `read_only=True`.

    Number 500.
    """

    pid: int
    since: int
    url: str | None
    program: str | None
    __match_args__ = ("pid", "since", "url", "program")

class StoreError(Error):
    """The store failed and nothing of this step was kept (R27). Try again.

    Number 501.
    """

    __match_args__ = ()

class StoreUnknown(Error):
    """It could not be found out whether this step was kept (R27). Read before you try again.

    Number 502.
    """

    __match_args__ = ()

class StoreFormat(Error):
    """The file has the format `found`, supported is `supported`: a newer schema, or no database
    of ours.

    Number 503.
    """

    found: str
    supported: str
    __match_args__ = ("found", "supported")

class ForkError(Error):
    """The object was made in process `pid` and does not work in a forked child. Make new objects
    in the child.

    Number 600.
    """

    pid: int
    __match_args__ = ("pid",)

class Panic(Error):
    """A bug of ours; the object is unusable. Please report it.

    Number 700.
    """

    __match_args__ = ()

# --- settings and clock -------------------------------------------------------------------------

@type_check_only
class _Settings(TypedDict, total=False):
    healthy_within_ms: _Milliseconds
    stale_after_ms: _Milliseconds
    pending_timeout_ms: _Milliseconds
    heartbeat_debounce_ms: _Milliseconds
    disconnect_grace_ms: _Milliseconds
    recovery_grace_ms: _Milliseconds
    interrupt_grace_ms: _Milliseconds | None
    kill_grace_ms: _Milliseconds | None
    late_window_ms: _Milliseconds
    lease_ttl_ms: _Milliseconds
    notifications: bool
    notification_lease_ms: _Milliseconds
    notification_attempts: int
    event_retention_ms: _Milliseconds
    session_ttl_ms: _Milliseconds
    idle_after_ms: _Milliseconds
    max_frame_bytes: int
    max_nesting: int
    max_id_bytes: int
    max_text_bytes: int
    volatile_types: Iterable[str]
    ping_interval_ms: _Milliseconds
    link_timeout_ms: _Milliseconds
    basic_link_timeout_ms: _Milliseconds
    basic_linger_ms: _Milliseconds
    authorize_timeout_ms: _Milliseconds
    max_readers: int
    synchronous: Literal["full", "normal", "off"]
    acknowledged: bool
    reconnect_base_ms: _Milliseconds
    reconnect_factor: float
    reconnect_cap_ms: _Milliseconds
    reconnect_attempts: int | Literal["auto"] | None
    give_up_after_ms: _Milliseconds | None
    jitter: float
    buffer_events: int
    buffer_bytes: int
    overflow: Literal["auto", "block", "drop_newest", "drop_oldest"]
    send_timeout_ms: _Milliseconds
    outbox: str | PathLike[str]
    heartbeat_interval_ms: _Milliseconds
    ack_timeout_ms: _Milliseconds
    connect_timeout_ms: _Milliseconds
    dial_timeout_ms: _Milliseconds
    upgrade_timeout_ms: _Milliseconds
    drain_delay_ms: _Milliseconds
    task_timeout_ms: _Milliseconds
    abort_timeout_ms: _Milliseconds
    feed_timeout_ms: _Milliseconds

@final
class Settings:
    """Every setting of the coordinator and of the wrapper, frozen.

    Names carry their unit: `Settings(lease_ttl_ms=60_000)`; a `timedelta` will do as well. What
    is not named has its default; `Settings.table()` says what each does. Settings that
    contradict each other raise `InvalidSettings` naming both (R24); an unknown name, or a value
    of the wrong shape, raises `InvalidArgument`. Equal settings compare equal and hash alike.
    """
    def __new__(cls, **settings: Unpack[_Settings]) -> Self: ...
    def replace(self, **settings: Unpack[_Settings]) -> Settings:
        """A copy with some settings changed: `settings.replace(jitter=0)`. Raises
        `InvalidSettings` for what contradicts the rest (R24), `InvalidArgument` for an unknown
        name or a value of the wrong shape.
        """
    def as_dict(self) -> dict[str, Any]:
        """All settings as a dictionary, by name; durations in ms."""
    @staticmethod
    def table() -> list[dict[str, Any]]:
        """The table of all settings: a dictionary for each, with `name`, `about`, `shape` and
        `default`.
        """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    @property
    def healthy_within_ms(self) -> int:
        """Below this age of the last sign of life a running execution is `healthy` (R6)."""
    @property
    def stale_after_ms(self) -> int:
        """Running without a sign of life for more than this fails the execution (R15)."""
    @property
    def pending_timeout_ms(self) -> int:
        """Pending for more than this fails the execution (R16)."""
    @property
    def heartbeat_debounce_ms(self) -> int:
        """The stored heartbeat is refreshed at most this often (R14)."""
    @property
    def disconnect_grace_ms(self) -> int:
        """How long a wrapper may be away after its last link closed (R20)."""
    @property
    def recovery_grace_ms(self) -> int:
        """The fresh grace after a restart or a freeze of the coordinator (R18b, R23)."""
    @property
    def interrupt_grace_ms(self) -> int | None:
        """From an interrupt to SIGKILL; null: never (R13)."""
    @property
    def kill_grace_ms(self) -> int | None:
        """From SIGKILL to `Interrupt not honoured`; null: never (R13)."""
    @property
    def late_window_ms(self) -> int:
        """How long after its end an execution's wrapper may still bring events (R10a)."""
    @property
    def lease_ttl_ms(self) -> int:
        """How long a lease lasts unless extended (R38)."""
    @property
    def notifications(self) -> bool:
        """Whether notifications are kept for the host (R39); false, where nobody takes them:
        those that are there stay.
        """
    @property
    def notification_lease_ms(self) -> int:
        """How long a taken notification is leased; doubled at each further delivery (R39)."""
    @property
    def notification_attempts(self) -> int:
        """Deliveries of one notification before it is parked (R39)."""
    @property
    def event_retention_ms(self) -> int:
        """Events stored longer ago than this go (R19)."""
    @property
    def session_ttl_ms(self) -> int:
        """A session without activity for this long, and nothing active, goes wholly (R19)."""
    @property
    def idle_after_ms(self) -> int:
        """A session idle for this long emits one `session_idle` (R19)."""
    @property
    def max_frame_bytes(self) -> int:
        """The largest frame, in bytes (R28, R40)."""
    @property
    def max_nesting(self) -> int:
        """The deepest nesting of a frame, its outer object included (R28, R40)."""
    @property
    def max_id_bytes(self) -> int:
        """The longest id, in bytes of UTF-8."""
    @property
    def max_text_bytes(self) -> int:
        """How much of an error or a reason is kept on records and in notifications, in bytes; at
        least 64 (R5).
        """
    @property
    def volatile_types(self) -> frozenset[str]:
        """Event types that are delivered live and not stored (R32)."""
    @property
    def ping_interval_ms(self) -> int:
        """A WebSocket ping goes out when nothing arrived for this long (R47a)."""
    @property
    def link_timeout_ms(self) -> int:
        """A link on which nothing arrived for this long counts as closed, 1006 (R47a)."""
    @property
    def basic_link_timeout_ms(self) -> int:
        """The same for a basic link, which cannot resend what its socket swallowed (R47a)."""
    @property
    def basic_linger_ms(self) -> int:
        """How long a basic wrapper's link stays open after its own terminal event (R31)."""
    @property
    def authorize_timeout_ms(self) -> int:
        """How long the host's `authorize` may take; then the wrapper is told to try later (R25)."""
    @property
    def max_readers(self) -> int:
        """Readers of the store at the same time; who comes later waits in order."""
    @property
    def synchronous(self) -> Literal["full", "normal", "off"]:
        """How hard SQLite tries to keep a commit: full, or normal (the last commits may go at a
        power cut).
        """
    @property
    def acknowledged(self) -> bool:
        """Wrapper: ask for acknowledged mode (R45)."""
    @property
    def reconnect_base_ms(self) -> int:
        """Wrapper: the delay before the first reconnect attempt (R41)."""
    @property
    def reconnect_factor(self) -> float:
        """Wrapper: each delay is this many times the one before (R41)."""
    @property
    def reconnect_cap_ms(self) -> int:
        """Wrapper: no delay is longer than this (R41)."""
    @property
    def reconnect_attempts(self) -> int | Literal["auto"] | None:
        """Wrapper: attempts before it gives up; auto: unlimited in acknowledged mode, else 3
        (R41).
        """
    @property
    def give_up_after_ms(self) -> int | None:
        """Wrapper: gives up when disconnected for this long; null: never (R41)."""
    @property
    def jitter(self) -> float:
        """Wrapper: each delay is drawn from its upper part of this size; 0: no jitter (R41)."""
    @property
    def buffer_events(self) -> int:
        """Wrapper: the buffer's size in events (R40)."""
    @property
    def buffer_bytes(self) -> int:
        """Wrapper: the buffer's size in bytes (R40)."""
    @property
    def overflow(self) -> Literal["auto", "block", "drop_newest", "drop_oldest"]:
        """Wrapper: what happens when the buffer is full; auto: block in acknowledged mode, else
        drop_newest (R44).
        """
    @property
    def send_timeout_ms(self) -> int:
        """Wrapper: how long a send waits for room (R44)."""
    @property
    def outbox(self) -> str:
        """Wrapper: where unacknowledged events are kept (R45e)."""
    @property
    def heartbeat_interval_ms(self) -> int:
        """Wrapper: a heartbeat goes out when nothing else did for this long (R47)."""
    @property
    def ack_timeout_ms(self) -> int:
        """Wrapper: how long an acknowledgement, or the welcome, may take (R47a, R45c)."""
    @property
    def connect_timeout_ms(self) -> int:
        """Wrapper: the first connection, in all (R48)."""
    @property
    def dial_timeout_ms(self) -> int:
        """Wrapper: TCP and TLS of later connections (R48)."""
    @property
    def upgrade_timeout_ms(self) -> int:
        """Wrapper: the answer to the upgrade request (R48)."""
    @property
    def drain_delay_ms(self) -> int:
        """Wrapper: from the write of the last event to the close, in basic mode (R51)."""
    @property
    def task_timeout_ms(self) -> int:
        """Wrapper: a post-completion task (R51)."""
    @property
    def abort_timeout_ms(self) -> int:
        """Wrapper: the host's abort (R52)."""
    @property
    def feed_timeout_ms(self) -> int:
        """Wrapper: the agent's own event feed may be silent this long (R53)."""

@final
class ManualClock:
    """A clock for `Coordinator(clock=…)` that moves only with `advance`. Everything due on the
    way is handled, each at its own moment, before `advance` returns.
    """
    def __new__(cls, now_ms: int = 1700000000000) -> Self: ...
    @property
    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
    def advance(self, seconds: _Seconds) -> None:
        """Moves on by `seconds` (a number or a `timedelta`) and handles what is due on the way."""
    def suspend(self, ms: int) -> None:
        """Time jumps by `ms` for the coordinators, which notice at the end (R18b)."""
    def set(self, now_ms: int) -> None:
        """Only moves time to `now_ms`; what is due is left to `Coordinator._handle_due`. A hook
        for harnesses that order wrappers, network and coordinators themselves.
        """
    def next_deadline_ms(self) -> int | None:
        """The earliest deadline of all coordinators on this clock, in ms; `None`: there is none."""

# --- the coordinator's side ---------------------------------------------------------------------

@final
class Coordinator:
    """Owns sessions: status, event log, deadlines, subscribers::

        with stayline.Coordinator("sqlite:runs.db") as coordinator:
            session = coordinator.session("user_1:agent_1")

    `location` is `memory:` (gone at the end of the process) or `sqlite:PATH`. One coordinator
    owns a file; a second one gets `StoreInUse`, but may read with `read_only=True`. `settings`
    are the defaults unless given; `clock` is a `ManualClock` in tests. Use it as a context
    manager: leaving closes it in order. What was running when the process went down runs on
    (R23).

    Raises `StoreInUse`, `StoreFormat` for a file of a newer version or another program,
    `StoreError` where it cannot be made or read, `InvalidArgument` for another kind of location;
    with `read_only`, `NotFound` when no file is there.
    """
    def __new__(
        cls,
        location: str,
        *,
        settings: Settings | None = None,
        clock: ManualClock | None = None,
        read_only: bool = False,
        _faults: bool = False,
    ) -> Self: ...
    @property
    def location(self) -> str:
        """What it was opened with: `memory:` or `sqlite:PATH`."""
    @property
    def settings(self) -> Settings:
        """Its settings, frozen."""
    @property
    def read_only(self) -> bool:
        """Whether it was opened with `read_only=True`: it only reads, beside an owner or without
        one.
        """
    @property
    def now_ms(self) -> int:
        """The coordinator's time in ms since the Unix epoch; it never goes back (R18c)."""
    def session(self, session_id: str) -> Session:
        """A handle on a session; creates nothing, and asks nobody (R19a). `session_id` is any
        text of at most `max_id_bytes` without control characters; otherwise `InvalidArgument`.
        """
    def sessions(self, *, limit: int = 100) -> list[SessionInfo]:
        """What is known about the sessions, at most `limit`, the one with the newest activity
        first.
        """
    def notifications(self, timeout: _Seconds | None = None) -> Notifications:
        """Takes notifications as they come (R39), waiting up to `timeout` seconds for each; the
        iteration ends when nothing came in that time. Acknowledge each, or it comes again.
        """
    def pending_notifications(self, *, parked_only: bool = False) -> list[Notification]:
        """Notifications that are not acknowledged, whether waiting, leased or parked; takes
        none. With `parked_only` those whose deliveries are used up (R39).
        """
    def serve(
        self,
        address: str = "127.0.0.1:0",
        *,
        key: str | None = None,
        allowed_origins: Sequence[str] | None = None,
        authorize: _Authorize | None = None,
        base_path: str = "",
        tls_certificate: str | PathLike[str] | None = None,
        tls_key: str | PathLike[str] | None = None,
        max_sockets: int | None = None,
        max_unauthenticated_sockets: int | None = None,
        max_requests: int | None = None,
        max_body_bytes: int | None = None,
        workers: int | None = None,
    ) -> Server:
        """Serves wrappers and subscribers on `address` (`host:port`; port 0: any free one).

        Anything but loopback needs a `key`. `authorize(session_id, execution_id, bearer)`
        decides about wrappers instead of the execution's token: `True`, `False` (final: the
        wrapper stops) or `None`: not known now, it tries again (R25). It runs on Python threads,
        up to eight at a time; one that raises, says something else, or takes longer than
        `authorize_timeout_ms`, has said `None`. `allowed_origins` are those of web pages that
        may connect (`*`: all, which needs a key); `base_path` stands before `/sessions` in every
        path.

        With `tls_certificate` and `tls_key`, the paths of two PEM files, it serves `https://`
        and `wss://`, and nothing without TLS: the certificate followed by those that lead to its
        authority's, and its private key without a passphrase. Where the files change, new
        connections get the new certificate within a minute.

        What peers may take is bounded (`docs/rest.md`): `max_sockets` at the same time (10 000),
        of them `max_unauthenticated_sockets` that were let in to nothing yet (256; 503 beyond),
        `max_requests` under way of each kind (256; 429 beyond), `max_body_bytes` a request (2
        MiB; 413 beyond). `workers` threads drive the sockets (2, at most 64).

        Returns at once, with the server running. Raises `InvalidArgument` for an address that
        cannot be bound, or that needs a key, for a certificate or key that cannot be used, and
        for a number that is out of its range.
        """
    def issue_ticket(self, session_id: str, *, ttl: _Seconds | None = None) -> str:
        """A signed ticket for the stream of the session `session_id`, for browsers and others
        that shall not have the key. Good for `ttl` seconds (a number or a `timedelta`; default
        60), also after a restart, where the store is a file; not for a session of that name that
        is made after this one was deleted. Raises `NotFound` for a session that is not there.
        """
    def verify_ticket(self, session_id: str, ticket: str) -> None:
        """Checks a ticket of `issue_ticket`, for hosts with their own sockets: raises
        `Unauthorized` for one that is wrong, expired, or not for the session `session_id`, and
        `StoreError` where that cannot be told now.
        """
    def metrics(self) -> str:
        """What was done since it was opened and what it holds now, as the text that Prometheus
        reads (format 0.0.4): what the built-in server answers at `/metrics`, for hosts with a
        server of their own. Reads memory only. Raises `Closed`.
        """
    def close(self) -> None:
        """Closes in order: what was handed over is committed, links get close 1012, waiters get
        `Closed`, the store is released. Runs are not ended: whoever opens the store next goes on
        with them (R23). Twice is fine.
        """
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...
    def _is_owned(self) -> bool:
        """For the command line: whether somebody owns the store; this one, or, where it only
        reads, another that is alive.
        """

    def _next_deadline(self) -> int | None:
        """Test hook: the next wake-up in ms, lease expiry aside; `None`: there is none."""
    def _handle_due(self) -> None:
        """Test hook: handles what is due now, with a `ManualClock` that was moved by `set`."""
    def _abandon(self) -> None:
        """Test hook: goes away as a crash would; nothing is flushed and nobody is told."""
    def _slow_commits(self, seconds: float) -> None:
        """Test hook, with `_faults=True`: from now on every commit takes so many seconds longer."""
    def _slow_reads(self, seconds: float) -> None:
        """Test hook, with `_faults=True`: from now on every read of the store takes so many
        seconds longer.
        """
    def _fail_next_commit(self, outcome: Literal["lost", "unknown_kept", "unknown_lost"]) -> None:
        """Test hook, with `_faults=True`: the next commit reports failure. `"lost"`: nothing of
        it is kept; `"unknown_kept"`: it was kept all the same; `"unknown_lost"`: it was not.
        """

@final
class Server:
    """A running server. It runs until it, or its coordinator, is closed."""
    @property
    def url(self) -> str:
        """The base URL for wrappers and subscribers: `http://host:port`, with TLS `https://`,
        and the base path if one was given. A host that was given by its name keeps it with TLS,
        since certificates are for names.
        """
    @property
    def address(self) -> str:
        """The address it listens on, `host:port`."""
    def close(self) -> None:
        """Stops accepting, closes the links with 1012 after taking what their wrappers had sent,
        and waits for them at most five seconds; what they had sent is stored when it returns,
        however long the disk takes. The coordinator goes on. Twice is fine.
        """
    def reload_tls(self) -> None:
        """Reads the certificate and its key anew from their files; new connections get them. A
        server looks every minute by itself whether they have changed. Raises `InvalidArgument`
        for what cannot be used, and what was served before goes on; and where there is no TLS.
        """
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class Session:
    """A handle on one session, from `Coordinator.session`.

    Making one creates nothing; only `start` and `launch` do (R19a). Everything else raises
    `NotFound` for a session in which nothing was ever started, `Closed` once the coordinator is
    closed, and `StoreError` when the store failed and nothing of the step was kept. Handles on
    one session of one coordinator compare equal. `execution_id` always names an execution of
    this session.
    """
    @property
    def id(self) -> str:
        """The session's id."""
    @property
    def active(self) -> str | None:
        """The id of the active execution (pending or running), or `None`. Costs next to nothing
        where the session is in memory, else the store is read. Raises `NotFound`.
        """
    def start(
        self, execution_id: str | None = None, *, mode: str | None = None, token: str | None = None
    ) -> Execution:
        """Adds a pending execution, and makes the session if it is not there (R2).

        `execution_id` is yours, or one is made (`exc_…`). `mode` is your word for the kind of
        run. `token` is what a wrapper needs to attach, or one is made: pass the `token` of what
        is returned to the sandbox. It stays pending until a wrapper attaches (R3), at most
        `pending_timeout_ms` (R16).

        Raises `ExecutionInProgress` while another one is active, `AlreadyExists` for an id that
        was used before, `InvalidArgument` for one that is too long or has control characters.
        Then nothing was written. Around code that can fail, use `launch`.
        """
    def launch(
        self,
        execution_id: str | None = None,
        *,
        mode: str | None = None,
        token: str | None = None,
        suppress_notification: bool = False,
    ) -> Launch:
        """A context manager around `start` and your own launch code (R10)::

            with session.launch(mode="code") as execution:
                launch_sandbox(execution.id, execution.token)

        An exception inside, before a wrapper has attached, fails the execution and is raised on.
        Once a wrapper has attached the run is in its hands and nothing is done. Takes what
        `start` takes; entering raises what `start` raises. `suppress_notification` spares you
        the notification of a launch that failed, because you have seen the exception.
        """
    def attach(
        self,
        execution_id: str,
        *,
        token: str | None = None,
        trusted: bool = False,
        acknowledged: bool = False,
        producer: str | None = None,
        attempt: int | None = None,
    ) -> Link:
        """Accepts an ingest link for an execution (R25, R26), for hosts with their own sockets.

        `token` is compared with the execution's; `trusted=True` says that you have checked in
        your own way. `acknowledged`, `producer` and `attempt` are what the wrapper asked for
        (R45a). A link that was attached before is closed with 4001.

        Raises, and changes nothing then: `NotFound`, `Unauthorized`, `ExecutionNotActive` with
        the status, `Superseded`; in this order (R25).
        """
    def fail(
        self,
        execution_id: str,
        message: str,
        *,
        event_type: str | None = None,
        payload: dict[str, Any] | None = None,
        suppress_notification: bool = False,
    ) -> bool:
        """Fails an execution, whatever it is doing; the one failure path (R7, R8).

        `message` becomes its `error`. One event of `event_type` (default `error`) is stored,
        with `error`, `fatal` and the fields of `payload` (R9); links are closed with 4000; the
        host gets one notification unless `suppress_notification`.

        Returns `True` when it did it, `False` when the execution had ended already; then nothing
        was changed. So calling it twice, or from two places, is fine. Raises `NotFound`.
        """
    def finish(
        self,
        execution_id: str,
        status: _Ending = "completed",
        *,
        message: str | None = None,
        completed_at: _Moment | None = None,
    ) -> None:
        """Ends an execution as you know it ended: `completed`, `failed` or `interrupted`.

        `message` is its error or reason. `completed_at` is an aware `datetime`, or ms since the
        Unix epoch (R5); default: now. Raises `InvalidTransition` for one that has ended, or that
        would complete without having run (R1), and `NotFound`.
        """
    def interrupt(
        self,
        execution_id: str | None = None,
        *,
        escalate: bool = False,
        grace: _Seconds | None = ...,
    ) -> _Verdict:
        """Asks the active execution, or the one named, to stop (R11, R12).

        Returns `sent` (the kill goes out on its link), `latched` (it will when a wrapper
        attaches) or `already_terminal`. SIGKILL follows after `grace` seconds (a number or a
        `timedelta`; default `interrupt_grace_ms`; `None`: never), or at once with `escalate`;
        when that is not honoured either, the execution is failed `kill_grace_ms` later (R13).

        Raises `NoActiveExecution` when there is nothing to stop, `NotFound` for an unknown id.
        """
    def clear_interrupt(self, execution_id: str | None = None) -> None:
        """Takes an interrupt back, from the active execution or the one named (R13). What was
        sent was sent. Raises `NoActiveExecution`, or `NotFound`.
        """
    def heartbeat(self, execution_id: str) -> None:
        """A sign of life that you have of an execution in your own way (R14): moves the stale
        deadline. Raises `NotFound`, or `ExecutionNotActive`.
        """
    def lease(self, execution_id: str, lease_id: str, *, message_id: str | None = None) -> Lease:
        """Takes the exclusive lease on an execution for `lease_ttl_ms`, or renews it (R38).

        `lease_id` says who you are; `message_id` what for. As a context manager it is released
        at the end. Raises `AlreadyHeld` with the holder and when it expires, and `NotFound`.
        """
    def extend_lease(self, execution_id: str, lease_id: str) -> Lease:
        """Extends the lease that `lease_id` holds by `lease_ttl_ms` from now (R38). Raises
        `NotFound` when there is none or it has expired, `WrongHolder` when another holds it.
        """
    def release_lease(self, execution_id: str, lease_id: str) -> None:
        """Gives the lease that `lease_id` holds back (R38). Raises `NotFound` when there is none
        or it has expired, `WrongHolder` when another holds it.
        """
    def delete(self) -> None:
        """Removes the session wholly and at once (R19a): an active execution is failed first
        (`Session deleted`), links are closed with 4000, streams end with a `deleted` record.
        Notifications stay until they are taken. Raises `NotFound`.
        """
    def info(self) -> SessionInfo:
        """What is known about the session now. Raises `NotFound` when nothing ever started in
        it.
        """
    def execution(self, execution_id: str) -> Execution:
        """One execution, whether it is active or long over. Raises `NotFound`."""
    def executions(self, *, status: _Status | None = None, limit: int = 100) -> list[Execution]:
        """The executions, the newest first, at most `limit`; with `status` only those of that
        status. Raises `NotFound`.
        """
    def health(self, execution_id: str) -> _Health | None:
        """The health of a running execution (R6): `healthy`, `unknown` or `stale`; `None` for
        one that is not running. Raises `NotFound`.
        """
    def events(
        self,
        *,
        after: int = 0,
        types: Sequence[str] | None = None,
        executions: Sequence[str] | None = None,
        since: _Moment | None = None,
        until: _Moment | None = None,
        limit: int | None = None,
    ) -> Events:
        """The past: stored events that pass all filters (R34), read in bounded rounds (R36).

        `after` is an event id, exclusive. `types` and `executions` are lists; `since` and
        `until` are aware `datetime`s or ms since the Unix epoch, inclusive, of the event's own
        time; `limit` is the most events given. Raises `NotFound`.
        """
    def count_events(
        self,
        *,
        after: int = 0,
        types: Sequence[str] | None = None,
        executions: Sequence[str] | None = None,
        since: _Moment | None = None,
        until: _Moment | None = None,
    ) -> int:
        """How many stored events pass the filters `after`, `types`, `executions`, `since` and
        `until`, which are those of `events` (R34). Raises `NotFound`.
        """
    def stream(
        self,
        *,
        after: int = 0,
        until: str | None = None,
        timeout: _Seconds | None = None,
        types: Sequence[str] | None = None,
        executions: Sequence[str] | None = None,
        since: _Moment | None = None,
        epoch: str | None = None,
        live_only: bool = False,
    ) -> Subscription:
        """The past, then live, each event once and in order (R35)::

            for event in session.stream(until=execution.id):
                print(event.type, event.data)

        With `until` (an execution id) it ends with that execution, otherwise with the session.
        `timeout` (seconds or a `timedelta`) bounds the wait for each event: iteration ends
        quietly when nothing came for so long, and goes on from there when iterated again.
        `after` is the id of the last event you have, and `epoch` the log it belongs to: what
        retention took meanwhile is told by a `gap` record first (R34a). `live_only` begins at
        the end. The filters `types`, `executions` and `since` are those of `events`. Raises
        `NotFound`; when waiting, `Closed` once the coordinator is closed.
        """
    def timeline(self, *, executions: Sequence[str] | None = None, limit: int = 10) -> Timeline:
        """A picture of the newest `limit` runs, or of the `executions` named, oldest first: a
        `stayline.timeline.Timeline`, which notebooks show and which saves itself as a page or
        SVG. Raises `NotFound` for a session or execution that is not known (R19a).
        """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class SessionInfo:
    """What was known about a session when it was read."""
    @property
    def id(self) -> str:
        """The session's id."""
    @property
    def epoch(self) -> str:
        """The log's epoch (R34a)."""
    @property
    def created_at(self) -> datetime:
        """When it was made."""
    @property
    def last_activity_at(self) -> datetime:
        """Start, heartbeats, events, completion (R19)."""
    @property
    def last_event_id(self) -> int:
        """The id of the newest event."""
    @property
    def branch(self) -> str | None:
        """The branch of the last completed execution that named one (R29)."""
    @property
    def agent_session_id(self) -> str | None:
        """The agent's own session id (R30)."""
    @property
    def active(self) -> str | None:
        """The id of the active execution."""
    @property
    def grace(self) -> bool:
        """Whether the active execution is without a link and in its grace (R20)."""
    @property
    def link_attached(self) -> bool | None:
        """Whether a wrapper is connected; `None` in a list of sessions."""
    @property
    def latest(self) -> Execution | None:
        """In a list of sessions: the active execution, or else the newest one."""

@final
class Launch:
    """Starts an execution on entering. An exception inside, before a wrapper has attached, fails
    it and is raised on; once a wrapper has attached nothing is done.
    """
    def __enter__(self) -> Execution: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Literal[False]: ...

@final
class Execution:
    """One execution. Its properties show what is committed now; once they have shown it terminal
    they stay as they are, also after the coordinator was closed.
    """
    @property
    def id(self) -> str:
        """Its id, unique within its session."""
    @property
    def token(self) -> str | None:
        """What a wrapper needs to attach; only the one that started the execution has it."""
    @property
    def session_id(self) -> str:
        """The session it belongs to."""
    @property
    def status(self) -> _Status:
        """`pending`, `running`, `completed`, `failed` or `interrupted` (R1)."""
    @property
    def terminal(self) -> bool:
        """Whether it has ended."""
    @property
    def error(self) -> str | None:
        """Why it failed or was interrupted (R5)."""
    @property
    def exit_code(self) -> int | None:
        """The integer `exitCode` of its wrapper's terminal event (R29)."""
    @property
    def mode(self) -> str | None:
        """The host's word for the kind of run."""
    @property
    def health(self) -> _Health | None:
        """While running: `healthy`, `unknown` or `stale` (R6)."""
    @property
    def interrupt_requested(self) -> bool:
        """Whether it was asked to stop and has not ended (R11)."""
    @property
    def grace(self) -> bool:
        """Whether it runs without a link, in its grace (R20)."""
    @property
    def reconnects(self) -> int:
        """How often its wrapper came back after a disconnect (R21)."""
    @property
    def agent_session_id(self) -> str | None:
        """The agent's own session id (R30)."""
    @property
    def created_at(self) -> datetime:
        """When it was added, by `start` (R2)."""
    @property
    def started_at(self) -> datetime | None:
        """When its first link was accepted."""
    @property
    def completed_at(self) -> datetime | None:
        """When it became terminal (R5)."""
    @property
    def last_heartbeat_at(self) -> datetime | None:
        """The stored sign of life, which is refreshed now and then (R14)."""
    @property
    def last_event_at(self) -> datetime | None:
        """When its newest frame other than a heartbeat came: to the moment where this
        coordinator runs it, and once it has ended; else as far as it is stored (R14). None
        before the first.
        """
    @property
    def last_seen_at(self) -> datetime | None:
        """When its wrapper was last heard of: to the moment where this coordinator runs it, else
        as far as it is stored, which is refreshed now and then (R14). None before the first
        link.
        """
    def wait(self, timeout: _Seconds | None = None) -> Self:
        """Waits until it is terminal and returns it.

        `timeout` is in seconds (a number or a `timedelta`; `None`: for ever). Raises `Timeout`
        when the time is over before; the run goes on. Raises `Closed` when the coordinator was
        closed.
        """
    def poll(self) -> bool:
        """Looks without waiting: whether it is terminal. When not, `fileno()` is made
        unreadable.
        """
    def fileno(self) -> int:
        """A descriptor for event loops: readable when `poll` may have something to tell."""
    def _seen(self) -> Execution:
        """For `stayline.aio`: the execution as memory has it, else as it was read last. It stays
        as it is, and never reads the store.
        """
    def _is_over(self) -> bool:
        """For `stayline.aio`: whether it is terminal, as far as memory tells; `poll` reads the
        rest.
        """
    def _waiting(self) -> Waiting:
        """For `stayline.aio`: a place to wait for its end."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Lease:
    """A lease as it was when it was taken or extended. Leaving it as a context manager releases
    it.
    """
    @property
    def execution_id(self) -> str:
        """The execution that it is on."""
    @property
    def lease_id(self) -> str:
        """Who holds it, as given to `Session.lease`."""
    @property
    def message_id(self) -> str | None:
        """What for, in the host's words."""
    @property
    def expires_at(self) -> datetime:
        """From this moment on anyone may take it (R38), as an aware `datetime` in UTC."""
    @property
    def expires_at_ms(self) -> int:
        """From this moment on anyone may take it (R38), in ms since the Unix epoch."""
    def extend(self) -> Lease:
        """Extends it by `lease_ttl_ms` from now, and returns it with its new expiry (R38).
        Raises `NotFound` once it has expired, `WrongHolder` once another has it.
        """
    def release(self) -> None:
        """Gives it back (R38). Raises `NotFound` once it has expired, `WrongHolder` once another
        has it.
        """
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class Link:
    """One connection from a wrapper. Give it what the socket receives, write what it puts out,
    and say when the socket is gone. Dropping it unclosed counts as close 1006.
    """
    @property
    def execution_id(self) -> str:
        """The execution it belongs to."""
    @property
    def acknowledged(self) -> bool:
        """Whether it speaks the acknowledged mode (R45)."""
    @property
    def congested(self) -> bool:
        """Whether the next `receive` would wait: stop reading from the socket meanwhile."""
    @property
    def finished(self) -> bool:
        """Whether there will be no more outputs: the final `Close` was taken, or `closed`
        called.
        """
    @property
    def close_state(self) -> Close | None:
        """How the link was closed, as `Close(code, reason)`; `None` while it is open."""
    def receive(self, frame: str | bytes) -> None:
        """Hands one frame over: `str` for a text frame, `bytes` for a binary one (which is
        refused, R28). Waits only for back-pressure; a frame that is refused is answered on the
        link and raises nothing. Raises `Closed` once the coordinator is closed.
        """
    def receive_many(self, frames: Sequence[str]) -> None:
        """Hands many text frames over in one step. Waits only for back-pressure."""
    def closed(self, code: int = 1006, reason: str = "") -> None:
        """Says that the socket is gone, by whomever, with its close code; starts the grace of
        the execution when this was its last link (R20). Twice is fine.
        """
    def outgoing(self, timeout: _Seconds | None = None) -> Outgoing:
        """What is to be written to the socket: `Send(text)`, in the end one `Close(code,
        reason)`. Waits up to `timeout` seconds for each; the iteration ends quietly when nothing
        came.
        """
    def try_output(self) -> Send | Close | None:
        """The next output without waiting; `None`: nothing now. When there is nothing,
        `fileno()` is made unreadable, unless there will be no more: see `finished`.
        """
    def fileno(self) -> int:
        """A descriptor for event loops: readable from an output until a take finds nothing, and
        for ever once `finished`.
        """
    def _try_receive(self, frames: Sequence[str]) -> bool:
        """For `stayline.aio`: hands frames over unless the link is congested; whether it did."""
    def _try_receive_binary(self, bytes: int) -> bool:
        """For `stayline.aio`: the same for a binary frame of this size."""
    def _waiting(self) -> Waiting:
        """For `stayline.aio`: a place to wait for outputs, room and the end."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

@final
class Outgoing(Iterator[Send | Close]):
    """The outputs of a link as an iterator; see `Link.outgoing`."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> Send | Close: ...

@final
class Event:
    """One event. `id` is 0 for what is not stored: volatile events, and the control records
    `connected`, `gap` and `deleted`.
    """
    @property
    def id(self) -> int:
        """Per session, from 1, in the order of commit (R33); 0 for what is not stored."""
    @property
    def execution_id(self) -> str | None:
        """The execution it belongs to; `None` for control records."""
    @property
    def session_id(self) -> str:
        """The session it belongs to."""
    @property
    def type(self) -> str:
        """Its type, `streamEventType` on the wire."""
    @property
    def timestamp(self) -> datetime:
        """The event's own time, as an aware `datetime` in UTC."""
    @property
    def timestamp_ms(self) -> int:
        """The event's own time in milliseconds since the Unix epoch."""
    @property
    def late(self) -> bool:
        """It came after the execution had ended (R10a)."""
    @property
    def control(self) -> bool:
        """A control record of the stream: `connected`, `gap` or `deleted`."""
    @property
    def data(self) -> Any:
        """The data, read with `json.loads` when it is first asked for. An integer of more digits
        than Python reads (`sys.set_int_max_str_digits`) is a `decimal.Decimal`.
        """
    @property
    def raw_data(self) -> str:
        """The data as JSON text, as it was received."""
    @property
    def frame(self) -> str:
        """The frame that a subscriber at `/stream` gets."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Events(Iterator[Event]):
    """Stored events, read in bounded rounds as the iteration goes on (R36)."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> Event: ...
    def _is_ready(self) -> bool:
        """For `stayline.aio`: whether the next step reads nothing from the store."""
    def _read_ahead(self) -> None:
        """For `stayline.aio`: reads a round, so that the next step need not."""

@final
class Subscription(Iterator[Event]):
    """A cursor over a session's log: the past, then live, each event once and in order (R35).

    Iterate it; when its `timeout` ended the iteration, iterating again goes on. `ended` says
    whether the stream is over for good.
    """
    @property
    def session_id(self) -> str:
        """The session it reads."""
    @property
    def epoch(self) -> str:
        """The log's epoch, to be given when resuming (R34a)."""
    @property
    def last_id(self) -> int:
        """The id of the newest event given: resume with `after=` this."""
    @property
    def ended(self) -> bool:
        """Whether the stream is over: closed, deleted, or `until` was reached."""
    def try_next(self) -> Event | None:
        """The next event without waiting; `None`: nothing now (`fileno()` is made unreadable),
        or the stream is over (`ended`).
        """
    def fileno(self) -> int:
        """A descriptor for event loops: readable from an event until a take finds nothing, and
        for ever once the stream is over.
        """
    def close(self) -> None:
        """Ends the stream. Twice is fine."""
    def _try_next_in_memory(self) -> Event | None:
        """For `stayline.aio`: the next event if it is in memory. `None`: nothing now, or the
        stream is over, or it is behind, or somebody is reading it.
        """
    def _is_behind(self) -> bool:
        """For `stayline.aio`: whether the next take would read from the store, or wait for
        somebody who does.
        """
    def _read_ahead(self) -> None:
        """For `stayline.aio`: reads a round from the store, so that the next take need not."""
    def _waiting(self) -> Waiting:
        """For `stayline.aio`: a place to wait for events and the end."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> Event: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class Notification:
    """What a host is told: that a run ended, that a session is idle, that a late result came
    (R39).

    Taken from the queue it is leased for `notification_lease_ms`: acknowledge it, or it comes
    again. One that was delivered `notification_attempts` times is parked.
    """
    @property
    def id(self) -> str:
        """Its own id; the same at each delivery."""
    @property
    def kind(self) -> Literal["execution_ended", "session_idle", "late_result"]:
        """`execution_ended`, `session_idle` or `late_result`."""
    @property
    def session_id(self) -> str:
        """The session it is about."""
    @property
    def execution_id(self) -> str | None:
        """The execution it is about; `None` for `session_idle`."""
    @property
    def status(self) -> _Status | None:
        """How it ended; for a late result, how the wrapper says it ended."""
    @property
    def error(self) -> str | None:
        """Why it failed or was interrupted."""
    @property
    def branch(self) -> str | None:
        """The branch that the run named when it completed (R29)."""
    @property
    def agent_session_id(self) -> str | None:
        """The agent's own session id, where it is known (R30)."""
    @property
    def attempt(self) -> int:
        """Which delivery this is, from 1."""
    @property
    def parked(self) -> bool:
        """Whether all its deliveries are used up: it comes no more unless it is requeued (R39)."""
    @property
    def created_at(self) -> datetime:
        """When it was enqueued, as an aware `datetime` in UTC."""
    def ack(self) -> None:
        """It was dealt with and does not come again (R39). Raises `NotFound` when it is not
        there any more, because it was acknowledged before.
        """
    def nack(self, retry_in: _Seconds | None = None) -> None:
        """It could not be dealt with: it comes again in `retry_in` seconds (a number or a
        `timedelta`; default: at once), unless this was its last delivery (R39).
        """
    def requeue(self) -> None:
        """Puts a parked one back into the queue, with all its deliveries (R39)."""
    def _give_back(self) -> None:
        """For `stayline.aio`: nobody got to see it; the delivery does not count."""

@final
class Notifications(Iterator[Notification]):
    """Takes notifications as they come; see `Coordinator.notifications`."""
    def try_next(self) -> Notification | None:
        """The next one without waiting; `None`: nothing now, and `fileno()` is made unreadable."""
    def fileno(self) -> int:
        """A descriptor for event loops: readable from a notification until a take finds nothing."""
    def _waiting(self) -> Waiting:
        """For `stayline.aio`: a place to wait for notifications."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> Notification: ...

# --- values -------------------------------------------------------------------------------------

@final
class Send:
    """A text frame to write to the socket."""

    __match_args__ = ("text",)
    def __new__(cls, text: str) -> Self: ...
    @property
    def text(self) -> str:
        """The frame."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Close:
    """The last output of a link: close the socket with this code and reason."""

    __match_args__ = ("code", "reason")
    def __new__(cls, code: int, reason: str) -> Self: ...
    @property
    def code(self) -> int:
        """The WebSocket close code."""
    @property
    def reason(self) -> str:
        """The reason in words."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Kill:
    """Stop the agent now (R46, R52): `SIGTERM` asks, `SIGKILL` insists. Answer with `aborted()`."""

    __match_args__ = ("signal",)
    def __new__(cls, signal: str) -> Self: ...
    @property
    def signal(self) -> str:
        """`SIGTERM` or `SIGKILL`."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Reconnecting:
    """The connection is gone and attempt `attempt` will be made (R41)."""

    __match_args__ = ("attempt",)
    def __new__(cls, attempt: int) -> Self: ...
    @property
    def attempt(self) -> int:
        """From 1."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Reconnected:
    """Connected again, and what was buffered is on its way (R41)."""

    __match_args__ = ()
    def __new__(cls) -> Self: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Ended:
    """The execution has ended (R46): what `Wrapper.complete`, `fail`, `interrupted` and
    `outcome` return, and a signal.
    """

    __match_args__ = ("status", "error", "unacknowledged")
    def __new__(cls, status: str | None, error: str | None, unacknowledged: int) -> Self: ...
    @property
    def status(self) -> _Ending | None:
        """`completed`, `failed` or `interrupted`; `None` when the coordinator did not say."""
    @property
    def error(self) -> str | None:
        """Why, for those that did not complete."""
    @property
    def unacknowledged(self) -> int:
        """Events that were given up unacknowledged."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Replaced:
    """Another wrapper has taken over; this one has stopped (R46)."""

    __match_args__ = ()
    def __new__(cls) -> Self: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class RunTask:
    """Run this post-completion task and answer with `task_done` (R51)."""

    __match_args__ = ("name",)
    def __new__(cls, name: str) -> Self: ...
    @property
    def name(self) -> str:
        """The task's name, as given to `start_job`."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class RestartFeed:
    """The agent's own event feed has gone silent: connect to it anew (R53)."""

    __match_args__ = ()
    def __new__(cls) -> Self: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Command:
    """A frame from the coordinator that the wrapper does not know (R52)."""

    __match_args__ = ("data",)
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __new__(cls, data: Any) -> Self: ...
    @property
    def data(self) -> Any:
        """The frame, read as JSON."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class Drained:
    """Everything was sent, the run is over and the link closed (R51)."""

    __match_args__ = ()
    def __new__(cls) -> Self: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Connect:
    """Open connection attempt `attempt`; answer with `handle_opened` or `handle_refused`."""

    __match_args__ = (
        "attempt",
        "execution_id",
        "protocol",
        "producer",
        "dial_timeout_ms",
        "upgrade_timeout_ms",
    )
    def __new__(
        cls,
        attempt: int,
        execution_id: str,
        protocol: int | None,
        producer: str | None,
        dial_timeout_ms: int,
        upgrade_timeout_ms: int,
    ) -> Self: ...
    @property
    def attempt(self) -> int:
        """The attempt's number; it comes back with every input."""
    @property
    def execution_id(self) -> str:
        """The execution to attach to."""
    @property
    def protocol(self) -> int | None:
        """The protocol to ask for; `None`: basic mode."""
    @property
    def producer(self) -> str | None:
        """The producer to name (R45a)."""
    @property
    def dial_timeout_ms(self) -> int:
        """How long TCP and TLS may take, in ms."""
    @property
    def upgrade_timeout_ms(self) -> int:
        """How long the answer to the upgrade may take, in ms."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Write:
    """Write this text frame."""

    __match_args__ = ("attempt", "text")
    def __new__(cls, attempt: int, text: str) -> Self: ...
    @property
    def attempt(self) -> int:
        """To which attempt's connection."""
    @property
    def text(self) -> str:
        """The frame."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class CloseAttempt:
    """Close this attempt's connection, or stop dialling."""

    __match_args__ = ("attempt", "code", "reason")
    def __new__(cls, attempt: int, code: int, reason: str) -> Self: ...
    @property
    def attempt(self) -> int:
        """Which."""
    @property
    def code(self) -> int:
        """The close code."""
    @property
    def reason(self) -> str:
        """The reason in words."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

# --- the wrapper's side -------------------------------------------------------------------------

@final
class Wrapper:
    """Sends an agent's events to a coordinator; reconnects, buffers and sends again by itself::

        with stayline.Wrapper(url, session_id="s", execution_id=id, token=token) as wrapper:
            wrapper.send("output", {"text": "hi"})
            ended = wrapper.complete()

    `url` is the server's base; `token` the execution's. `settings` say how to reconnect (R41),
    buffer (R40, R44) and keep (`outbox`, R45e). It connects at once, in the background.

    `proxy` is `"environment"` (`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, as for curl),
    `"none"`, or the address of one, `http://[USER:PASSWORD@]HOST[:PORT]`.

    As a context manager it waits for its first connection (unless `retry_first`), and leaving it
    waits until everything sent is acknowledged, up to `ack_timeout_ms`. An exception that leaves
    it, unless the run has had its ending, fails the run with its text, or interrupts it
    (`KeyboardInterrupt`, cancellation, an exit by a signal, or any after a `Kill`); then it goes
    on (R51a).

    The run is active from the beginning: an interrupt arrives as a `Kill` signal; stop the agent
    and say `aborted()`, or end the run yourself (R52). Hosts that give jobs and turns themselves
    (`start_job`, `begin_turn`) pass `active=False`; then a kill between turns ends the run at
    once.
    """
    def __new__(
        cls,
        url: str,
        *,
        session_id: str,
        execution_id: str,
        token: str | None = None,
        proxy: str = "environment",
        settings: Settings | None = None,
        retry_first: bool = False,
        active: bool = True,
    ) -> Self: ...
    @property
    def url(self) -> str:
        """The server's base URL, as given."""
    @property
    def session_id(self) -> str:
        """The session it belongs to."""
    @property
    def execution_id(self) -> str:
        """The execution it sends for."""
    @property
    def state(self) -> _State:
        """`idle`, `connecting`, `connected`, `reconnecting` or `closed`."""
    @property
    def settings(self) -> Settings:
        """Its settings."""
    @property
    @property
    def buffered(self) -> int:
        """Events not yet written to a link."""
    @property
    def unacknowledged(self) -> int:
        """Events written and not yet acknowledged."""
    @property
    def attempts(self) -> int:
        """Connection attempts so far."""
    @property
    def reconnects(self) -> int:
        """How often it came back after a disconnect (R41)."""
    def wait_connected(self, timeout: _Seconds | None = None) -> None:
        """Waits for the connection, at most `timeout` seconds (a number or a `timedelta`;
        `None`: as long as it takes). Raises `Timeout` when the time is over, `Disconnected` when
        the wrapper gave up (R48), `Superseded` when another one took over, `Closed`.
        """
    def send(
        self,
        event_type: str,
        data: Any = None,
        *,
        raw_data: str | None = None,
        droppable: bool = False,
        timestamp: _Moment | None = None,
    ) -> None:
        """Sends an event of the type `event_type`; `data` is anything that JSON can say,
        `raw_data` JSON text as it is. `timestamp` is the event's own time, an aware `datetime`
        or ms since the Unix epoch; default: now.

        Never loses silently (R40): what the coordinator would refuse raises `InvalidEvent`. When
        the buffer is full and the policy is to wait, it waits up to `send_timeout_ms`, then
        raises `Full`. A `droppable` event gives way first (R44). Once the run has ended, or the
        wrapper was closed, it raises `Closed`; `Disconnected` when the wrapper gave up,
        `Superseded` when another one took over. What ends the execution is never too large: it
        is cut (R40).
        """
    def try_send(
        self,
        event_type: str,
        data: Any = None,
        *,
        raw_data: str | None = None,
        droppable: bool = False,
        timestamp: _Moment | None = None,
    ) -> None:
        """The same as `send` (`event_type`, `data`, `raw_data`, `droppable`, `timestamp`)
        without ever waiting: raises `Full` at once.
        """
    def complete(
        self, exit_code: int = 0, *, branch: str | None = None, timeout: _Seconds | None = None
    ) -> Ended:
        """The run is complete: sends `complete`, drains, and returns how it ended once that is
        known (R46, R51). `exit_code` and `branch` are stored with it (R29). Raises `Timeout`
        when `timeout` seconds are over before, and the ending is under way all the same;
        `Disconnected`, `Superseded`, and `Closed` when it has ended already.
        """
    def fail(
        self, error: str, *, exit_code: int | None = None, timeout: _Seconds | None = None
    ) -> Ended:
        """The run failed: sends a fatal `error`, drains, and returns how it ended (R46).
        `exit_code`, where there is one, is stored with it (R29). Waits up to `timeout` seconds
        and raises as `complete` does.
        """
    def interrupted(
        self,
        reason: str | None = None,
        *,
        exit_code: int | None = None,
        timeout: _Seconds | None = None,
    ) -> Ended:
        """The run was stopped: sends `interrupted`, drains, and returns how it ended (R46).
        `exit_code`, where there is one, is stored with it (R29). Waits up to `timeout` seconds
        and raises as `complete` does.
        """
    def outcome(self, timeout: _Seconds | None = None) -> Ended:
        """Waits for how the execution ended, whoever ends it (R46), at most `timeout` seconds (a
        number or a `timedelta`; `None`: for ever). Raises `Timeout` when the time is over,
        `Disconnected` when the wrapper gave up, `Superseded` when another one took over,
        `Closed`.
        """
    def poll_connected(self) -> bool:
        """Looks without waiting: `True` when it is connected, and raises as `wait_connected`
        does. When it is not connected yet `changes_fileno()` is made unreadable.
        """
    def poll_outcome(self) -> Ended | None:
        """Looks without waiting: how it ended, `None` while it has not, and raises as `outcome`
        does. When it has not ended `changes_fileno()` is made unreadable.
        """
    def changes_fileno(self) -> int:
        """A descriptor for event loops: readable when `poll_connected`, `poll_outcome` or
        `try_send` may have another answer.
        """
    def start_job(
        self,
        *,
        agent_session: str | None = None,
        tasks: Sequence[str] | None = None,
        branch: str | None = None,
    ) -> None:
        """Begins a job for this execution (R49): `agent_session` is the agent's own session id,
        whose idleness ends the run; `tasks` names what `RunTask` shall ask for after it;
        `branch` goes into `complete` (R51). Raises `JobConflict` while another one is active.
        """
    def begin_turn(self) -> str:
        """A prompt goes to the agent: returns the message id for it (R49, R50)."""
    def agent_event(self, event_type: str, properties: Any = None) -> None:
        """Hands over an event of the agent's own feed, in the `kilo` dialect: its type
        `event_type` and its `properties`, anything that JSON can say (R30, R53, R54).
        """
    def idle(self) -> None:
        """The run is idle: runs the tasks, completes, drains (R51). For hosts without a dialect."""
    def task_done(self, name: str, ok: bool = True) -> None:
        """A post-completion task that `RunTask` asked for has ended, well unless `ok` is false
        (R51).
        """
    def aborted(self) -> None:
        """The agent was stopped, as `Kill` asked for (R52)."""
    def signals(self, timeout: _Seconds | None = None) -> Signals:
        """What the host has to know, as it comes: `Kill`, `Reconnecting`, `Reconnected`,
        `Ended`, `Replaced`, `Disconnected`, `RunTask`, `RestartFeed`, `Command`, `Drained`.
        Waits up to `timeout` seconds for each; ends after the last one, or quietly when none
        came.
        """
    def try_signal(self) -> _Signal | None:
        """The next signal without waiting; `None`: nothing now, and `fileno()` is made
        unreadable.
        """
    def fileno(self) -> int:
        """A descriptor for event loops: readable from a signal until a take finds nothing."""
    def on_kill(self, callback: _OnKill) -> None:
        """Calls `callback(kill)` on a Python thread of its own for each `Kill` from now on.
        `signals` gives them all the same.
        """
    def close(self) -> int:
        """Closes it and gives up what is unacknowledged; returns how many events that were
        (R42).
        """
    def _signals_are_over(self) -> bool:
        """For `stayline.aio`: whether there will be no more signals."""
    def _raised(self, error: BaseException) -> float | None:
        """For `stayline.aio`: ends the run of a block that an exception left (R51a). Returns for
        how many seconds its ending is to be waited for; `None`: as if there had been no
        exception.
        """
    def _retries_first(self) -> bool:
        """For `stayline.aio`: whether entering it does not wait for the first connection."""
    def _waiting_for_signals(self) -> Waiting:
        """For `stayline.aio`: a place to wait for signals."""
    def _waiting_for_changes(self) -> Waiting:
        """For `stayline.aio`: a place to wait for the connection, for room and for the outcome."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

@final
class Signals(Iterator[_Signal]):
    """The signals of a wrapper as an iterator; see `Wrapper.signals`."""
    def fileno(self) -> int:
        """A descriptor for event loops: readable from a signal until a take finds nothing."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> _Signal: ...

@final
class SansioWrapper:
    """The machine itself, without sockets, threads or a clock; `now_ms` is the host's.

    After every call empty `poll_action()`; at `next_deadline_ms()` call `handle_timeout`. It is
    plain memory, so it works in a forked child too.

    `now_ms` is the time in ms of any clock that only goes forward. `attempt` is the number that
    came with `Connect`; what names an older one changes nothing (R42). `seed` makes jitter and
    producer ids repeatable; without one they are random.
    """
    def __new__(cls, settings: Settings | None = None, *, seed: int | None = None) -> Self: ...
    def open(self, execution_id: str, now_ms: int, *, retry_first: bool = False) -> None:
        """Begins the first connection attempt for the execution `execution_id`. It fails fast
        (R48), unless `retry_first`.
        """
    def handle_opened(self, attempt: int, protocol: int | None, now_ms: int) -> None:
        """The handshake of an attempt succeeded; `protocol` is what the answer granted."""
    def handle_refused(
        self,
        attempt: int,
        now_ms: int,
        *,
        http_status: int | None = None,
        refusal: str | None = None,
        execution_status: _Status | None = None,
        retry_after_ms: int | None = None,
        detail: str = "",
    ) -> None:
        """An attempt failed (R46). When there was an answer, `http_status` is its status,
        `refusal` and `execution_status` the values of its headers `Stayline-Refusal` and
        `Stayline-Status` where they were there; `None` otherwise. `retry_after_ms`, its
        `Retry-After` in ms: the next attempt comes no sooner, as far as `reconnect_cap_ms` goes
        (R41). `detail` says in words what happened.
        """
    def handle_closed(self, attempt: int, code: int, reason: str, now_ms: int) -> None:
        """An attempt's connection is closed, with this WebSocket close `code` and reason (R41)."""
    def handle_frame(self, attempt: int, text: str, now_ms: int) -> None:
        """A text frame came from the coordinator."""
    def handle_timeout(self, now_ms: int) -> None:
        """Does everything that is due at `now_ms`."""
    def send(
        self,
        event_type: str,
        data: Any = None,
        *,
        now_ms: int,
        raw_data: str | None = None,
        droppable: bool = False,
        timestamp: _Moment | None = None,
    ) -> None:
        """Sends an event of the type `event_type`; `data`, `raw_data`, `droppable` and
        `timestamp` as for `stayline.Wrapper.send` (R40). Raises `Full` at once when the policy
        is to wait: call again once `has_room`.
        """
    @property
    def has_room(self) -> bool:
        """Whether `send` would be taken now."""
    def complete(self, exit_code: int = 0, *, now_ms: int, branch: str | None = None) -> None:
        """The run is complete: `complete` is sent with `exit_code` and `branch`, then it drains
        (R51). Raises `Closed` when it has ended before.
        """
    def fail(self, error: str, *, now_ms: int, exit_code: int | None = None) -> None:
        """The run failed: a fatal `error` is sent, with `exit_code` where there is one, then it
        drains (R29, R51).
        """
    def _raised(self, what: str, stopped: bool, exit_code: int | None, now_ms: int) -> None:
        """For `stayline.testing`: the code that has the run in its hands raised (R51a)."""
    def interrupted(
        self, reason: str | None = None, *, now_ms: int, exit_code: int | None = None
    ) -> None:
        """The run was stopped: `interrupted` is sent, with `exit_code` where there is one, then
        it drains (R29, R51).
        """
    def close(self, now_ms: int) -> int:
        """The host closes; returns how many unacknowledged events are given up (R42)."""
    def start_job(
        self,
        execution_id: str,
        *,
        now_ms: int,
        agent_session: str | None = None,
        tasks: Sequence[str] | None = None,
        branch: str | None = None,
    ) -> None:
        """Begins a job for `execution_id` (R49); `agent_session`, `tasks` and `branch` as for
        `stayline.Wrapper.start_job`. Raises `JobConflict` while another one is active.
        """
    def begin_turn(self, now_ms: int) -> str:
        """A prompt goes to the agent: returns the message id for it (R49, R50)."""
    def handle_agent_event(self, event_type: str, properties: Any = None, *, now_ms: int) -> None:
        """An event of the agent's own feed, in the `kilo` dialect: its type `event_type` and its
        `properties`, anything that JSON can say (R30, R53, R54).
        """
    def handle_idle(self, now_ms: int) -> None:
        """The run is idle, for hosts without a dialect (R51)."""
    def handle_task_done(self, name: str, ok: bool = True, *, now_ms: int) -> None:
        """A post-completion task that `RunTask` asked for has ended, well unless `ok` is false
        (R51).
        """
    def handle_aborted(self, now_ms: int) -> None:
        """The agent was stopped, as `Kill` asked for (R52)."""
    def poll_action(self) -> Connect | Write | CloseAttempt | _Signal | None:
        """The next thing to do: `Connect`, `Write`, `CloseAttempt`, or a signal for the host."""
    def next_deadline_ms(self) -> int | None:
        """When `handle_timeout` is due next, in ms of the clock that `now_ms` is of; `None`:
        never.
        """
    @property
    def state(self) -> _State:
        """`idle`, `connecting`, `connected`, `reconnecting` or `closed`."""
    @property
    def buffered(self) -> int:
        """Events not yet written."""
    @property
    def unacknowledged(self) -> int:
        """Events written and not acknowledged."""
    @property
    def attempts(self) -> int:
        """Connection attempts so far."""
    @property
    def producer(self) -> str | None:
        """The producer's id (R45a)."""
    @property
    def outcome(self) -> Ended | Drained | Replaced | Disconnected | Closed | None:
        """How it ended, once that is known: `Ended`, `Drained`, `Replaced`, `Disconnected`, or
        `Closed` when the host closed it.
        """

# --- for stayline.cli ---------------------------------------------------------------------------

def _dial(url: str, timeout: float, proxy: str) -> int:
    """Connects to the host of the address `url`, trying every address of its name, within
    `timeout` seconds, through a `proxy` as a wrapper does. Returns the socket's descriptor,
    yours to close; raises `InvalidArgument` and `ConnectionError`.
    """

def _line_to_events(
    line: bytes, settings: Settings, *, stderr: bool = False
) -> list[tuple[str, str]]:
    """Turns one line of a program's stdout into `(event type, data as JSON text)`, at least one.
    `stderr`: of its stderr, which is text whatever it looks like.
    """

def _event(
    id: int,
    execution_id: str | None,
    session_id: str,
    event_type: str,
    timestamp: int,
    late: bool,
    data: str,
) -> Event:
    """An event that was copied or has come from another process; one without an execution is a
    control record.
    """

def _without_signals(call: Callable[[], _T]) -> _T:
    """Calls `call` with all signals blocked on this thread, but for those of its own faults:
    what it starts has them blocked from its first instruction on. Returns, or raises, what it
    does.
    """

def _start_program(
    program: list[bytes],
    environment: list[tuple[bytes, bytes]],
    descriptors: tuple[int, int, int],
    *,
    group: bool,
    terminal: bool,
) -> int:
    """Starts `program` (bytes) with `environment` and the descriptors as its stdin, stdout and
    stderr; returns its process id. `group`: a process group of its own. `terminal`: it leads a
    session whose terminal is its stdin. Where the system can, it is killed when the thread that
    called this ends. Raises `OSError` when it cannot be started.
    """

def _adopt_orphans() -> bool:
    """Makes this process the parent of whatever its descendants leave behind, as the first
    process of a container is; it must wait for them. False where the system has no such thing.
    """

def _adopts_orphans() -> bool:
    """Whether orphans come to this process already."""

# --- for stayline.aio ---------------------------------------------------------------------------

@final
class Waiting:
    """An event loop's place at a bell: a descriptor of its own for the time of one wait, so that
    several loops, and several tasks of one, never take each other's wake-ups.
    """
    def fileno(self) -> int:
        """Readable from a ring until `clear`."""
    def clear(self) -> None:
        """Makes it unreadable; look after this, not before."""
    def close(self) -> None:
        """Rings no more, and gives the descriptor back. Twice is fine."""

def _to_json(value: Any) -> str:
    """For `stayline.aio`: `encode`, so that an event that has to wait for room is encoded once."""

def _without_credentials(address: str) -> str:
    """An address as it may be shown: without a password, and without its query."""

def _from_json(text: str) -> Any:
    """For the command line and `stayline.web`: JSON text as a value, as `Event.data` reads it."""

# --- for stayline._threads ----------------------------------------------------------------------

@final
class Questions:
    """The desk as the Python threads see it."""
    def next(self) -> Question | None:
        """The next question; waits for it. `None`: the server is closed."""
    def stop(self) -> None:
        """Answers nothing any more ("later"), and ends `next`."""

@final
class Question:
    """One question, to be answered once. One that is dropped unanswered was answered "later"."""
    @property
    def session_id(self) -> str:
        """The session the wrapper names."""
    @property
    def execution_id(self) -> str:
        """The execution the wrapper names."""
    @property
    def bearer(self) -> str | None:
        """What it sent as its bearer token."""
    def answer(self, verdict: bool | None) -> None:
        """The answer: allow, deny, or `None`: that is not known now."""

@final
class Kills:
    """The kills of a wrapper, for the thread of `on_kill`. It does not keep the wrapper alive."""
    def next(self) -> Kill | None:
        """The next kill; waits for it. `None`: there will be no more."""
    def stop(self) -> None:
        """Ends `next`."""

def _log_next() -> tuple[int, str] | None:
    """The next record, `(level, text)`; waits for it. `None`: the log was stopped."""

def _log_level(level: int) -> None:
    """Python's logger wants records from this level on."""

def _log_stop() -> None:
    """Ends the log's thread once it has taken what there is."""
