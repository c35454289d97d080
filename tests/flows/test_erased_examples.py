"""What is erased is erased from datasets, experiments and judgements, too: asked of the API, from trace to receipt."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from running_server import FEATURE, PROMPT, Server, eventually

from headworks.evaluation.exchange.inspect_logs import import_inspect

WHY = "request 2026-041"
QUESTION = "When does the quagga ward of Jane close?"
SEVEN = "When does ward seven close?"
SUITE = "dataset: golden\nscorers: {said: {scorer: regex, pattern: .}}\n"
PLAIN = '{"id": "plain", "question": "When does ward seven close?"}\n'


@dataclass
class Scene:
    """A tenant in which jane and joe have asked, and what was made of both traces."""

    server: Server
    lines: dict[str, str]
    traces: dict[str, str]
    experiment: str
    ann: str
    """Key of somebody who may read the documents; the server's own may not."""

    def version(self, number: int) -> Any:
        return self.server.must("GET", f"/api/datasets/cases?version={number}")

    def ids(self, number: int) -> list[str]:
        return [json.loads(each)["id"] for each in self.version(number)["content"].splitlines()]

    def erase(self, **what: Any) -> tuple[int, Any]:
        status, answer = self.server.api("POST", "/api/erasures", {"reason": WHY, **what})
        return status, answer

    def judgements(self) -> dict[str, Any]:
        rows = self.server.must("GET", "/api/judgements?metric=right")["rows"]
        return {each["subject"]: each for each in rows}

    def shown(self) -> Any:
        return self.server.must("GET", f"/api/experiments/{self.experiment}/results")


def workspace(golden: str) -> dict[str, str]:
    return {
        "routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n",
        "collections/docs.yaml": "readers: [ward]\n",
        "collections/sevens.yaml": "readers: [everyone]\n",
        "features/seven/feature.yaml": FEATURE.replace("docs", "sevens") + "risk: low\n",
        "features/seven/prompts/answer.prompty": PROMPT,
        "features/ward/feature.yaml": FEATURE + "risk: low\n",
        "features/ward/prompts/answer.prompty": PROMPT,
        "features/ward/evals/suite.yaml": SUITE,
        "features/ward/golden/golden.jsonl": golden,
    }


@pytest.fixture(scope="module")
def scene(server: Server) -> Scene:
    tenant = server.as_tenant("forgetting")
    tenant.must("POST", "/api/groups", {"name": "ward"})
    ann = tenant.key_of("ann", ["ward"], ["expert"])
    tenant.apply(workspace(PLAIN))
    tenant.hand_in("docs", "quagga.md", "# Quagga\n\nThe quagga ward closes at nine.\n")
    tenant.hand_in("sevens", "seven.md", "# Seven\n\nWard seven closes at ten.\n")
    tenant.worked_on("docs")
    tenant.worked_on("sevens")
    lines, traces = {}, {}
    asked = {"jane": ("ward", QUESTION), "joe": ("seven", SEVEN), "jim": ("ward", "When does the quagga ward close?")}
    for who, (feature, question) in asked.items():
        key = tenant.key_of(who, ["ward"], ["expert"])
        status, answer, headers = tenant.ask(feature, question, key)
        assert status == 200, answer
        traces[who] = headers["x-headworks-trace"]
        tenant.trace(traces[who])
        made = tenant.must("POST", "/api/datasets/promotions", {"trace": traces[who], "with_reference": True}, key=ann)
        lines[who] = made["line"]
        given = {"subject": f"trace:{traces[who]}", "metric": "right", "verdict": "fail", "critique": f"{who} is named"}
        tenant.must("POST", "/api/judgements", given, key=key)
    golden = PLAIN + "".join(lines.values())
    tenant.must("POST", "/api/datasets/cases/versions", {"content": golden})
    tenant.apply(workspace(golden))
    run = tenant.must("POST", "/api/experiments", {"release": "ward"}, key=ann)
    place = f"/api/experiments/{run['id']}"
    eventually(lambda: tenant.must("GET", place)["state"] == "done", 60)
    return Scene(tenant, lines, traces, run["id"], ann)


def test_an_experiment_is_exported_for_inspect_with_what_its_reader_may_read(scene: Scene, tmp_path: Path) -> None:
    words = ["eval", "export", scene.experiment, "--to", "inspect", "--out"]
    done = scene.server.cli(*words, str(tmp_path / "ann.eval"), key=scene.ann)
    assert "lost" not in done.stderr
    whole = import_inspect((tmp_path / "ann.eval").read_bytes())
    assert (whole.about.task, whole.about.model) == ("ward", "builtin/extractive")
    assert sum("closes at nine" in each.output.text for each in whole.results) == 4
    done = scene.server.cli(*words, str(tmp_path / "admin.eval"))
    assert "lost: 4 answers, which rest on documents that you may not read" in done.stderr
    hidden = (tmp_path / "admin.eval").read_bytes()
    assert {each.output.error_code for each in import_inspect(hidden).results} == {"withheld"}
    with zipfile.ZipFile(tmp_path / "admin.eval") as archive:
        assert not any(b"closes at nine" in archive.read(each) for each in archive.namelist() if "plain" in each)
    again = scene.server.cli(*words, str(tmp_path / "ann.eval"), key=scene.ann, check=False)
    assert again.returncode != 0
    assert "is there already" in again.stderr


def test_a_hold_on_the_person_keeps_the_examples(scene: Scene) -> None:
    held = scene.server.must("POST", "/api/holds", {"kind": "person", "name": "jane", "reason": "case 17"})
    status, refused = scene.erase(person="jane")
    assert (status, refused["error"]["code"]) == (409, "legal_hold")
    assert len(scene.ids(1)) == 4
    scene.server.must("DELETE", f"/api/holds/{held['hold']}")


def test_a_persons_trace_is_erased_from_examples_experiments_and_judgements(scene: Scene) -> None:
    before = scene.version(1)
    assert (before["examples"], before["erased"]) == (4, 0)
    status, receipt = scene.erase(person="jane")
    assert status == 200, receipt
    rows = receipt["detail"]["rows"]
    assert (rows["dataset_example.content"], rows["experiment.content"]) == (1, 1)
    assert (rows["experiment_output"], rows["judgement.content"]) == (1, 1)
    after = scene.version(1)
    assert (after["digest"], after["examples"], after["erased"]) == (before["digest"], 3, 1)
    assert f"trace-{scene.traces['jane']}" not in scene.ids(1)
    (version,) = scene.server.must("GET", "/api/datasets/cases/versions")["rows"]
    assert (version["examples"], version["erased"]) == (4, 1)
    shown = scene.shown()
    assert (shown["experiment"]["examples"], shown["experiment"]["erased"], len(shown["results"])) == (4, 1, 3)
    assert "4 examples (1 erased since) × 1, done" in scene.server.cli("eval", "show", scene.experiment).stdout
    judged = scene.judgements()[f"trace:{scene.traces['jane']}"]
    assert (judged["verdict"], judged["erased"]) == ("fail", True)
    assert "critique" not in judged
    assert scene.judgements()[f"trace:{scene.traces['joe']}"]["critique"] == "joe is named"


def test_what_was_erased_is_not_taken_again(scene: Scene) -> None:
    status, refused = scene.server.api("POST", "/api/datasets/cases/versions", {"content": scene.lines["jane"]})
    assert (status, refused["error"]["code"]) == (409, "example_erased")
    status, refused = scene.server.api("POST", "/api/experiments", {"release": "ward"}, key=scene.ann)
    assert (status, refused["error"]["code"]) == (409, "example_erased")
    scene.server.apply(workspace(PLAIN + scene.lines["joe"] + scene.lines["jim"]))
    run = scene.server.must("POST", "/api/experiments", {"release": "ward"}, key=scene.ann)
    assert (run["examples"], run["erased"]) == (3, 0)
    eventually(lambda: scene.server.must("GET", f"/api/experiments/{run['id']}")["state"] == "done", 60)


def test_a_document_is_erased_from_what_quotes_it_and_from_nothing_else(scene: Scene) -> None:
    status, receipt = scene.erase(document="quagga.md", collection="docs")
    assert status == 200, receipt
    rows = receipt["detail"]["rows"]
    assert (rows["dataset_example.content"], rows["judgement.content"]) == (1, 1), "of jim's; jane's are gone already"
    assert rows["experiment.content"] == 2
    assert scene.shown()["results"] == [], "the other answers of the feature quoted it, too"
    assert set(scene.ids(1)) == {"plain", f"trace-{scene.traces['joe']}"}
    assert scene.judgements()[f"trace:{scene.traces['jim']}"]["erased"] is True
    assert "erased" not in scene.judgements()[f"trace:{scene.traces['joe']}"]
    texts = json.dumps([scene.shown(), scene.version(1), scene.server.must("GET", "/api/judgements?metric=right")])
    assert "quagga" not in texts


def test_an_experiment_that_lost_every_example_says_so(scene: Scene) -> None:
    scene.server.apply(workspace(scene.lines["joe"]))
    run = scene.server.must("POST", "/api/experiments", {"release": "ward"}, key=scene.ann)
    place = f"/api/experiments/{run['id']}"
    eventually(lambda: scene.server.must("GET", place)["state"] == "done", 60)
    assert scene.erase(person="joe")[0] == 200
    status, refused = scene.server.api("GET", f"{place}/results")
    assert status == 409
    assert "were erased" in refused["error"]["message"]
    listed = scene.server.must("GET", "/api/experiments")["rows"]
    assert {each["id"]: each["erased"] for each in listed}[run["id"]] == 1
