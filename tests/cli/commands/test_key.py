from __future__ import annotations

from typing import Any

import pytest
from running_server import Server, eventually


def test_a_key_takes_and_gives_principal_permissions_groups_and_expiry(cli: Any) -> None:
    group, jane = cli.name("g"), cli.name()
    cli.json("group", "create", group)
    cli.json("principal", "create", jane, "--groups", group)
    made = cli.json("key", "create", "--principal", jane, "--permissions", "feature:call,collection:read",
        "--groups", group, "--expiry", "2031-01-31", "--name", "for tests",
    )  # fmt: skip
    assert made["token"].startswith(made["prefix"])
    assert made["principal"] == jane
    assert sorted(made["permissions"]) == ["collection:read", "feature:call"]
    assert made["groups"] == [group]
    assert made["expiry"].startswith("2031-01-31T00:00:00")
    listed = cli.json("key", "list", "--principal", jane)
    assert [row["id"] for row in listed] == [made["id"]]
    assert "token" not in listed[0]


def test_a_key_of_ones_own_needs_no_words_and_works(cli: Any, server: Server) -> None:
    said = cli("key", "create").stdout
    token = said.splitlines()[0]
    assert "A key of `admin`. Keep it: it is shown this once." in said
    assert "all that its principal may" in said
    assert "it is revoked" in said
    eventually(lambda: server.api("GET", "/api/me", key=token)[0] == 200)


def test_an_empty_list_is_nothing_and_not_everything(cli: Any) -> None:
    made = cli.json("key", "create", "--permissions", "", "--groups", "")
    assert (made["permissions"], made["groups"]) == ([], [])


def test_a_revoked_key_ends(cli: Any, server: Server) -> None:
    made = cli.json("key", "create")
    eventually(lambda: server.api("GET", "/api/me", key=made["token"])[0] == 200)
    assert cli("key", "revoke", made["prefix"]).stdout.startswith(f"The key {made['prefix']} of `admin`")
    eventually(lambda: server.api("GET", "/api/me", key=made["token"])[0] == 401, 5)
    assert cli.json("key", "revoke", made["id"])["state"] == "revoked"
    assert made["prefix"] in cli("key", "list").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--principal", "nobody-here"), "nobody-here"),
        (("--permissions", "feature:cal"), "Did you mean `feature:call`?"),
        (("--groups", "nowhere"), "`nowhere` is none of them"),
        (("--expires", "yesterday"), "is no expiry"),
        (("--expires", "2001-01-01"), "is not in the future"),
    ],
)
def test_a_key_that_can_not_be_says_why(cli: Any, words: tuple[str, ...], message: str) -> None:
    done = cli("key", "create", *words, check=False)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_key_without_the_permission_is_told_which(cli: Any, server: Server) -> None:
    member = cli.name()
    cli.json("principal", "create", member)
    key = cli.json("key", "create", "--principal", member)["token"]
    eventually(lambda: server.api("GET", "/api/me", key=key)[0] == 200)
    done = cli("principal", "list", key=key, check=False)
    assert done.returncode == 1
    assert "`principal:write`" in done.stderr
