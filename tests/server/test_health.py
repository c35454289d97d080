from __future__ import annotations

import httpx
import pytest

from headworks.server import health
from headworks.server.asgi import control_plane


async def probe(missing: str | None, path: str) -> httpx.Response:
    app = control_plane([health.router(lambda: missing)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        return await client.get(path)


@pytest.mark.parametrize("missing", [None, "The database has been away for 40 s."])
async def test_a_turning_loop_is_alive_whatever_is_missing(missing: str | None) -> None:
    answer = await probe(missing, "/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_a_server_that_lacks_nothing_is_ready() -> None:
    answer = await probe(None, "/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_a_server_that_lacks_something_says_what() -> None:
    answer = await probe("The database has been away for 40 s.", "/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "reason": "The database has been away for 40 s."}
