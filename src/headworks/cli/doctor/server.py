"""The server that the commands would talk to: whether it runs, and whether the key is good."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from headworks.cli.client import Client, place
from headworks.cli.doctor.findings import Finding
from headworks.errors import HeadworksError, Unavailable


def look(url: str, key: str | None, *, is_named: bool) -> Iterator[Finding]:
    """`is_named`: somebody gave this address, so a server is expected there."""
    with contextlib.closing(Client(url, key)) as client:
        yield from _look(client, has_key=bool(key), is_named=is_named)


def _look(client: Client, *, has_key: bool, is_named: bool) -> Iterator[Finding]:
    url = client.url
    try:
        client.get("/readyz")
    except Unavailable as error:
        if error.code != "server_unreachable":
            yield Finding("server", "to do", f"{url} is not ready: {error.message}")
        elif is_named:
            yield Finding("server", "to do", error.message, error.next_step)
        else:
            yield Finding("server", "note", f"none runs at {url}", "`headworks up` starts one.")
        return
    except HeadworksError as error:
        yield Finding("server", "to do", error.message, error.next_step)
        return
    yield Finding("server", "ok", f"ready at {url}")
    yield _key(client) if has_key else Finding("key", "note", "none given", "Set HEADWORKS_API_KEY, or give --key.")


def _key(client: Client) -> Finding:
    try:
        me = client.get(place("me"))
    except HeadworksError as error:
        return Finding("key", "to do", error.message, error.next_step)
    may = f"{len(me['permissions'])} permissions"
    return Finding("key", "ok", f"of `{me['name']}` in the tenant `{me['tenant']['name']}`, {may}")
