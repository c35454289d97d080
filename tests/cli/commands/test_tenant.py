from __future__ import annotations

from typing import Any

from running_server import Server, eventually


def test_a_tenant_is_founded_and_gets_a_feature_lent(cli: Any) -> None:
    tenant = cli.name("acme")
    said = cli("tenant", "create", tenant, "--admin", "boss").stdout
    assert f"Created the tenant `{tenant}`" in said
    assert "owner `boss`" in said
    row = next(row for row in cli.json("tenant", "list") if row["name"] == tenant)
    assert row["is_operator"] is False
    assert tenant in cli("tenant", "list").stdout
    assert cli.json("grant", "give", "assistant", tenant)["grantee"] == row["id"]
    assert any(each["grantee"] == row["id"] for each in cli.json("grant", "list"))
    assert "given" in cli("grant", "list").stdout
    assert cli.json("grant", "take-back", "assistant", tenant)["feature"] == "assistant"
    assert not any(each["grantee"] == row["id"] for each in cli.json("grant", "list"))


def test_a_tenants_secrets_are_in_its_json_once(cli: Any, server: Server) -> None:
    made = cli.json("tenant", "create", cli.name("acme"))
    assert made["admin_key"].startswith("hw_")
    assert made["claim_url"].startswith(server.url)
    eventually(lambda: server.api("GET", "/api/me", key=made["admin_key"])[0] == 200)
    done = cli("tenant", "create", made["name"], check=False)
    assert done.returncode == 1
    assert "There is already a tenant" in done.stderr
