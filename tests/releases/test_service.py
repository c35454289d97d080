from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
from certificates import authority
from release_world import FEATURE, PROMPT, World, reaching, workspace

from headworks.errors import Conflict, Forbidden, NotFound, WorkspaceInvalid
from headworks.types.features import OutputSettings
from headworks.types.identity import Principal, ShownKey


async def test_a_feature_of_low_risk_without_a_gate_goes_to_prod_ungated(world: World) -> None:
    report = await world.releases.apply(world.admin, "default", workspace())
    (applied,) = report.features
    assert (applied.name, applied.channel, applied.is_moved, applied.is_ungated) == ("claims", "prod", True, True)
    assert await world.digest() == applied.digest
    assert world.declared.specs[0].readers == ("everyone",)


async def test_applying_the_same_again_moves_nothing(
    world: World, as_superuser: psycopg.Connection[tuple[object, ...]]
) -> None:
    first = await world.releases.apply(world.admin, "default", workspace())
    again = await world.releases.apply(world.admin, "default", workspace())
    assert again.features[0].digest == first.features[0].digest
    assert not again.features[0].is_moved
    assert as_superuser.execute("SELECT count(*), bool_and(ungated) FROM channel_move").fetchone() == (1, True)


@pytest.mark.parametrize("change", ["risk: medium\n", "risk: high\n"])
async def test_what_is_above_low_risk_stays_on_staging(world: World, change: str) -> None:
    await world.releases.apply(world.admin, "default", workspace())
    live = await world.digest()
    report = await world.releases.apply(world.admin, "default", workspace(feature=FEATURE + change))
    assert report.features[0].channel == "staging"
    assert await world.digest() == live
    assert await world.digest("staging") == report.features[0].digest


async def test_a_feature_with_a_gate_stays_on_staging(world: World) -> None:
    files = workspace() | {"features/claims/evals/gate.yaml": b"anything: here\n"}
    report = await world.releases.apply(world.admin, "default", files)
    assert report.features[0].channel == "staging"
    assert [notice for notice in report.notices if "judges its releases from now on" in notice]


async def test_a_release_has_the_digest_of_what_shapes_behaviour_and_of_nothing_else(world: World) -> None:
    async def digest(**changed: str) -> str:
        return (await world.releases.apply(world.admin, "default", workspace(**changed))).features[0].digest

    first = await digest()
    assert await digest(feature="# a comment\n" + FEATURE + "description: words\n") == first
    assert await digest(prompt=PROMPT.replace("inputs:", "description: words\ninputs:")) == first
    changes = [
        {"prompt": PROMPT.replace("brief", "kind")},
        {"feature": FEATURE.replace("docs", "docs, k: 3")},
        {"feature": FEATURE + "guardrails: {pii: {action: block}}\n"},
        {"routes": "routes:\n  default:\n    targets: [openai/gpt-5-mini]\n"},
    ]
    seen = {first} | {await digest(**change) for change in changes}
    assert len(seen) == 5
    assert await digest() == first


async def test_a_release_is_immutable_and_found_by_its_digest_for_ever(world: World) -> None:
    first = (await world.releases.apply(world.admin, "default", workspace())).features[0].digest
    await world.releases.apply(world.admin, "default", workspace(prompt=PROMPT.replace("brief", "kind")))
    pinned = await world.releases.pinned(world.admin.tenant, first)
    assert pinned is not None
    assert "Be brief." in pinned.template
    assert (pinned.name, pinned.digest) == ("claims", first)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with world.db.tx(world.admin) as tx:
            await tx.run("UPDATE release SET feature = 'other' WHERE tenant_id = %(tenant)s", tenant=world.admin.tenant)


async def test_what_is_stored_is_sealed(world: World, as_superuser: psycopg.Connection[tuple[object, ...]]) -> None:
    await world.releases.apply(world.admin, "default", workspace())
    for table in ("workspace_file", "release_file"):
        query = {
            "workspace_file": "SELECT content FROM workspace_file",
            "release_file": "SELECT content FROM release_file",
        }[table]
        for (content,) in as_superuser.execute(query).fetchall():
            assert isinstance(content, bytes)
            assert b"Be brief" not in content


async def test_pull_gives_the_same_bytes(world: World) -> None:
    files = workspace()
    await world.releases.apply(world.admin, "default", files)
    assert await world.releases.pull(world.admin, "default") == files


async def test_diff_names_files_and_digests_and_changes_nothing(world: World) -> None:
    await world.releases.apply(world.admin, "default", workspace())
    live = await world.digest()
    after = workspace(prompt=PROMPT.replace("brief", "kind")) | {"README.md": b"words"}
    report = await world.releases.diff(world.admin, "default", after)
    assert {(change.path, change.kind) for change in report.files} == {
        ("README.md", "added"),
        ("features/claims/prompts/answer.prompty", "changed"),
    }
    ((name, before, now),) = report.features
    assert (name, before) == ("claims", live)
    assert now != live
    assert await world.digest() == live


async def test_a_feature_that_left_the_workspace_is_no_longer_served(world: World) -> None:
    await world.releases.apply(world.admin, "default", workspace())
    only_routes = {path: content for path, content in workspace().items() if not path.startswith("features/")}
    report = await world.releases.apply(world.admin, "default", only_routes)
    assert report.removed == ("claims",)
    assert await world.digest() is None


async def test_a_workspace_that_is_wrong_changes_nothing(world: World) -> None:
    await world.releases.apply(world.admin, "default", workspace())
    live = await world.digest()
    with pytest.raises(WorkspaceInvalid, match=r"features/claims/feature\.yaml:5: unknown key `rout`"):
        await world.releases.apply(world.admin, "default", workspace(feature=FEATURE + "rout: x\n"))
    assert await world.digest() == live


async def test_two_projects_of_a_tenant_can_not_have_one_name_for_two_things(world: World) -> None:
    await world.releases.apply(world.admin, "default", workspace())
    await world.identity.create_project(world.admin, "second")
    with pytest.raises(Conflict, match="Another project of this tenant has a"):
        await world.releases.apply(world.admin, "second", workspace())


async def test_a_project_that_is_not_there_names_what_is_near(world: World) -> None:
    with pytest.raises(NotFound, match=r"no project `defalt`\. Did you mean `default`\?"):
        await world.releases.apply(world.admin, "defalt", workspace())


async def test_providers_need_a_right_of_their_own(world: World) -> None:
    weak = Principal(world.admin.tenant, world.admin.id, "weak", "user", world.admin.permissions - {"provider:write"})
    files: Mapping[str, bytes] = workspace() | {"providers.yaml": b"providers: {openai: {}}\n"}
    with pytest.raises(Forbidden, match="provider:write"):
        await world.releases.apply(weak, "default", files)


async def test_every_apply_is_in_the_audit_trail(
    world: World, as_superuser: psycopg.Connection[tuple[object, ...]]
) -> None:
    report = await world.releases.apply(world.admin, "default", workspace())
    row = as_superuser.execute(
        "SELECT principal_id, detail FROM audit_event WHERE action = 'workspace.apply'"
    ).fetchone()
    assert row == (world.admin.id, {"claims": report.features[0].digest})


async def test_files_are_known_by_what_they_hold(
    world: World, as_superuser: psycopg.Connection[tuple[object, ...]]
) -> None:
    await world.releases.apply(world.admin, "default", workspace())
    row = as_superuser.execute("SELECT sha256 FROM workspace_file WHERE path = 'routes.yaml'").fetchone()
    assert row == (hashlib.sha256(workspace()["routes.yaml"]).hexdigest(),)


async def test_how_an_account_is_reached_is_kept(world: World, tmp_path: Path) -> None:
    ca_file, _ = authority("Ours", tmp_path, "llm.example")
    files = reaching(f"proxy: http://proxy.example:3128\n    ca_file: {ca_file}")
    await world.releases.apply(world.admin, "default", files)
    async with world.db.system("test") as tx:
        (account,) = (await world.releases.load(tx)).accounts.values()
    assert (account.proxy, account.ca_file) == ("http://proxy.example:3128", str(ca_file))
    assert (account.name, account.kind, account.client_certificate) == ("openai", "openai", None)


@pytest.mark.parametrize("key", ["ca_file", "client_certificate"])
async def test_a_file_that_an_account_names_is_read_before_anything_is_stored(
    key: str, world: World, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pem"
    for _ in range(2):
        for call in (world.releases.diff, world.releases.apply):
            with pytest.raises(WorkspaceInvalid, match=rf"providers.yaml:3: The .* {wrong} can't be read"):
                await call(world.admin, "default", reaching(f"{key}: {wrong}"))
        wrong.write_text("no certificate")
    assert await world.releases.pull(world.admin, "default") == {}


@pytest.mark.parametrize("key", ["ca_file", "client_certificate"])
async def test_only_the_operators_tenant_names_files_of_the_server(key: str, world: World) -> None:
    founded = await world.identity.create_tenant(world.admin, "acme")
    async with world.db.system("test") as tx:
        boss = (await world.identity.load(tx)).authenticate(ShownKey(founded.key), 0.0)
    for call in (world.releases.diff, world.releases.apply):
        with pytest.raises(WorkspaceInvalid, match=r"providers.yaml:3: .*only the operator's own tenant may"):
            await call(boss, "default", reaching(f"{key}: /etc/hostname"))
    await world.releases.apply(boss, "default", reaching("proxy: http://proxy.example:3128"))


async def test_an_output_schema_is_released_shown_by_diff_and_pulled_back(world: World) -> None:
    await world.releases.apply(world.admin, "default", workspace(routes="routes: {default: {targets: [openai/gpt]}}\n"))
    before = await world.digest()
    files = workspace(
        routes="routes: {default: {targets: [openai/gpt]}}\n",
        feature=FEATURE + "output: {schema: answer.json, name: claim}\n",
    ) | {"features/claims/answer.json": b'{ "type": "object" }\n'}
    report = await world.releases.diff(world.admin, "default", files)
    assert [(each.path, each.kind) for each in report.files] == [
        ("features/claims/answer.json", "added"),
        ("features/claims/feature.yaml", "changed"),
    ]
    ((name, live, after),) = report.features
    assert (name, live) == ("claims", before)
    await world.releases.apply(world.admin, "default", files)
    async with world.db.system("test") as tx:
        feature = (await world.releases.load(tx)).feature(world.admin.tenant, "claims", "prod")
    assert feature is not None
    assert feature.digest == after != before
    assert feature.output == OutputSettings("claim", b'{"type":"object"}')
    assert await world.releases.pull(world.admin, "default") == files
