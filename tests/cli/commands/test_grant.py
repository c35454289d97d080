from __future__ import annotations

from typing import Any


def test_a_feature_is_lent_and_taken_back(cli: Any) -> None:
    tenant = cli.json("tenant", "create", cli.name("acme"))
    assert (
        cli("grant", "give", "assistant", tenant["id"]).stdout == f"The tenant {tenant['id']} may call `assistant`.\n"
    )
    (given,) = [row for row in cli.json("grant", "list") if row["grantee"] == tenant["id"]]
    assert (given["direction"], given["feature"]) == ("given", "assistant")
    assert "assistant" in cli("grant", "list").stdout
    assert "may no longer call" in cli("grant", "take-back", "assistant", tenant["name"]).stdout
    assert not [row for row in cli.json("grant", "list") if row["grantee"] == tenant["id"]]


def test_what_is_not_lent_can_not_be_taken_back(cli: Any) -> None:
    tenant = cli.json("tenant", "create", cli.name("acme"))
    done = cli("grant", "take-back", "assistant", tenant["id"], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


def test_an_unknown_tenant_is_said(cli: Any) -> None:
    done = cli("grant", "give", "assistant", "no-such-tenant", check=False)
    assert done.returncode == 1
    assert "no-such-tenant" in done.stderr
