from __future__ import annotations

from typing import Any

from running_server import Server


def test_a_principal_is_created_listed_and_disabled(cli: Any) -> None:
    jane = cli.name()
    said = cli("principal", "create", jane, "--roles", "engineer,auditor").stdout
    assert said == f"Created the user `{jane}`, in everyone.\n"
    row = next(row for row in cli.json("principal", "list") if row["name"] == jane)
    assert (row["kind"], sorted(row["roles"]), row["disabled_at"]) == ("user", ["auditor", "engineer"], None)
    assert jane in cli("principal", "list").stdout
    assert "no longer work" in cli("principal", "disable", jane).stdout
    row = next(row for row in cli.json("principal", "list") if row["name"] == jane)
    assert row["disabled_at"] is not None
    assert "work again" in cli("principal", "enable", jane).stdout
    assert cli.json("principal", "enable", jane)["disabled_at"] is None


def test_a_service_account_is_one(cli: Any) -> None:
    assert cli.json("principal", "create", cli.name("robot"), "--service")["kind"] == "service"


def test_a_name_that_is_taken_or_none_is_said(cli: Any) -> None:
    done = cli("principal", "create", "admin", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "`admin`" in done.stderr
    done = cli("principal", "create", "Not A Name", check=False)
    assert "is not a name for a user" in done.stderr


def test_a_claim_signs_in(cli: Any, server: Server) -> None:
    jane = cli.name()
    cli.json("principal", "create", jane)
    made = cli.json("principal", "claim", jane)
    assert made["claim_url"].startswith(f"{server.url}/claim/")
    assert cli("principal", "claim", jane).stdout.startswith(f"{server.url}/claim/")
