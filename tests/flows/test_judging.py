"""A gate whose judge people correct, from end to end: what is asked for, shown, judged, calibrated and decided."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from running_server import FEATURE, PROMPT, Server, eventually
from scripted_judge import between, verdict

from headworks.testing.provider import Seen, SimulatedProvider
from headworks.testing.replies import Reply, completion
from headworks.types.models import Message, Prompt

N = 80
ANSWER = "---\ninputs:\n  question: {kind: string, from: question}\n---\nsystem:\n%s\nuser:\n{{ question }}\n"
JUDGE = (
    "---\ninputs:\n  question: {kind: string, from: question}\n  answer: {kind: string}\n---\nsystem:\n"
    "You judge manners.\nuser:\n{{ question }}\n{{ answer }}\n"
)
GATE = """must_not_get_worse:
  - {metric: right, margin: 0.2}
  - {metric: polite, margin: 0.2, judge: {correct: ppi, min_human: 40}}
on_inconclusive: {open_queue: manners}
"""
SUITE = "dataset: golden\nscorers:\n  right: {scorer: exact}\n  polite: {scorer: judge, judge: manners}\n"
TAXONOMY = "failure_modes:\n  - {id: rude, definition: It is rude., severity: 1}\n"


class Manners(SimulatedProvider):
    """A judge that finds polite what says please."""

    async def _scripted(self, seen: Seen) -> Reply:
        prompt = Prompt(tuple(Message(each["role"], each["content"]) for each in seen.json["messages"]))
        word = "pass" if "please" in between(prompt, "answer") else "fail"
        return Reply.json(completion(verdict(prompt, {"polite": word})))


def said(at: int) -> str:
    return f"{'please' if at % 3 else 'now!'} {at}"


def workspace(judge: str, words: str, *, is_judged: bool = True) -> dict[str, str]:
    rules = json.dumps([{"when": f"case {at}", "answer": said(at)} for at in range(N)])
    rows = [{"id": f"case-{at}", "question": f"case {at}", "reference": said(at)} for at in range(N)]
    files = {
        "providers.yaml": f"providers:\n  judging: {{kind: openai, base_url: '{judge}'}}\n",
        "routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n  scripted:\n    targets:\n"
        f"      - target: builtin/simulated\n        parameters: {{script: {rules}}}\n",
        "collections/docs.yaml": "readers: [ward]\n",
        "features/coder/feature.yaml": "owner: tests\nroute: scripted\nrisk: low\nprompt: prompts/answer.prompty\n",
        "features/coder/prompts/answer.prompty": ANSWER % words,
        "features/ward/feature.yaml": FEATURE + "risk: low\n",
        "features/ward/prompts/answer.prompty": PROMPT,
        "features/ward/evals/suite.yaml": "dataset: golden\nscorers: {said: {scorer: regex, pattern: .}}\n",
        "features/ward/golden/golden.jsonl": '{"id": "a", "question": "When does ward seven close?"}\n',
    }
    judging = {
        "features/coder/evals/gate.yaml": GATE,
        "features/coder/evals/suite.yaml": SUITE,
        "features/coder/taxonomy.yaml": TAXONOMY,
        "features/coder/golden/golden.jsonl": "".join(f"{json.dumps(each)}\n" for each in rows),
        "features/coder/judges/manners/judge.yaml": "model: judging/m\ncriteria: {polite: It says please.}\n",
        "features/coder/judges/manners/judge.prompty": JUDGE,
    }
    return files | (judging if is_judged else {})


@dataclass
class Ward:
    """A tenant with a release on `staging` that its gate's judge has to see, and who works there."""

    server: Server
    jane: str
    joe: str

    def verdict(self) -> Any:
        """What the gate says once both sides have run."""
        self.server.must("POST", "/api/gates/start", {"release": "coder"})

        def look() -> Any:
            status, answer = self.server.api("POST", "/api/gates/verdict", {"release": "coder"})
            assert status in {200, 409}, answer
            return answer if status == 200 else None

        return eventually(look, 120)

    def wanted(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.server.must("GET", "/api/judgements/wanted?metric=polite", key=self.jane)[
            "rows"
        ]
        return rows

    def shown(self, subject: str, metric: str, key: str) -> tuple[int, Any]:
        status, answer = self.server.api("GET", f"/api/judgements/material?subject={subject}&metric={metric}", key=key)
        return status, answer

    def judge(self) -> None:
        """Jane reads everything that is asked for, and says what she thinks of it."""
        for row in self.wanted():
            _, shown = self.shown(row["subject"], "polite", self.jane)
            word = "pass" if "please" in shown["answer"] else "fail"
            given = {"subject": row["subject"], "metric": "polite", "verdict": word}
            self.server.must("POST", "/api/judgements", given, key=self.jane)


@pytest.fixture(scope="module")
def ward(server: Server) -> Iterator[Ward]:
    with Manners() as judge:
        tenant = server.as_tenant("manners")
        tenant.must("POST", "/api/groups", {"name": "ward"})
        jane = tenant.key_of("jane", ["ward"], ["expert"])
        joe = tenant.key_of("joe", roles=["expert"])
        tenant.apply(workspace(judge.url, "Be brief.", is_judged=False))
        tenant.apply(workspace(judge.url, "Be short."))
        yield Ward(tenant, jane, joe)


def test_a_gate_waits_for_people_and_decides_by_what_they_say(ward: Ward) -> None:
    first = ward.verdict()
    assert first["verdict"] == "INCONCLUSIVE"
    assert {line["metric"]: line["verdict"] for line in first["lines"]} == {"right": "PASS", "polite": "INCONCLUSIVE"}
    assert first["judgements_asked"] == len(ward.wanted()) == 50
    shown = ward.server.cli("judgements", "show", "--queue", "manners", key=ward.jane).stdout
    for part in ("Question\ncase ", "Wanted answer\n", "Answer\n", "polite: It says please.", "rude: It is rude."):
        assert part in shown
    ward.judge()
    runs = [first[side]["id"] for side in ("candidate_experiment", "base_experiment")]
    assert "calibrated" in ward.server.cli("eval", "calibrate", *runs).stdout
    second = ward.verdict()
    assert (second["verdict"], second["judgements_asked"]) == ("INCONCLUSIVE", 30)
    ward.judge()
    third = ward.verdict()
    assert third["verdict"] == "PASS", third
    polite = next(line for line in third["lines"] if line["metric"] == "polite")
    assert polite["evidence"]["judgements"] == 40
    assert (third["look"], third["alpha"]) == (1, first["alpha"]), "what people were asked for is no further look"
    assert third["attestation"]


def test_what_its_ceiling_has_stopped_goes_on_with_another(ward: Ward) -> None:
    stopped = ward.server.cli("eval", "run", "coder", "--repeats", "2", "--max-cost", "1", check=False)
    assert stopped.returncode == 1
    (run,) = re.findall(r"It is stopped: .+ Go on with `headworks eval resume (\S+) --max-cost USD`\.", stopped.stderr)
    assert ward.server.must("GET", f"/api/experiments/{run}")["state"] == "stopped"


def test_what_rests_on_documents_is_shown_to_who_may_read_them(ward: Ward) -> None:
    tenant = ward.server
    tenant.hand_in("docs", "seven.md", "# Ward seven\n\nWard seven closes at nine.\n")
    tenant.worked_on("docs")
    run = tenant.must("POST", "/api/experiments", {"release": "ward"}, key=ward.jane)
    place = f"/api/experiments/{run['id']}"
    eventually(lambda: tenant.must("GET", place)["state"] == "done", 60)
    (result,) = tenant.must("GET", f"{place}/results")["results"]
    subject = result["subject"]
    status, seen = ward.shown(subject, "said", ward.jane)
    assert (status, seen["withheld"]) == (200, "")
    assert "closes at nine" in seen["answer"]
    assert [(each["number"], each["is_cited"]) for each in seen["passages"]] == [(1, True)]
    assert "closes at nine" in seen["passages"][0]["text"]
    status, other = ward.shown(subject, "said", ward.joe)
    assert (status, other["answer"], other["passages"]) == (200, "", [])
    assert "may not read" in other["withheld"]
    assert other["question"] == "When does ward seven close?"
    given = {"subject": subject, "metric": "said", "verdict": "pass", "evidence": "Ward seven closes at nine."}
    tenant.must("POST", "/api/judgements", given, key=ward.jane)
    tenant.must("POST", "/api/judgements", {**given, "evidence": ""}, key=ward.joe)
    listed = {key: tenant.must("GET", "/api/judgements?metric=said", key=key)["rows"] for key in (ward.jane, ward.joe)}
    assert sum("evidence" in row for row in listed[ward.jane]) == 1
    assert [("evidence" in row, row["verdict"], row["withheld"]) for row in listed[ward.joe]] == [
        (False, "pass", True)
    ] * 2
    told = tenant.cli("judgements", "list", "--metric", "said", key=ward.joe)
    assert "closes at nine" not in told.stdout
    assert "What was written in 2 of them is withheld" in told.stderr


def test_what_can_not_be_shown_is_refused_clearly(ward: Ward) -> None:
    some = "sha256:" + "0" * 64
    for subject, expected in (
        (f"answer:{some}:{some}:0", 404),
        ("trace:01900000-0000-7000-8000-000000000000", 404),
        ("pandalm:7", 400),
        ("trace:" + "-" * 36, 400),
    ):
        assert ward.shown(subject, "polite", ward.jane)[0] == expected
    assert ward.shown("pandalm:7", "polite", ward.server.key_of("guest"))[0] == 403
