"""A server's REST interface (docs/rest.md), as far as the command line needs it.

It connects as a wrapper does: every address of the server's name is given its chance, and the proxy
that ``--proxy``, ``HTTPS_PROXY`` or ``HTTP_PROXY`` names is gone through.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import stayline
from stayline._internal import _dial, _without_credentials
from stayline.cli.console import complain
from stayline.cli.strangers import ADVICE, asked, told

#: Seconds. A server that does not answer by then is not going to.
_PATIENCE = 10.0

#: What the wrapper's option ``proxy`` is where nothing is said.
ENVIRONMENT = "environment"

#: Seconds. A whole answer has come by then, however slowly.
_WHOLE = 60.0

#: Seconds, in all, in which a server that asks to come back later is asked again.
_COME_BACK_WITHIN = 30.0

#: Seconds that are waited at least: what asks to come back at once is not asked in a loop.
_SOON = 0.2

#: What a server says that has no room, or a proxy before it: with ``Retry-After``, when there is.
_NO_ROOM = (429, 503)

#: Bytes of an answer, and of a refusal, that are read at most. Our own pages are far smaller.
_LARGEST_ANSWER = 64 * 1_048_576
_LARGEST_REFUSAL = 65_536
_PART = 65_536


class Rest:
    """A server, with its key."""

    def __init__(self, url: str, key: str | None, proxy: str = ENVIRONMENT) -> None:
        scheme, separator, rest = url.partition("://")
        secure = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        if not separator or secure not in ("http", "https"):
            raise stayline.InvalidArgument(
                f"{shown(url)!r} is no server's address; write it like http://127.0.0.1:8787"
            )
        _check(url)
        #: Its address.
        self.base = f"{secure}://{rest.rstrip('/')}"
        self._key = None if key is None else _sendable(key)
        #: Waits; a command that takes signals in its own way waits in its own way.
        self.pause: Callable[[float], object] = time.sleep
        #: Whoever asks asks again by itself: nothing is waited for here.
        self.impatient = False
        # Of proxies our own connections know better.
        without = urllib.request.ProxyHandler({})
        self._opener = urllib.request.build_opener(
            without, _Plain(proxy), _Secure(proxy), _Unredirected()
        )

    @classmethod
    def of(cls, options: argparse.Namespace) -> Rest:
        """The server of ``--to``, as ``--key`` and ``--proxy`` say."""
        return cls(options.to, options.key, options.proxy or ENVIRONMENT)

    def start(self, session_id: str, mode: str | None) -> tuple[str, str]:
        """Starts an execution; its id and token."""
        path = f"{segment(session_id)}/executions"
        answer = self.post(path, {"mode": mode}, repeatable=False)
        return answer["executionId"], answer["token"]

    def fail(self, session_id: str, execution_id: str, message: str) -> bool:
        """Fails an execution (R7); whether it had not ended already."""
        path = f"{segment(session_id)}/executions/{segment(execution_id)}/fail"
        return bool(self.post(path, {"message": message})["failed"])

    def interrupt(self, session_id: str, execution_id: str | None, body: Mapping[str, Any]) -> str:
        """Asks an execution, or the active one, to stop (R11); the verdict."""
        named = "" if execution_id is None else f"/executions/{segment(execution_id)}"
        return str(self.post(f"{segment(session_id)}{named}/interrupt", body)["verdict"])

    def get(
        self, path: str, asked: Mapping[str, Any] | None = None, *, timeout: float = _PATIENCE
    ) -> Any:
        """Reads something below ``/sessions``."""
        with self.open(path, asked, timeout=timeout) as answer:
            return self._read(answer)

    def post(self, path: str, body: Mapping[str, Any], *, repeatable: bool = True) -> Any:
        """Does something below ``/sessions``; ``repeatable``: twice is as good as once."""
        with self.open(path, body=body, repeatable=repeatable) as answer:
            return self._read(answer)

    def health(self, timeout: float) -> None:
        """Whether it stores what it is given: raises ``ServerRefused`` when it does not."""
        self._open(urllib.request.Request(f"{self.base}/health"), timeout, patient=False).close()

    def open(
        self,
        path: str,
        asked: Mapping[str, Any] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = _PATIENCE,
        patient: bool = True,
        repeatable: bool = True,
    ) -> Any:
        """The answer, to be read and closed. ``NotFound`` when the server says so,
        ``ConnectionError`` when it cannot be reached, ``ServerRefused`` for the rest. A server that
        asks to come back later is asked again, ``patient``, where that does no harm."""
        url = f"{self.base}/sessions{'/' if path else ''}{path}"
        if asked:
            url += f"?{urllib.parse.urlencode(asked)}"
        request = urllib.request.Request(url, headers=dict(headers or {}))
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.method = "POST"
        return self._open(request, timeout, patient=patient, repeatable=repeatable)

    def stream(
        self,
        path: str,
        asked: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float,
        patient: bool = True,
    ) -> Any:
        """The same for server-sent events; ``ServerRefused`` where something else answers."""
        answer = self.open(path, asked, headers=headers, timeout=timeout, patient=patient)
        if answer.headers.get_content_type() == "text/event-stream":
            return answer
        with answer:
            text = told(answer.geturl(), answer.status, answer.headers, answer.read1(_PART))
            raise ServerRefused(self.base, answer.status, text, "", whole=True)

    def _open(
        self,
        request: urllib.request.Request,
        timeout: float,
        *,
        patient: bool,
        repeatable: bool = True,
    ) -> Any:
        began, waited = time.monotonic(), 0.0
        while True:
            try:
                return self._open_once(request, timeout)
            except ServerRefused as refusal:
                wait = refusal.retry_after
                if wait is None or not patient or self.impatient:
                    raise
                if not repeatable and refusal.name != "LimitExceeded":
                    raise refusal.with_advice(
                        "it may have been done all the same; look with `stayline runs --to "
                        f"{self.base}` before you try again"
                    ) from None
                if max(time.monotonic() - began, waited) + wait > _COME_BACK_WITHIN:
                    raise refusal.with_advice(f"try again in {wait:g} s") from None
                if not waited:
                    complain(f"{refusal.strerror}; trying again")
                self.pause(wait)
                waited += wait

    def _open_once(self, request: urllib.request.Request, timeout: float) -> Any:
        if self._key is not None:
            request.add_header("Authorization", f"Bearer {self._key}")
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                wait = _retry_after(error.code, error.headers.get("Retry-After"))
                body = error.read(_LARGEST_REFUSAL)
                raise _refusal(self.base, error, body, wait) from None
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(None, _unreachable(self.base, error)) from None

    def _read(self, answer: Any) -> Any:
        body, until = bytearray(), time.monotonic() + _WHOLE
        try:
            while part := answer.read1(_PART):
                body += part
                if len(body) > _LARGEST_ANSWER:
                    break
                if time.monotonic() > until:
                    raise OSError("it takes too long to answer")
            else:
                if answer.length:
                    raise OSError("it broke off")
                read = json.loads(body, object_hook=lambda found: _Told(found, self.base))
                return read if isinstance(read, _Told) else _Told({}, self.base)
        except ValueError:
            answered = told(answer.geturl(), answer.status, answer.headers, bytes(body))
            raise ConnectionError(None, answered) from None
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(None, f"cannot reach {self.base}: {error}") from None
        text = f"{self.base} answered with more than {_LARGEST_ANSWER >> 20} MiB; ask for less"
        raise ConnectionError(None, text)


class _Told(dict[str, Any]):
    """An object of an answer. What is missing in it is an answer of another kind of server."""

    def __init__(self, found: Mapping[str, Any], base: str) -> None:
        super().__init__(found)
        self._base = base

    def __missing__(self, name: str) -> Any:
        raise _other_kind(self._base)


def _other_kind(base: str) -> ConnectionError:
    return ConnectionError(None, f"{base} did not answer as Stayline does; {ADVICE}")


class _Unredirected(urllib.request.HTTPRedirectHandler):
    """A redirect is told. To follow it would take the key to wherever it leads, and no wrapper
    would get there."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _PlainConnection(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, proxy: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._proxy = proxy

    def connect(self) -> None:
        self.sock = _connected(self, "http", self._proxy)


class _SecureConnection(http.client.HTTPSConnection):
    _context: Any

    def __init__(self, *arguments: Any, proxy: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._proxy = proxy

    def connect(self) -> None:
        plain = _connected(self, "https", self._proxy)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, proxy: str) -> None:
        super().__init__()
        self._proxy = proxy

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, /, **options: Any) -> _PlainConnection:
        return _PlainConnection(host, proxy=self._proxy, **options)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, proxy: str) -> None:
        super().__init__()
        self._proxy = proxy

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, /, **options: Any) -> _SecureConnection:
        return _SecureConnection(host, proxy=self._proxy, **options)


def _connected(connection: http.client.HTTPConnection, scheme: str, proxy: str) -> socket.socket:
    name = connection.host
    host = f"[{name}]" if ":" in name else name.encode("idna").decode()
    address = f"{scheme}://{host}:{connection.port}"
    connected = socket.socket(fileno=_dial(address, _PATIENCE, proxy))
    connected.settimeout(connection.timeout)
    return connected


class ServerRefused(OSError):
    """The server answered, and said no."""

    def __init__(
        self,
        base: str,
        status: int,
        text: str,
        name: str,
        retry_after: float | None = None,
        *,
        whole: bool = False,
    ) -> None:
        #: The error's name, as in docs/rest.md; may be empty.
        self.name = name
        #: The HTTP status.
        self.status = status
        #: What it says.
        self.text = text
        #: Seconds after which it asks to come back, where it does.
        self.retry_after = retry_after
        if name == "Unauthorized":
            text = "the key is missing or wrong; give it by STAYLINE_KEY or --key"
        super().__init__(None, text if whole else f"{base} refused ({status}): {text}")

    def with_advice(self, advice: str) -> ServerRefused:
        """The same, with what to do."""
        self.strerror = f"{self.strerror}; {advice}"
        return self


def _check(url: str) -> None:
    """``InvalidArgument`` for what looks like an address and is none."""
    if shown(url) != url:
        raise stayline.InvalidArgument(
            f"the address {shown(url)!r} has a name, a password or a query, which is not sent; "
            "give the server's key by STAYLINE_KEY or --key"
        )
    try:
        parts = urllib.parse.urlsplit(url)
        # The port is read when it is asked for; a host's name must be one to be looked up.
        fits = parts.port != 0 and url.isprintable() and " " not in url
        fits = fits and bool((parts.hostname or "").encode("idna"))
    except ValueError:
        fits = False
    if not fits:
        raise stayline.InvalidArgument(
            f"{shown(url)!r} is no server's address; write it like http://127.0.0.1:8787"
        )


def shown(url: str) -> str:
    """An address as it may be shown: without a name, a password or a query in it."""
    return _without_credentials(url)


def _sendable(key: str) -> str:
    """The key, if a header can carry it: never shown, in no error either."""
    if key.isascii() and key.isprintable() and key == key.strip() and key:
        return key
    raise stayline.InvalidArgument(
        "the secret key has spaces around it, or characters beyond printable ASCII, which no "
        "header can carry; look at STAYLINE_KEY or --key"
    )


def segment(text: str) -> str:
    """An id as a part of a path."""
    return urllib.parse.quote(text, safe="")


def _unreachable(base: str, error: Exception) -> str:
    """Why, and what to do. An error of TLS is known by what it has: nothing else needs the module
    that defines it."""
    reason = getattr(error, "reason", error)
    distrusted = getattr(reason, "verify_message", None)
    if distrusted is not None:
        return (
            f"the certificate of {base} is not trusted here: {distrusted.rstrip('.')}; the address "
            "must have a name that it is for, and SSL_CERT_FILE may name an authority of your own"
        )
    if getattr(reason, "reason", None) in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return f"{base} does not speak TLS; is its address http://…?"
    return f"cannot reach {base}: {reason}; is `stayline serve` running there?"


def _retry_after(status: int, header: str | None) -> float | None:
    """Its other form, a date, would need the other side's clock."""
    text = (header or "").strip()
    if status not in _NO_ROOM or not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    return max(float(text), _SOON)


def _refusal(
    base: str, error: urllib.error.HTTPError, body: bytes, retry_after: float | None
) -> Exception:
    status = error.code
    try:
        answer = json.loads(body)
        text, name = str(answer["message"]), str(answer["error"])
    except (ValueError, KeyError, TypeError):
        text = told(error.url, status, error.headers, body)
        return ServerRefused(base, status, text, "", retry_after, whole=True)
    if name == "NotFound" and answer.get("what") == "this address":
        # One of ours, below another base path; no session of it is meant.
        text = f"{asked(error.url, status)} ({text}); {ADVICE}"
        return ServerRefused(base, status, text, name, retry_after, whole=True)
    if name == "NotFound":
        return stayline.NotFound(f"{base}: {text}")
    return ServerRefused(base, status, text, name, retry_after)
