"""A server's REST interface (docs/rest.md), as far as the command line needs it."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import stayline

#: Seconds. A server that does not answer by then is not going to.
_PATIENCE = 10.0


class Rest:
    """A server, with its key."""

    def __init__(self, url: str, key: str | None) -> None:
        scheme, separator, rest = url.partition("://")
        secure = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        if not separator or secure not in ("http", "https"):
            raise stayline.InvalidArgument(
                f"{url!r} is no server's address; write it like http://127.0.0.1:8787"
            )
        #: Its address.
        self.base = f"{secure}://{rest.rstrip('/')}"
        self._key = key
        # As the wrapper's own connection does, and unlike urllib by default: straight there.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def start(self, session_id: str, mode: str | None) -> tuple[str, str]:
        """Starts an execution; its id and token."""
        answer = self.post(f"{segment(session_id)}/executions", {"mode": mode})
        return answer["executionId"], answer["token"]

    def fail(self, session_id: str, execution_id: str, message: str) -> bool:
        """Fails an execution (R7); whether it had not ended already."""
        path = f"{segment(session_id)}/executions/{segment(execution_id)}/fail"
        return bool(self.post(path, {"message": message})["failed"])

    def interrupt(self, session_id: str, execution_id: str | None, body: Mapping[str, Any]) -> str:
        """Asks an execution, or the active one, to stop (R11); the verdict."""
        named = "" if execution_id is None else f"/executions/{segment(execution_id)}"
        return str(self.post(f"{segment(session_id)}{named}/interrupt", body)["verdict"])

    def get(self, path: str, asked: Mapping[str, Any] | None = None) -> Any:
        """Reads something below ``/sessions``."""
        with self.open(path, asked) as answer:
            return self._read(answer)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Does something below ``/sessions``."""
        with self.open(path, body=body) as answer:
            return self._read(answer)

    def open(
        self,
        path: str,
        asked: Mapping[str, Any] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = _PATIENCE,
    ) -> Any:
        """The answer, to be read and closed. ``NotFound`` when the server says so,
        ``ConnectionError`` when it cannot be reached, ``ServerRefused`` for the rest."""
        url = f"{self.base}/sessions{'/' if path else ''}{path}"
        if asked:
            url += f"?{urllib.parse.urlencode(asked)}"
        request = urllib.request.Request(url, headers=dict(headers or {}))
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.method = "POST"
        if self._key is not None:
            request.add_header("Authorization", f"Bearer {self._key}")
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(self.base, error.code, error.read()) from None
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(None, _unreachable(self.base, error)) from None

    def _read(self, answer: Any) -> Any:
        try:
            return json.load(answer)
        except ValueError:
            raise ConnectionError(None, f"{self.base} did not answer as Stayline does") from None
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(None, f"cannot reach {self.base}: {error}") from None


class ServerRefused(OSError):
    """The server answered, and said no."""

    def __init__(self, base: str, status: int, text: str, name: str) -> None:
        #: The error's name, as in docs/rest.md; may be empty.
        self.name = name
        if name == "Unauthorized":
            text = "the key is missing or wrong; give it by STAYLINE_KEY or --key"
        super().__init__(None, f"{base} refused ({status}): {text}")


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


def _refusal(base: str, status: int, body: bytes) -> Exception:
    try:
        answer = json.loads(body)
        text, name = str(answer["message"]), str(answer["error"])
    except (ValueError, KeyError, TypeError):
        # A server that speaks TLS says so to those who do not.
        said = body[:200].decode("utf-8", "replace").strip()
        text, name = said if "https://" in said else "it does not answer as Stayline does", ""
    if name == "NotFound":
        return stayline.NotFound(f"{base}: {text}")
    return ServerRefused(base, status, text, name)
