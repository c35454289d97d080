from __future__ import annotations

from typing import Any

from running_server import Server, eventually


def test_a_role_is_bound_listed_and_unbound(cli: Any) -> None:
    jane = cli.name()
    cli("principal", "create", jane)
    assert cli("role", "bind", "reviewer", jane).stdout == f"`{jane}` has the role `reviewer` now.\n"
    assert cli.json("role", "bind", "auditor", jane)["roles"] == ["auditor", "reviewer"]
    row = next(row for row in cli.json("role", "list") if row["name"] == "reviewer")
    assert jane in row["bound_to"]
    assert "trace:read" in row["permissions"]
    listed = next(line for line in cli("role", "list").stdout.splitlines() if line.startswith("reviewer "))
    assert jane in listed
    assert cli.json("role", "unbind", "auditor", jane)["roles"] == ["reviewer"]
    assert cli("role", "unbind", "reviewer", jane).stdout == f"`{jane}` has no role of its own now.\n"


def test_a_role_that_is_bound_holds_at_the_next_look(cli: Any, server: Server) -> None:
    jane = cli.name()
    cli("principal", "create", jane)
    key = cli.json("key", "create", "--principal", jane)["token"]
    eventually(lambda: server.api("GET", "/api/me", key=key)[0] == 200)
    assert cli("role", "list", key=key, check=False).returncode == 1
    cli("role", "bind", "auditor", jane)
    assert eventually(lambda: cli("role", "list", key=key, check=False).returncode == 0)


def test_a_role_that_there_is_not_is_answered_with_near_ones(cli: Any) -> None:
    done = cli("role", "bind", "reviwer", "admin", check=False)
    assert done.returncode == 1
    assert "There is no role `reviwer`" in done.stderr
    assert "`reviewer`" in done.stderr


def test_the_last_owner_stays_one(cli: Any, server: Server) -> None:
    tenant = server.as_tenant(cli.name("acme"))
    eventually(lambda: tenant.api("GET", "/api/me")[0] == 200)
    done = cli("role", "unbind", "owner", "admin", key=tenant.admin_key, check=False)
    assert done.returncode == 1
    assert "no owner left" in done.stderr
