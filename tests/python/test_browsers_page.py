"""The host's side of `docs/browsers.md`. Its programs for pages are run by `tests/node`."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import PATIENCE
from fastapi import Depends, FastAPI, HTTPException
from hosts import AppServer, post
from stayline import aio

PAGE = Path(__file__).parents[2] / "docs" / "browsers.md"
SESSION = "user_1/agent:1"


class User:
    def may_watch(self, session_id: str) -> bool:
        return session_id == SESSION


def test_the_route_that_gives_tickets() -> None:
    coordinator = aio.Coordinator("memory:")
    scope: dict[str, Any] = {"coordinator": coordinator, "quote": quote, "User": User}
    scope |= {"Depends": Depends, "HTTPException": HTTPException, "signed_in": User}

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        async with coordinator, coordinator.serve(key="secret") as server:
            scope["public_url"] = server.url
            await coordinator.session(SESSION).start()
            yield

    scope["app"] = FastAPI(lifespan=lifespan)
    (source,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    exec(compile(source, PAGE, "exec"), scope)
    with AppServer(scope["app"]) as host:
        given = post(f"{host.url}/api/sessions/{SESSION}/ticket")
        with urllib.request.urlopen(
            f"{given['url']}/events?ticket={given['ticket']}", timeout=PATIENCE
        ) as answer:
            line = next(line for line in answer if line.startswith(b"data: "))
        assert json.loads(line[6:])["streamEventType"] == "connected"
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(f"{host.url}/api/sessions/other/ticket")
        with refused.value as answer:
            assert answer.code == 403
