"""The demo's keys and people. The administrator's key stays in the demo's data folder, for its owner alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

from headworks.cli.client import Client, place
from headworks.cli.demo.corpus import Restricted
from headworks.cli.json_values import JsonObject
from headworks.errors import Conflict, HeadworksError, StartupRefused, Unauthenticated

_FILE = "demo-key"
_KEYS_LAST = "1d"
_KNOWN_WITHIN_S = 10.0


def keep_key(data: Path, key: str | None) -> str:
    """The administrator's key: the one of a first start, which is kept, else the kept one. StartupRefused without."""
    path = data / _FILE
    if key is not None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key)
        return key
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise StartupRefused(
            f"{data} holds a server that this demo did not start.",
            next_step=f"Give the demo a folder of its own with --data DIR, or remove this one: rm -r {data}",
        ) from None


class DemoKeys:
    """Makes keys that last a day. `own` is the administrator's."""

    def __init__(self, client: Client, own: str) -> None:
        self._client = client
        self.own = own
        self.administrator = str(client.get(place("me"))["name"])

    def make(self, principal: str) -> str:
        """A key of this user, once every worker knows it."""
        made = self._client.post(place("keys"), {"principal": principal, "name": "demo", "expires": _KEYS_LAST})
        token = str(made["token"])
        asking = self._client.with_key(token)
        deadline = time.monotonic() + _KNOWN_WITHIN_S
        while True:
            try:
                asking.get(place("me"))
            except Unauthenticated:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return token


def make_people(client: Client, restricted: Restricted) -> None:
    """The group, a member of it, and somebody who is not; what is there already stays."""
    _unless_there(client, "groups", {"name": restricted.group})
    for name in (restricted.member, restricted.other):
        _unless_there(client, "principals", {"name": name})
    client.put(place("groups", restricted.group, "members", restricted.member))
    members = {row["name"]: row["members"] for row in client.get(place("groups"))["rows"]}
    if restricted.other in members[restricted.group]:
        raise HeadworksError(
            f"`{restricted.other}` is in the group `{restricted.group}`, so the demo can't show a refusal.",
            next_step=f"headworks group remove {restricted.group} {restricted.other}",
        )


def _unless_there(client: Client, what: str, body: JsonObject) -> None:
    try:
        client.post(place(what), body)
    except Conflict:
        return
