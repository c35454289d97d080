"""A feature lent to another tenant: it runs there, over what lies there, and nothing crosses but the feature itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from running_server import FEATURE, PROMPT, READERS, Server, eventually

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion

HOME_WORD, GUEST_WORD, PROMPT_WORD = "kirschwasser", "lagerfeuer", "quittenmus"
BARE = "---\ninputs:\n  question: {kind: string, from: question}\n---\nsystem:\nBe brief.\nuser:\n{{ question }}\n"
QUESTION = "What is served on Sundays?"


@dataclass
class Scene:
    """`home` lends, `guest` borrows, `other` is older than both. The provider is home's account."""

    home: Server
    guest: Server
    other: Server
    provider: SimulatedProvider

    def lend(self, feature: str, lender: Server | None = None) -> None:
        """To the guest."""
        (lender or self.home).must("POST", "/api/grants", {"feature": feature, "tenant": self.guest.tenant})

    def take_back(self, feature: str, lender: Server | None = None) -> None:
        (lender or self.home).must("DELETE", f"/api/grants/default/{feature}/{self.guest.tenant}")


def feature(route: str, name: str, more: str = "", prompt: str = BARE) -> dict[str, str]:
    return {
        f"features/{name}/feature.yaml": f"owner: tests\nroute: {route}\nprompt: prompts/answer.prompty\n{more}",
        f"features/{name}/prompts/answer.prompty": prompt,
    }


def home_workspace(provider: SimulatedProvider) -> dict[str, str]:
    lent = FEATURE.replace("route: default", "route: inner")
    return {
        "providers.yaml": f"providers:\n  ours: {{kind: openai, base_url: '{provider.url}'}}\n",
        "routes.yaml": "routes:\n  inner: {targets: [ours/m1]}\n",
        "collections/docs.yaml": READERS,
        "features/lent/feature.yaml": lent,
        "features/lent/prompts/answer.prompty": PROMPT.replace("system:\n", f"system:\n{PROMPT_WORD}\n"),
        **feature("inner", "kept"),
        **feature("inner", "greeter"),
        **feature("inner", "default"),
        **feature("inner", "staged", "risk: high\n"),
    }


GUEST_WORKSPACE = {
    "routes.yaml": "routes:\n  default: {targets: [builtin/simulated]}\n",
    "collections/docs.yaml": READERS,
    **feature("default", "greeter"),
}


@pytest.fixture(scope="module")
def scene(server: Server) -> Iterator[Scene]:
    with SimulatedProvider() as provider:
        other, home, guest = (server.as_tenant(f"grants-{name}") for name in ("other", "home", "guest"))
        found = Scene(home, guest, other, provider)
        home.apply(home_workspace(provider))
        guest.apply(GUEST_WORKSPACE)
        home.hand_in("docs", "home.md", f"# Home\n\nOn Sundays {HOME_WORD} is served.\n")
        guest.hand_in("docs", "guest.md", f"# Guest\n\nOn Sundays {GUEST_WORD} is served.\n")
        for tenant in (home, guest):
            tenant.worked_on("docs")
        found.lend("lent")
        eventually(lambda: guest.ask("lent", QUESTION)[0] == 200)
        provider.forget()
        yield found


def code(answer: Any) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


def test_it_runs_over_the_callers_own_collection_and_cites_from_there(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion(f"On Sundays {GUEST_WORD} is served [1].")))
    status, answer, _ = scene.guest.ask("lent", QUESTION)
    assert status == 200, answer
    sent = scene.provider.last.json["messages"]
    assert PROMPT_WORD in sent[0]["content"]
    assert GUEST_WORD in sent[-1]["content"]
    assert HOME_WORD not in json.dumps(sent)
    (annotation,) = answer["choices"][0]["message"]["annotations"]
    cited = annotation["headworks"]
    stored = scene.guest.must("GET", f"/api/documents/{cited['document']}")
    assert stored["text"][cited["start"] : cited["end"]] == cited["quote"]
    assert scene.home.api("GET", f"/api/documents/{cited['document']}")[0] == 404


def test_its_rows_and_traces_lie_with_the_caller_and_hold_nothing_of_the_lenders_prompt(scene: Scene) -> None:
    trace = scene.guest.ask("lent", f"{QUESTION} Tell {GUEST_WORD}.")[2]["x-headworks-trace"]
    found = scene.guest.trace(trace)
    assert (found["usage"]["feature"], found["usage"]["status"]) == ("lent", 200)
    assert GUEST_WORD in json.dumps(found)
    for word in (HOME_WORD, PROMPT_WORD):
        assert word not in json.dumps(found)
    assert trace in {row["trace_id"] for row in scene.guest.must("GET", "/api/traces")["rows"]}
    # The lender's administrator sees neither that it was asked nor what.
    missing = scene.home.api("GET", f"/api/traces/{trace}")
    assert code(missing) == (404, "not_found")
    assert GUEST_WORD not in json.dumps(scene.home.must("GET", "/api/traces?most=1000&internal=true"))
    assert trace not in json.dumps(scene.home.must("GET", "/api/traces?most=1000&internal=true"))


def test_the_borrower_sees_the_feature_and_nothing_else_of_the_lender(scene: Scene) -> None:
    shown = {
        path: scene.guest.must("GET", path)
        for path in (
            "/v1/models", "/api/features", "/api/releases", "/api/workspace", "/api/collections", "/api/projects",
            "/api/principals", "/api/groups", "/api/keys", "/api/tenants", "/api/grants", "/api/traces?most=1000",
        )
    }  # fmt: skip
    text = json.dumps(shown)
    for word in (HOME_WORD, PROMPT_WORD, "kept", "home.md", "staged"):
        assert word not in text, word
    assert [each["name"] for each in shown["/api/features"]["features"]] == ["greeter", "lent"]
    assert [each["id"] for each in shown["/v1/models"]["data"]][:3] == ["greeter", "lent", "default"]
    assert [row["feature"] for row in shown["/api/grants"]["rows"]] == ["lent"]
    assert {row["feature"] for row in shown["/api/releases"]["releases"]} == {"greeter"}
    for name in ("kept", "inner", "ours/m1", "staged@staging"):
        assert scene.guest.ask(name, QUESTION)[0] == 404, name
    found = scene.guest.must("POST", "/api/search", {"collection": "docs", "query": HOME_WORD, "k": 100})
    assert [row["path"] for row in found["rows"]] == ["guest.md"]


def test_a_collection_that_the_caller_lacks_is_named(scene: Scene) -> None:
    lone = scene.home.must("GET", "/api/me")["tenant"]["name"]
    scene.home.must("POST", "/api/grants", {"feature": "lent", "tenant": scene.other.tenant})
    answer = eventually(lambda: (got := scene.other.ask("lent", QUESTION))[1]["error"]["param"] == "collection" and got)
    assert code(answer) == (404, "not_found")
    said = answer[1]["error"]["message"]
    assert "There is no collection `docs` that you may read." in said
    assert "`collections/`" in said, "it says where one is made"
    assert lone not in said
    scene.home.must("DELETE", f"/api/grants/default/lent/{scene.other.tenant}")


def test_what_is_lent_never_takes_the_place_of_a_name_of_ones_own(scene: Scene) -> None:
    for name in ("greeter", "default"):
        scene.lend(name)
    try:
        # The grants have arrived as soon as one that was given after them has.
        scene.lend("kept")
        eventually(lambda: scene.guest.ask("kept", "seen")[0] == 200)
        scene.provider.forget()
        for name in ("greeter", "default"):
            status, answer, _ = scene.guest.ask(name, f"A secret about {GUEST_WORD}")
            assert (status, answer["choices"][0]["message"]["content"]) == (200, f"A secret about {GUEST_WORD}")
        assert scene.provider.seen == [], "not a word has left for the lender's provider"
        names = [each["id"] for each in scene.guest.must("GET", "/v1/models")["data"]]
        assert len(names) == len(set(names))
        assert [each["name"] for each in scene.guest.must("GET", "/api/features")["features"]] == [
            "greeter", "kept", "lent"
        ]  # fmt: skip
    finally:
        for name in ("greeter", "default", "kept"):
            scene.take_back(name)


def test_what_a_third_tenant_lends_under_the_same_name_changes_nothing(scene: Scene) -> None:
    scene.other.apply(
        {
            "routes.yaml": "routes:\n  r: {targets: [builtin/simulated]}\n",
            **feature("r", "lent"),
            **feature("r", "late"),
        }
    )
    scene.lend("lent", scene.other)
    scene.lend("late", scene.other)
    eventually(lambda: scene.guest.ask("late", "seen")[0] == 200)
    scene.provider.forget()
    assert scene.guest.ask("lent", QUESTION)[0] == 200
    assert len(scene.provider.seen) == 1, "it is still the one that was lent first"
    for name in ("lent", "late"):
        scene.take_back(name, scene.other)
    scene.other.apply({})


def test_a_feature_that_is_only_staged_is_lent_to_nobody_by_its_plain_name(scene: Scene) -> None:
    scene.lend("staged")
    scene.lend("kept")
    eventually(lambda: scene.guest.ask("kept", "seen")[0] == 200)
    try:
        answer = scene.guest.ask("staged", QUESTION)
        assert code(answer) == (404, "model_not_found")
        names = [each["name"] for each in scene.guest.must("GET", "/api/features")["features"]]
        assert "staged" not in names
        assert "kept" in names
    finally:
        for name in ("staged", "kept"):
            scene.take_back(name)


def test_a_key_for_some_models_calls_a_lent_one_only_if_it_is_among_them(scene: Scene) -> None:
    key = scene.guest.key_of("limited", models=["greeter"])
    answer = scene.guest.ask("lent", QUESTION, key)
    assert code(answer) == (403, "model_not_allowed")
    assert "Models that it may call: `greeter`" in answer[1]["error"]["message"]
    assert scene.guest.ask("lent", QUESTION, scene.guest.key_of("limited", models=["lent"]))[0] == 200


def test_what_is_taken_back_is_gone_and_reads_as_what_never_was(scene: Scene) -> None:
    scene.lend("kept")
    eventually(lambda: scene.guest.ask("kept", QUESTION)[0] == 200)
    scene.take_back("kept")
    eventually(lambda: scene.guest.ask("kept", QUESTION)[0] == 404)
    gone, never = scene.guest.ask("kept", QUESTION), scene.guest.ask("kebt", QUESTION)
    assert gone[:2] == (404, json.loads(json.dumps(never[1]).replace("kebt", "kept")))
    assert "kept" not in json.dumps(scene.guest.must("GET", "/v1/models"))
    again = scene.home.api("DELETE", f"/api/grants/default/kept/{scene.guest.tenant}")
    assert code(again) == (404, "not_found")
    assert "`headworks grant list`" in again[1]["error"]["message"]


def test_who_borrows_can_neither_lend_it_on_nor_take_it_from_others(scene: Scene) -> None:
    refused = scene.guest.api("DELETE", f"/api/grants/default/lent/{scene.guest.tenant}")
    assert refused[0] == 400
    assert "its own features" in refused[1]["error"]["message"]
    scene.guest.must("POST", "/api/grants", {"feature": "lent", "tenant": scene.other.tenant})
    try:
        scene.guest.must("POST", "/api/grants", {"feature": "greeter", "tenant": scene.other.tenant})
        eventually(lambda: scene.other.ask("greeter", "seen")[0] == 200)
        assert code(scene.other.ask("lent", QUESTION)) == (404, "model_not_found")
    finally:
        for name in ("lent", "greeter"):
            scene.guest.must("DELETE", f"/api/grants/default/{name}/{scene.other.tenant}")
    assert scene.guest.ask("lent", QUESTION)[0] == 200
