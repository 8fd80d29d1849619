"""The two requests that ``stayline run --to`` makes before and instead of a connection."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import stayline

#: Seconds. A server that does not answer by then is not going to.
_PATIENCE = 10.0


class Rest:
    """A server's REST interface, with its key."""

    def __init__(self, url: str, key: str | None) -> None:
        scheme, separator, rest = url.partition("://")
        secure = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        if not separator or secure not in ("http", "https"):
            raise stayline.InvalidArgument(
                f"{url!r} is no server's address; write it like http://127.0.0.1:8787"
            )
        self._base = f"{secure}://{rest.rstrip('/')}"
        self._key = key
        # As the wrapper's own connection does, and unlike urllib by default: straight there.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def start(self, session_id: str, mode: str | None) -> tuple[str, str]:
        """Starts an execution; its id and token."""
        answer = self._post(f"{_segment(session_id)}/executions", {"mode": mode})
        return answer["executionId"], answer["token"]

    def fail(self, session_id: str, execution_id: str, message: str) -> None:
        """Fails an execution that was started and did not get anywhere (R10)."""
        path = f"{_segment(session_id)}/executions/{_segment(execution_id)}/fail"
        self._post(path, {"message": message})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        url = f"{self._base}/sessions/{path}"
        request = urllib.request.Request(
            url,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        if self._key is not None:
            request.add_header("Authorization", f"Bearer {self._key}")
        try:
            with self._opener.open(request, timeout=_PATIENCE) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ServerRefused(self._base, error.code, error.read()) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise ConnectionError(
                None, f"cannot reach {self._base}: {reason}; is `stayline serve` running there?"
            ) from None
        except ValueError:
            raise ConnectionError(None, f"{url} did not answer as Stayline does") from None


class ServerRefused(OSError):
    """The server answered, and said no."""

    def __init__(self, base: str, status: int, body: bytes) -> None:
        try:
            answer = json.loads(body)
            text, name = str(answer["message"]), str(answer["error"])
        except (ValueError, KeyError, TypeError):
            text, name = "it does not answer as Stayline does", ""
        if name == "Unauthorized":
            text = "the key is missing or wrong; give it by STAYLINE_KEY or --key"
        super().__init__(None, f"{base} refused ({status}): {text}")


def _segment(text: str) -> str:
    return urllib.parse.quote(text, safe="")
