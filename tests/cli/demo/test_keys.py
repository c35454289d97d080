from __future__ import annotations

import contextlib
import stat
from pathlib import Path

import pytest
from running_server import Server

from headworks.cli.client import Client
from headworks.cli.demo.corpus import Restricted
from headworks.cli.demo.keys import DemoKeys, keep_key, make_people
from headworks.errors import HeadworksError, StartupRefused


def test_the_first_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    assert keep_key(tmp_path, "hw_first") == "hw_first"
    assert keep_key(tmp_path, None) == "hw_first"
    (kept,) = tmp_path.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_without_a_kept_key_the_data_is_somebody_elses(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match="this demo did not start. Give the demo a folder of its own"):
        keep_key(tmp_path, None)


def test_people_are_made_once_and_keys_work_at_once(server: Server) -> None:
    restricted = Restricted("a.md", "demo-insiders", "demo-ines", "demo-tom")
    with contextlib.closing(Client(server.url, server.admin_key)) as client:
        make_people(client, restricted)
        make_people(client, restricted)
        groups = {row["name"]: row["members"] for row in client.get("/api/groups")["rows"]}
        assert groups["demo-insiders"] == ["demo-ines"]
        keys = DemoKeys(client, server.admin_key)
        assert keys.administrator == "admin"
        for name in ("demo-ines", "demo-tom"):
            assert client.with_key(keys.make(name)).get("/api/me")["name"] == name


def test_somebody_who_may_read_it_can_not_show_a_refusal(server: Server) -> None:
    restricted = Restricted("a.md", "demo-everyone", "demo-a", "demo-b")
    with contextlib.closing(Client(server.url, server.admin_key)) as client:
        make_people(client, restricted)
        client.put("/api/groups/demo-everyone/members/demo-b")
        with pytest.raises(HeadworksError, match="headworks group remove demo-everyone demo-b"):
            make_people(client, restricted)
