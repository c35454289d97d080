"""What a model's name stands for, and what may be named."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from running_gateway import BARE_PROMPT, World, feature, workspace

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def ask(world: World, model: str, key: str | None = None) -> httpx.Response:
    return world.post({"model": model, "messages": ASK}, key=key)


@pytest.mark.parametrize(
    ("name", "near"),
    [("claim", "claims"), ("outsid", "outside"), ("bare2", "bare"), ("clams@prod", "claims")],
)
def test_an_unknown_name_lists_near_ones(world: World, name: str, near: str) -> None:
    answer = ask(world, name)
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "model_not_found"
    assert error_of(answer)["param"] == "model"
    assert near in error_of(answer)["message"]
    row = world.records.row()
    assert (row.status, row.asked_model, row.release) == (404, name, None)


def test_near_names_are_only_those_that_the_caller_may_use(world: World) -> None:
    key = world.key(models=("claims",))
    message = error_of(ask(world, "clams", key))["message"]
    assert "claims" in message
    message = error_of(ask(world, "outsid", key))["message"]
    assert "outside" not in message
    assert "You may call: claims." in message
    assert "no model at all" in error_of(ask(world, "clams", world.key(permissions=())))["message"]


def test_an_unknown_provider_lists_near_ones(world: World) -> None:
    assert "builtin/simulated" in error_of(ask(world, "builtin/simulate"))["message"]
    assert "openai" in error_of(ask(world, "opena/gpt"))["message"]
    assert error_of(ask(world, "opena/gpt"))["code"] == "model_not_found"
    assert ask(world, "/x").status_code == 404
    assert ask(world, "outside/").status_code == 404


def test_a_model_of_an_account_is_called_by_its_name(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    answer = ask(world, "outside/meta/llama@2025")
    assert answer.status_code == 200
    assert provider.last.json["model"] == "meta/llama@2025"
    assert answer.headers["x-headworks-release"].startswith("sha256:")


def test_a_plain_route_and_the_model_behind_it_have_digests_of_their_own(
    world: World, provider: SimulatedProvider
) -> None:
    provider.will(*[Reply.json(completion("ok"))] * 3)
    digests = [ask(world, name).headers["x-headworks-release"] for name in ("outside", "outside/m1", "pair")]
    assert digests[0] == digests[1]  # the same single target
    assert digests[0] != digests[2]


def test_a_channel_is_named_with_a_permission(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    answer = ask(world, "risky@staging")
    assert answer.status_code == 200
    assert world.records.row().channel == "staging"
    without = world.key(permissions=("feature:call",))
    refused = ask(world, "risky@staging", without)
    assert refused.status_code == 403
    assert "`release:pin`" in error_of(refused)["message"]


def test_a_feature_that_is_only_staged_is_not_live(world: World) -> None:
    answer = ask(world, "risky")
    assert answer.status_code == 404
    assert "no release on `prod`" in error_of(answer)["message"]
    assert "risky@staging" in error_of(answer)["message"]


@pytest.mark.parametrize(
    "name", ["bare@canary", "bare@nowhere", f"bare@sha256:{'0' * 64}", "nothing@prod", "outside@prod"]
)
def test_a_channel_or_digest_that_is_not_there_is_named(world: World, name: str) -> None:
    answer = ask(world, name)
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "model_not_found"


def test_a_release_stays_callable_by_its_digest(world: World, provider: SimulatedProvider) -> None:
    provider.will(*[Reply.json(completion("ok"))] * 4)
    old = ask(world, "bare").headers["x-headworks-release"]
    files = workspace(world.providers[0].url, world.providers[1].url)
    changed = BARE_PROMPT.replace("brief", "very brief").encode()
    try:
        world.apply(files | {"features/bare/prompts/answer.prompty": changed})
        new = ask(world, f"bare@{old}")  # no channel points at it any more
        assert new.status_code == 200
        assert new.headers["x-headworks-release"] == old
        assert "very" not in provider.last.json["messages"][0]["content"]
        assert ask(world, "bare").headers["x-headworks-release"] != old
        assert "very" in provider.last.json["messages"][0]["content"]
        refused = ask(world, f"bare@{old}", world.key(permissions=("feature:call",)))
        assert "`release:pin`" in error_of(refused)["message"]
        assert ask(world, f"tight@{old}").status_code == 404
    finally:
        world.apply(files)


def test_a_new_feature_is_callable_at_once(world: World, provider: SimulatedProvider) -> None:
    files = workspace(world.providers[0].url, world.providers[1].url)
    try:
        for number in range(3):
            name = f"new{number}"
            files |= {
                f"features/{name}/feature.yaml": feature().encode(),
                f"features/{name}/prompts/answer.prompty": BARE_PROMPT.encode(),
            }
            provider.will(Reply.json(completion("ok")))
            world.apply(files)
            assert ask(world, name).status_code == 200
    finally:
        world.apply(workspace(world.providers[0].url, world.providers[1].url))


def test_the_list_shows_what_the_caller_may_call(world: World) -> None:
    names = [each.id for each in world.client().models.list()]
    assert {"claims", "outside", "outside/m1", "builtin/simulated", "builtin/minilm"} <= set(names)
    assert "risky" not in names
    only = world.client(world.key(permissions=("feature:call",))).models.list()
    assert "claims" in [each.id for each in only]
    assert not [each.id for each in only if each.id == "outside" or "/" in each.id]
    assert [each.id for each in world.client(world.key(models=("bare",))).models.list()] == ["bare"]


def test_one_model_is_shown_by_its_name(world: World) -> None:
    client = world.client()
    assert client.models.retrieve("claims").owned_by == "headworks"
    assert client.models.retrieve("builtin/simulated").id == "builtin/simulated"
    with pytest.raises(openai.NotFoundError, match="Near names: claims"):
        client.models.retrieve("claim")
    with pytest.raises(openai.AuthenticationError):
        world.client("wrong").models.list()


def test_a_granted_feature_runs_in_the_caller_s_tenant(world: World, provider: SimulatedProvider) -> None:
    founded = world.run(world.identity.create_tenant(world.admin, "guests"))
    assert ask(world, "claims", founded.key).status_code == 404
    world.run(world.identity.create_grant(world.admin, "claims", "guests"))
    provider.will(Reply.json(completion("ok")))
    world.records.rows.clear()
    world.settle()
    answer = ask(world, "claims", founded.key)
    assert answer.status_code == 200
    caller, question = world.shelf.asked[-1]
    assert (caller.tenant, question) == (founded.tenant, "Hello?")
    row = world.records.row()
    assert (row.tenant_id, row.feature) == (founded.tenant, "claims")
    assert {span.tenant_id for span in world.records.spans} == {founded.tenant}
    names = [each.id for each in world.client(founded.key).models.list()]
    assert "claims" in names
    assert "bare" not in names
    assert ask(world, "bare", founded.key).status_code == 404
    assert ask(world, "outside", founded.key).status_code == 404
    world.run(world.identity.revoke_grant(world.admin, "claims", "guests"))
    world.settle()
    assert ask(world, "claims", founded.key).status_code == 404
