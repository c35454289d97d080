"""A gate from end to end, on a real server: an equal release passes and goes live, a planted regression does not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from running_server import HEADWORKS, Server, eventually

from headworks import notebook
from headworks.errors import InvalidRequest, NotFound, Unauthenticated

N = 80
PROMPT = "---\ninputs:\n  question: {kind: string, from: question}\n---\nsystem:\n%s\nuser:\n{{ question }}\n"
GATE = """compare_to: channel:prod
must_not_get_worse:
  - {metric: right, margin: 0.05}
  - {metric: near, margin: 0.05}
must_be_perfect: [said]
budgets: {p95_ms: 60000}
slices: {by: intent, margin: 0.2, min_n: 20, action: warn}
"""
SUITE = """dataset: golden
scorers:
  right: {scorer: exact}
  near: {scorer: contains}
  said: {scorer: regex, pattern: "."}
  parsed: {scorer: exact, path: /answer}
"""


def script(wrong: Mapping[int, str] = {}, n: int = N) -> str:
    rules = [{"when": f"case {at}", "answer": wrong.get(at, f"answer {at}")} for at in range(n)]
    return json.dumps(rules)


def golden(n: int = N) -> str:
    rows = [
        {
            "id": f"case-{at}",
            "question": f"case {at}",
            "reference": f"answer {at}",
            "tags": {"intent": "imaging" if at % 2 else "surgery"},
            "failure_modes": ["rules_interpretation" if at % 4 else "record_extraction"],
        }
        for at in range(n)
    ]
    return "".join(json.dumps(each) + "\n" for each in rows)


def workspace(answers: str, *, words: str = "Be brief.", n: int | None = N) -> dict[str, str]:
    files = {
        "routes.yaml": "routes:\n  scripted:\n    targets:\n      - target: builtin/simulated\n"
        f"        parameters: {{script: {answers}}}\n",
        "features/coder/feature.yaml": "owner: tests\nroute: scripted\nrisk: low\nprompt: prompts/answer.prompty\n",
        "features/coder/prompts/answer.prompty": PROMPT % words,
    }
    if n is not None:
        files |= {
            "features/coder/evals/gate.yaml": GATE,
            "features/coder/evals/suite.yaml": SUITE,
            "features/coder/golden/golden.jsonl": golden(n),
        }
    return files


@pytest.fixture(scope="module")
def live(server: Server) -> Server:
    """A tenant whose release is live, and judged from then on by a gate."""
    tenant = server.as_tenant("gates")
    assert tenant.apply(workspace(script(), n=None))["features"][0]["channel"] == "prod"
    tenant.apply(workspace(script()))
    return tenant


def judged(tenant: Server, release: str = "coder@staging") -> Any:
    """The verdict, once both sides have run."""
    tenant.must("POST", "/api/gates/start", {"release": release})

    def look() -> Any:
        status, answer = tenant.api("POST", "/api/gates/verdict", {"release": release})
        assert status in {200, 409}, answer
        return answer if status == 200 else None

    return eventually(look, 120)


def test_an_equal_release_passes_at_the_n_asked_for_and_goes_live_by_that_verdict(live: Server) -> None:
    live.apply(workspace(script(), words="Be short."))
    said = judged(live)
    assert said["verdict"] == "PASS", said
    assert {each["rule"]: each["verdict"] for each in said["lines"]}["must_not_get_worse"] == "PASS"
    assert said["attestation"]
    live.must("POST", "/api/principals", {"name": "ana", "roles": ["engineer"]})
    key = live.key_of("ana")
    live.must("POST", f"/api/releases/{said['release']}/approve", {"decision": "approve"}, key=key)
    moved = live.must(
        "POST",
        "/api/releases/promote",
        {"feature": "coder", "digest": said["release"], "expected": said["base"]},
    )
    assert said["release"] in json.dumps(moved)


def test_a_planted_regression_fails_and_is_named_by_failure_mode(live: Server) -> None:
    wrong = {at: "withdrawn" for at in range(N) if at % 4 == 1}
    live.apply(workspace(script(wrong), words="Be short."))
    said = judged(live)
    assert said["verdict"] == "FAIL"
    assert said["modes"][0] == {"mode": "rules_interpretation", "broken": 20, "fixed": 0}
    status, answer = live.api(
        "POST",
        "/api/releases/promote",
        {"feature": "coder", "digest": said["release"], "expected": said["base"]},
    )
    assert status == 409
    assert "FAIL" in answer["error"]["message"]


def test_judging_the_same_results_again_is_the_same_look_and_signs_nothing_new(live: Server) -> None:
    first, again = judged(live), judged(live)
    assert (again["look"], again["attempt"], again["alpha"]) == (first["look"], first["attempt"], first["alpha"])
    assert again["is_repeated"]
    assert again["attestation"] is None


def command(tenant: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = tenant.environ | {"HEADWORKS_URL": tenant.url, "HEADWORKS_API_KEY": tenant.admin_key}
    line = [HEADWORKS, "eval", *arguments]
    return subprocess.run(line, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_says_it_in_its_exit_status_in_junit_and_in_markdown(live: Server, tmp_path: Path) -> None:
    junit, report, plot = tmp_path / "gate.xml", tmp_path / "gate.md", tmp_path / "gate.svg"
    done = command(live, "gate", "coder", "--junit", str(junit), "--markdown", str(report), "--svg", str(plot))
    assert done.returncode == 1, done.stderr
    assert "rules_interpretation" in done.stdout
    assert ET.fromstring(junit.read_text()).get("failures") == "2"  # noqa: S314 -- our own
    assert report.read_text().startswith("<!-- headworks-gate:coder -->")
    assert "| rules_interpretation | 20 | 0 |" in report.read_text()
    assert report.read_text().count("`case-1` (right, near)") == report.read_text().count("`case-1`") == 1
    assert ET.fromstring(plot.read_text()).tag.endswith("svg")  # noqa: S314 -- our own
    assert command(live, "gate", "nobody").returncode == 3
    assert command(live, "gate", "--no-such-option").returncode == 3


def test_two_releases_are_compared_on_the_command_line_by_slices_too(live: Server) -> None:
    ran = command(live, "run", "coder@prod", "--repeats", "2", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["metrics"][0]["repeated"]["flaky"] == 0
    assert command(live, "run", "coder@staging", "--max-cost", "1").returncode == 0
    shown = command(live, "compare", "coder@prod", "coder@staging", "--by", "intent")
    assert shown.returncode == 0, shown.stderr
    assert "intent=imaging" in shown.stdout
    assert json.loads(command(live, "list", "--json").stdout)[0]["state"] == "done"


def test_a_notebook_shows_the_same_and_has_rows_for_data_frames(live: Server) -> None:
    heard: list[tuple[int, ...]] = []
    with closing(notebook.Server(live.url, live.admin_key, told=lambda *so_far: heard.append(so_far))) as there:
        run = there.run("coder@staging", max_cost_usd=1, by="intent")
        assert (run.state, len(run.rows()), run.metrics[0]["n"]) == ("done", N, N)
        first = there.experiment(run.id).rows()[0]
        assert (first["example"], first["right"], first["said"], bool(first["trace"])) == ("case-0", 1.0, 1.0, True)
        assert "right, intent=surgery" in repr(run)
        parsed = next(each for each in run.metrics if each["metric"] == "parsed")
        assert (parsed["mean"], parsed["errors"], parsed["error_codes"]) == (None, N, {"not_json": N})
        assert re.search(rf"^parsed +– +– +0 +{N} not_json +–$", repr(run), re.MULTILINE)
        right = {each["slice"]: each["mean"] for each in run.slices if each["metric"] == "right"}
        assert right == {"intent=imaging": 0.5, "intent=surgery": 1.0}
        compared = there.compare(there.run("coder@prod"), run, by="intent")
        assert re.search(r"^parsed +– +– +– +– ", repr(compared), re.MULTILINE)
        assert f"parsed: {N} base, {N} candidate scores are errors." in repr(compared)
        assert {each["slice"] for each in compared.rows()} == {None, "intent=imaging", "intent=surgery"}
        assert {each["to"] for each in compared.flips} == {"fail"}
        said = there.gate("coder")
        assert (said.verdict, said.needed, said.rows()[0]["margin"]) == ("FAIL", None, 0.05)
        assert said._repr_markdown_().startswith("<!-- headworks-gate:coder -->")
        assert "</svg>" in said.svg()
        assert all(done <= total == N for done, total in heard)
        with pytest.raises(NotFound, match="nobody"):
            there.run("nobody")
        with pytest.raises(InvalidRequest, match="max_cost_usd"):
            there.gate("coder", max_cost_usd=0)


def test_the_page_on_notebooks_is_true(live: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "notebooks.md").read_text()
    names: dict[str, Any] = {}
    monkeypatch.delenv("HEADWORKS_API_KEY", raising=False)
    with pytest.raises(Unauthenticated, match="HEADWORKS_API_KEY"):
        notebook.Server(live.url)
    monkeypatch.setenv("HEADWORKS_URL", live.url)
    monkeypatch.setenv("HEADWORKS_API_KEY", live.admin_key)
    for block in re.findall(r"```python\n(.+?)```", page, re.DOTALL):
        exec(block.replace("claims", "coder").replace("task_success", "right"), names)  # noqa: S102 -- our own page
    names["server"].close()
    assert len(names["wrong"]) == len(names["broken"]) == 20
    assert names["test"].is_shown


def test_a_loosened_gate_judges_only_once_somebody_else_has_approved_it(live: Server) -> None:
    ana, bob = [live.key_of(name, roles=["engineer"]) for name in ("ana", "bob")]
    live.apply(workspace(script({at: "withdrawn" for at in range(N) if at % 4 == 1}), words="Be curt."))
    loose = {"features/coder/evals/gate.yaml": GATE.replace("margin: 0.05", "margin: 0.9")}
    kinder = {"features/coder/prompts/answer.prompty": PROMPT % "Be kind."}
    status, refused = live.api("POST", "/api/proposals", {"title": "Both", "files": loose | kinder}, key=ana)
    assert (status, refused["error"]["code"]) == (400, "gate_of_its_own")
    proposal = live.must("POST", "/api/proposals", {"title": "Looser", "files": loose}, key=ana)
    place = f"/api/proposals/{proposal['number']}"
    gate = proposal["releases"][0]["standing"]["digest"]

    unknown = command(live, "gate", "coder", "--gate", "0123456789ab")
    assert (unknown.returncode, "`0123456789ab` is no gate of `coder`." in unknown.stderr) == (3, True)
    assert "release show NUMBER" in unknown.stderr
    said = json.loads(command(live, "gate", "coder", "--gate", gate[7:13], "--json").stdout)
    assert (said["verdict"], said["gate"]) == ("PASS", gate), "it is that loose"
    order = {"feature": "coder", "digest": said["release"], "expected": said["base"]}
    status, refused = live.api("POST", "/api/releases/promote", order, key=bob)
    assert (status, refused["error"]["code"]) == (409, "promotion_refused"), "by a gate that is not attached"

    status, refused = live.api("POST", f"{place}/approve", {}, key=ana)
    assert (status, refused["error"]["code"]) == (403, "own_proposal")
    live.must("POST", f"{place}/approve", {}, key=bob)
    status, refused = live.api("POST", f"{place}/accept", {}, key=bob)
    assert status == 409
    assert "has not judged the live release" in refused["error"]["message"]
    done = command(live, "gate", "coder@prod", "--gate", gate, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["release"] == said["base"]
    (moved,) = live.must("POST", f"{place}/accept", {}, key=bob)["moved"]
    assert (moved["channel"], moved["after"]) == ("gate", gate)
    assert live.must("GET", f"/api/releases/{said['release']}")["gate"] == gate


def test_too_few_examples_are_inconclusive_and_the_tool_says_how_many_it_needs(server: Server) -> None:
    tenant = server.as_tenant("few")
    tenant.apply(workspace(script(), n=None))
    tenant.apply(workspace(script(), n=20))
    tenant.apply(workspace(script(), words="Be short.", n=20))
    done = command(tenant, "gate", "coder", "--json")
    assert done.returncode == 2, done.stderr
    said = json.loads(done.stdout)
    assert said["verdict"] == "INCONCLUSIVE"
    assert 54 <= 20 + said["needed"] <= 100, "more than answers that never differ, as 20 show little of that"


def test_an_experiment_runs_on_what_was_pushed_by_number_or_by_digest(live: Server) -> None:
    pushed = [
        live.must("POST", "/api/datasets/extra/versions", {"content": golden(n), "file": "extra.jsonl"})["digest"]
        for n in (3, 5)
    ]
    for named, examples, told in (
        ("extra@1", 3, "extra@1"),
        (f"extra@{pushed[1][7:19]}", 5, "extra@2"),
        (pushed[0], 3, f"extra@{pushed[0][7:19]}"),
    ):
        ran = command(live, "run", "coder@prod", "--dataset", named, "--json")
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)["experiment"]
        assert (found["examples"], found["dataset"]) == (examples, told)
    refused = command(live, "run", "coder@prod", "--dataset", "extra@7")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "The dataset `extra` has no version `7`." in refused.stderr
    assert "There are: golden." in command(live, "run", "coder@prod", "--dataset", "extra").stderr
