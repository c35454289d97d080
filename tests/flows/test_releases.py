"""From an expert's edit to what is live and back, through the commands and the API of a running server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from running_server import Server, eventually

from headworks.cli.main import run

BARE = "---\ninputs:\n  question: {kind: string, from: question}\n---\nsystem:\nBe brief.\nuser:\n{{ question }}\n"
AT = "features/claims/prompts/answer.prompty"
KIND = BARE.replace("Be brief.", "Be kind, and brief.")
GATE = {
    "features/claims/evals/gate.yaml": "must_be_perfect: [said]\n",
    "features/claims/evals/suite.yaml": 'dataset: cases\nscorers: {said: {scorer: regex, pattern: "."}}\n',
    "features/claims/golden/cases.jsonl": '{"id": "open", "question": "Is it open?"}\n',
}


def files(risk: str = "low", prompt: str = BARE, **more: str) -> dict[str, str]:
    return {
        "routes.yaml": "routes:\n  default: {targets: [builtin/simulated]}\n",
        "features/claims/feature.yaml": f"owner: me\nrisk: {risk}\nroute: default\nprompt: prompts/answer.prompty\n",
        AT: prompt,
    } | more


class People:
    """Who acts in a tenant of their own, each by commands with a key of theirs."""

    def __init__(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], folder: Path
    ) -> None:
        self.server, self.monkeypatch, self.capture, self.folder = server, monkeypatch, capture, folder
        roles = {"expert": "expert", "chief": "principal-expert", "engineer": "engineer"}
        self.keys = {name: server.key_of(name, roles=[role]) for name, role in roles.items()}
        self.keys["owner"] = server.admin_key

    def __call__(self, who: str, *words: str, status: int = 0) -> str:
        self.monkeypatch.setenv("HEADWORKS_URL", self.server.url)
        self.monkeypatch.setenv("HEADWORKS_API_KEY", self.keys[who])
        self.capture.readouterr()
        got = run(words)
        out, err = self.capture.readouterr()
        assert got == status, (got, out, err)
        return out + err

    def json(self, who: str, *words: str) -> Any:
        return json.loads(self(who, *words, "--json"))

    def write(self, workspace: dict[str, str]) -> str:
        for path, text in workspace.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return str(self.folder)

    def live(self) -> tuple[str, str | None]:
        """What a call is answered by, and what it is told beside."""
        status, _, headers = self.server.ask("claims", "Hello?")
        assert status == 200
        return headers["x-headworks-release"], headers.get("x-headworks-notice")


@pytest.fixture
def people(
    server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> People:
    tenant = server.as_tenant(f"releases-{tmp_path.name}")
    return People(tenant, monkeypatch, capfd, tmp_path / "workspace")


def test_an_expert_proposes_and_everybody_has_the_same_bytes(people: People) -> None:
    people.server.apply(files())
    before = eventually(people.live)[0]
    folder = people.write(files(prompt=KIND))
    shown = people("expert", "release", "propose", folder, "--title", "Kinder answers")
    assert "#1 Kinder answers" in shown
    assert "Be {+kind, and +}brief." in shown.replace("Be{+ kind, and+} brief", "Be {+kind, and +}brief")
    assert "✓ gate: Its risk is low and it has no gate: *ungated*." in shown
    people("engineer", "release", "comment", "1", "Why?", "--on", f"{AT}:6")
    assert "is expert's" in people(
        "engineer", "release", "propose", folder, "--title", "Mine", "--update", "1", status=1
    )
    assert "release:promote" in people("expert", "release", "promote", "1", status=1)
    moved = people("engineer", "release", "promote", "#1")
    assert "(ungated)" in moved
    eventually(lambda: people.live()[0] != before)
    pulled = people.folder.parent / "pulled"
    people("engineer", "pull", str(pulled))
    assert {str(p.relative_to(pulled)): p.read_text() for p in pulled.rglob("*") if p.is_file()} == files(prompt=KIND)
    assert "Everything is here already" in people("engineer", "pull", str(pulled))
    (pulled / AT).write_text("mine")
    assert f"Other here: {AT}" in people("engineer", "pull", str(pulled), status=1)
    assert f"changed {AT}" in people("engineer", "pull", str(pulled), "--force")
    shown = people("expert", "release", "show", "1")
    assert "Why?" in shown
    assert "{+" in shown, "what it changed is still told"
    rows = people.json("expert", "release", "proposals")
    assert [(row["title"], row["state"], row["risk"], row["by"]) for row in rows] == [
        ("Kinder answers", "accepted", "low", "expert")
    ]
    assert "files" not in rows[0]
    assert "There is no proposal that is open." in people("expert", "release", "proposals", "--state", "open")
    people.write(files())
    assert f"Proposal 1, which was accepted, is undone by these files: `{AT}`" in people(
        "engineer", "apply", folder, status=1
    )
    assert "`one` is no number" in people("engineer", "apply", folder, "--over", "one", status=1)
    people("engineer", "apply", folder, "--over", "#1")
    eventually(lambda: people.live()[0] == before)


def test_an_approval_is_of_what_was_read(people: People) -> None:
    people.server.apply(files("medium"))
    folder = people.write(files("medium", prompt=KIND))
    number = str(people.json("expert", "release", "propose", folder, "--title", "Kinder answers")["number"])
    shown = people("chief", "release", "show", number)
    command = shown.rpartition("read: headworks ")[2].split()
    assert command[:4] == ["release", "approve", number, "--digest"]
    refused = people("chief", "release", "approve", number, status=1)
    assert f"then `headworks {' '.join(command)}`" in refused
    people.write(files("medium", prompt=KIND.replace("kind, and", "sweet, and")))
    people("expert", "release", "propose", folder, "--title", "Sweeter answers", "--update", number)
    refused = people("chief", *command, status=1)
    assert "brings other releases than those that you have read" in refused
    again = people("chief", "release", "show", number).rpartition("read: headworks ")[2].split()
    assert again != command
    assert "✓ approvals" in people("chief", *again)
    twice = ("release", "approve", again[-1], "--digest", again[-1])
    assert "goes with a proposal's number" in people("chief", *twice, status=1)


def test_a_gated_release_waits_and_broken_glass_is_seen_by_every_caller(people: People) -> None:
    wrong = GATE | {"features/claims/evals/gate.yaml": "must_be_perfect: [sad]\n"}
    status, refused = people.server.api("POST", "/api/workspace/apply", {"files": files("high") | wrong})
    assert (status, refused["error"]["code"]) == (400, "workspace_invalid")
    assert "evals/gate.yaml:1: no scorer of the suite gives `sad`. Did you mean `said`" in refused["error"]["message"]
    report = people.server.apply(files("high") | GATE)
    digest = report["features"][0]["digest"]
    assert report["features"][0]["channel"] == "staging"
    refused = people("engineer", "release", "promote", digest[7:19], status=1)
    assert "gate: The gate has not judged this digest" in refused
    assert "0 of 2 for high risk" in refused
    assert "would not count" in people("owner", "release", "approve", digest, status=1)
    people("chief", "release", "approve", digest, "--as-expert", "--comment", "fine")
    assert "✓ expert" in people("engineer", "release", "approve", digest)
    assert "release:break_glass" in people(
        "engineer", "release", "promote", digest, "--break-glass", "--reason", "x", status=1
    )
    people("owner", "release", "promote", digest, "--break-glass", "--reason", "patients wait")
    assert eventually(people.live) == (digest, "break-glass")
    assert people.json("owner", "ask", "claims", "Is it open?")["notice"] == "break-glass"
    log = people("expert", "release", "log", "claims")
    assert "BROKEN GLASS" in log
    assert "WARNING: prod is live past the rules" in log
    blocked = people.json("chief", "release", "block", "claims", "--reason", "INC-7")
    assert "INC-7" in people("expert", "release", "log", "claims")
    assert "`claims` can be promoted again" in people("chief", "release", "unblock", blocked["id"])
    rows = people.json("expert", "release", "show", digest)["attestations"]
    assert [row["predicate"]["decision"] for row in rows] == ["approve", "approve"]
    assert "valid" in people("expert", "release", "verify", digest)


def test_a_gate_is_approved_by_the_command_that_is_shown(people: People) -> None:
    people.server.apply(files() | GATE)
    folder = people.write(files() | GATE | {"features/claims/evals/gate.yaml": "must_be_perfect: [said]\nlooks: 2\n"})
    number = str(people.json("expert", "release", "propose", folder, "--title", "Two looks")["number"])
    command = people("chief", "release", "show", number).rpartition("read: headworks ")[2].split()
    assert "✓ approvals" in people("chief", *command)
    gate = command[-1]
    assert "release approve" not in people("engineer", "release", "show", gate), "it is found by its first digits"
    assert f"claims is judged by {gate} now." in people("engineer", "release", "promote", number)
    assert "no release" in people("engineer", "release", "show", "0000000000ab", status=1)


def test_golden_files_are_checked_as_they_are_applied(people: People) -> None:
    alike = "The member has had six weeks of supervised physical therapy without any lasting relief of the pain"
    rows = [
        {"id": "a", "question": alike, "tags": {"intent": "x"}},
        {"id": "b", "question": f"{alike}!", "split": "dev"},
    ]
    golden = {"features/claims/golden/cases.jsonl": "".join(f"{json.dumps(each)}\n" for each in rows)}
    people.server.apply(files() | GATE | golden)
    told = people("owner", "datasets", "check", "claims/cases", "--embedder", "", status=1)
    assert "claims/cases: 2 examples" in told
    assert "LEAK: a (test) and b (dev)" in told
    assert "(untagged)" in people("owner", "datasets", "coverage", "claims/cases")
    assert "Did you mean `cases`" in people("owner", "datasets", "check", "claims/case", status=1)
    assert "no versions" in people("owner", "datasets", "check", "claims/cases", "--version", "1", status=1)
    reviewer = people.server.key_of("rita", roles=["reviewer"])
    people.server.must("POST", "/api/datasets/cases/versions", {"content": '{"id": "c", "question": "Is it?"}\n'})
    assert people.server.api("GET", "/api/datasets/cases/check?embedder=", key=reviewer)[0] == 200
    for asked in ("check?embedder=&golden=claims", "coverage?golden=claims", "check?embedder=&feature=claims"):
        status, answer = people.server.api("GET", f"/api/datasets/cases/{asked}", key=reviewer)
        assert (status, "workspace:read" in answer["error"]["message"]) == (403, True), (asked, answer)


def test_an_example_moves_to_another_split_only_with_a_reason(people: People) -> None:
    def golden(split: str) -> dict[str, str]:
        row = {"id": "a", "question": "Is it open?", "split": split}
        return {"features/claims/golden/cases.jsonl": f"{json.dumps(row)}\n"}

    people("engineer", "apply", people.write(files() | golden("dev")))
    moved = files() | golden("test")
    status, answer = people.server.api("POST", "/api/workspace/apply", {"files": moved})
    assert (status, answer["error"]["code"]) == (409, "split_locked")
    folder = people.write(moved)
    assert "1 from dev to test" in people("engineer", "apply", folder, status=1)
    people("engineer", "apply", folder, "--unlock", "nobody has looked at it")
    people("engineer", "apply", folder)


def test_a_rollback_is_live_on_the_worker_within_seconds(people: People) -> None:
    first = people.server.apply(files())["features"][0]["digest"]
    second = people.server.apply(files(prompt=KIND))["features"][0]["digest"]
    eventually(lambda: people.live()[0] == second)
    assert f"{second[7:19]} → {first[7:19]}" in people(
        "engineer", "release", "rollback", "claims", "--reason", "it lies"
    )
    eventually(lambda: people.live()[0] == first)
    assert "no earlier release" in people("engineer", "release", "rollback", "claims", status=1)
    log = people.json("expert", "release", "log", "claims")["moves"]
    assert [(each["way"], each["reason"], each["by"]) for each in log][-1] == ("rollback", "it lies", "engineer")
    stale = {"feature": "claims", "digest": second, "expected": second}
    status, answer = people.server.api("POST", "/api/releases/promote", stale, key=people.keys["engineer"])
    assert (status, answer["error"]["code"]) == (409, "channel_moved")
    assert "was rolled back by engineer" in answer["error"]["message"]


def test_a_release_travels_as_one_file(people: People, server: Server, tmp_path: Path) -> None:
    digest = people.server.apply(files())["features"][0]["digest"]
    people("engineer", "release", "approve", digest, "--object")
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    for file in (one, two):
        people("expert", "release", "export", digest[7:19], str(file))
    assert one.read_bytes() == two.read_bytes()
    one.write_bytes(b"mine")
    assert "is there already" in people("expert", "release", "export", digest, str(one), status=1)
    assert one.read_bytes() == b"mine"
    people("expert", "release", "export", digest, str(one), "--force")
    assert one.read_bytes() == two.read_bytes()
    (key,) = people.json("expert", "release", "keys")
    other = server.as_tenant(f"elsewhere-{tmp_path.name}")
    people.keys["other"] = other.admin_key
    assert "not trusted here" in people("other", "release", "import", str(one), status=1)
    people("other", "release", "import", str(one), "--trust", key["id"])
    assert "valid, by another's key" in people("other", "release", "verify", digest)
    assert people.json("other", "release", "list")[0]["digest"] == digest
    one.write_bytes(one.read_bytes().replace(b"Be brief", b"Be crude"))
    assert "can't be taken" in people("other", "release", "import", str(one), "--trust", key["id"], status=1)
    assert len(people.json("owner", "release", "keys", "--rotate")) == 2


def test_statements_of_ones_own_are_signed_and_ours_can_not_be_made_by_hand(people: People) -> None:
    digest = people.server.apply(files())["features"][0]["digest"]
    place = f"/api/releases/{digest}/attestations"
    card = {"predicate_type": "https://example.com/model-card/v1", "predicate": {"size": 7}}
    made = people.server.must("POST", place, card, key=people.keys["engineer"])
    assert (made["by"], made["problem"]) == ("engineer", None)
    forged = {"predicate_type": "headworks:gate-verdict/v1", "predicate": {"verdict": "PASS", "gate": digest}}
    status, answer = people.server.api("POST", place, forged)
    assert (status, answer["error"]["param"]) == (400, "predicate_type")
    assert people.server.api("POST", place, card, key=people.keys["expert"])[0] == 403


def test_what_is_no_proposal_is_refused_clearly(people: People) -> None:
    people.server.apply(files())
    eventually(people.live)
    folder = people.write(files())
    assert "changes nothing that is live" in people("expert", "release", "propose", folder, "--title", "x", status=1)
    people.write({"roles.yaml": "roles: {}\n"})
    shown = people("expert", "release", "propose", folder, "--title", "x", status=1)
    assert "roles.yaml differs, and is left out" in shown
    for body in ({"title": "x", "files": {AT: "\ud800"}}, {"title": "x", "more": 1}, {"title": 7}):
        assert people.server.api("POST", "/api/proposals", body)[0] in {400, 422}
    assert people.server.api("GET", "/api/proposals/99")[0] == 404
    assert people.server.api("DELETE", "/api/releases/blocks/x")[0] == 400
    assert "is no release" in people("expert", "release", "show", "abcdef", status=1)
