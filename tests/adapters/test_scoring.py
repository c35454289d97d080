"""Metrics of DeepEval, Ragas, autoevals and Inspect, by the real libraries, over the gateway's models."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fresh_databases import FreshDatabases
from running_gateway import Running, World

from headworks.evaluation.scorers.catalogue import make_scorer
from headworks.evaluation.scorers.contract import Surroundings
from headworks.evaluation.scorers.interpreters import Interpreters
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion
from headworks.types.evaluation import Example, Output, Score, ToolUse
from headworks.types.ids import DocumentId, TraceId, new_id
from headworks.types.retrieval import Passage

SOURCE = Path(__file__).parents[2] / "src"
_TEXT = "Parental leave is twelve weeks."
_FIND = ToolUse("find", {"name": "leave"})
EXAMPLE = Example("a", "How long is leave?", reference="Twelve weeks.", context=(_TEXT,), expected_tools=(_FIND,))
OUTPUT = Output(
    "Twelve weeks.",
    passages=(Passage(1, DocumentId(new_id()), 1, "a.md", "A", (), 0, 0, len(_TEXT), _TEXT, 1.0),),
    tool_uses=(_FIND,),
    trace=TraceId(new_id()),
)


@dataclass(frozen=True)
class Metric:
    """One that asks a model: its name, what a good model answers in its order, and what that scores."""

    library: str
    version: str
    metric: str
    answers: Sequence[str]
    value: float
    settings: dict[str, Any]


_NLI = '{"statements": [{"statement": "It is twelve weeks.", "reason": "It says so.", "verdict": 1}]}'
ASKING = [
    Metric(
        "deepeval",
        "4.3.1",
        "AnswerRelevancyMetric",
        ['{"statements": ["Twelve weeks.", "Hello."]}', '{"verdicts": [{"verdict": "yes"}, {"verdict": "no"}]}'],
        0.5,
        {"include_reason": False},
    ),
    Metric(
        "deepeval",
        "4.3.1",
        "GEval",
        ['{"steps": ["Compare."]}', 'Here you are: {"score": 8, "reason": "Right."}'],
        0.8,
        {"name": "Right", "criteria": "It is right.", "evaluation_params": ["input", "actual_output"]},
    ),
    Metric("ragas", "0.4.3", "Faithfulness", ['{"statements": ["It is twelve weeks."]}', _NLI], 1.0, {}),
    Metric("autoevals", "0.4.1", "Factuality", ['{"reasons": "Less is said.", "choice": "A"}'], 0.4, {}),
    Metric("inspect", "0.3.285", "model_graded_fact", ["They agree. GRADE: P"], 0.5, {"partial_credit": True}),
]
COUNTING = [
    ("deepeval", "4.3.1", "ExactMatchMetric", {}, 1.0),
    ("deepeval", "4.3.1", "ToolCorrectnessMetric", {"evaluation_params": ["input_parameters"]}, 1.0),
    ("ragas", "0.4.3", "ExactMatch", {}, 1.0),
    ("ragas", "0.4.3", "ToolCallAccuracy", {}, 1.0),
    ("autoevals", "0.4.1", "Levenshtein", {}, 1.0),
    ("inspect", "0.3.285", "includes", {}, 1.0),
    ("inspect", "0.3.285", "pattern", {"pattern": "(Twelve weeks.)"}, 1.0),
]


def names(metric: Metric) -> str:
    return f"{metric.library}-{metric.metric}"


@pytest.fixture(scope="module")
def world(databases: FreshDatabases) -> Iterator[World]:
    with databases.lend() as urls, SimulatedProvider() as first, SimulatedProvider() as second:
        running = Running(urls, first, second)
        yield running.start()
        running.stop()


@pytest.fixture(scope="module")
def libraries(world: World, scorer_python: Path) -> Iterator[Interpreters]:
    async def started() -> Interpreters:
        return Interpreters(scorer_python)

    made: Interpreters = world.run(started())
    yield made
    world.run(made.close())


@pytest.fixture
def told(world: World) -> SimulatedProvider:
    world.providers[0].forget()
    world.records.rows.clear()
    return world.providers[0]


def score(world: World, libraries: Interpreters, library: str, said: dict[str, Any], **of: Any) -> Score:
    """Skips what the interpreter has not."""
    scorer = make_scorer("m", library, said, Surroundings(world.gateway.models, libraries=libraries))
    example, output = of.get("example", EXAMPLE), of.get("output", OUTPUT)
    found: Score = world.run(scorer.score(world.admin, example, output), 120)
    if found.error_code == "scorer_not_installed":
        pytest.skip(f"{found.reason} HEADWORKS_TEST_SCORER_PYTHON names an interpreter that can.")
    return found


@pytest.mark.parametrize(("library", "version", "metric", "settings", "value"), COUNTING)
def test_a_metric_that_asks_nobody_scores(
    world: World,
    libraries: Interpreters,
    told: SimulatedProvider,
    library: str,
    version: str,
    metric: str,
    settings: dict[str, Any],
    value: float,
) -> None:
    said = {"version": version, "metric": metric, "settings": settings}
    found = score(world, libraries, library, said)
    assert (found.value, found.error_code) == (value, None), found.reason
    assert "refused_connections" not in found.details
    assert "asked" not in found.details
    assert not told.seen


@pytest.mark.parametrize("metric", ASKING, ids=names)
def test_a_metric_that_asks_a_model_asks_the_gateway_which_pays_and_records_it(
    world: World, libraries: Interpreters, told: SimulatedProvider, metric: Metric
) -> None:
    told.will(*(Reply.json(completion(each)) for each in metric.answers))
    said = {"version": metric.version, "metric": metric.metric, "settings": metric.settings}
    found = score(world, libraries, metric.library, said | {"model": "outside/gpt-4o-mini"})
    assert (found.value, found.error_code) == (pytest.approx(metric.value), None), found.reason
    assert "refused_connections" not in found.details
    asked = [each.json for each in told.seen]
    assert {each["model"] for each in asked} == {"gpt-4o-mini"}
    assert {each["temperature"] for each in asked} == {0}
    rows = [world.records.row(number + 1) for number in range(len(asked))]
    assert len(rows) == found.details["asked"] == len(metric.answers)
    assert {row.purpose for row in rows} == {"judge"}
    assert {row.trace_id for row in rows} == {OUTPUT.trace}
    assert found.details["cost_micro_usd"] == sum(row.cost_micro_usd or 0 for row in rows) > 0


@pytest.mark.parametrize("metric", ASKING, ids=names)
def test_prose_and_a_failing_provider_are_errors_with_what_they_cost(
    world: World, libraries: Interpreters, told: SimulatedProvider, metric: Metric
) -> None:
    said = {"version": metric.version, "metric": metric.metric, "settings": metric.settings}
    told.will(*[Reply.json(completion("I would rather not say."))] * 2)
    prose = score(world, libraries, metric.library, said | {"model": "outside/gpt-4o-mini"})
    assert prose.error_code == "judge_unparsable", prose.reason
    assert prose.details["cost_micro_usd"] > 0
    told.forget()
    told.will(*[Reply.error(503)] * 4)
    away = score(world, libraries, metric.library, said | {"model": "outside/m1"})
    assert (away.error_code or "").startswith("upstream"), away.reason
    unnamed = score(world, libraries, metric.library, said)
    assert unnamed.error_code == "scorer_no_model"


@pytest.mark.parametrize(
    ("library", "version", "metric"),
    [("autoevals", "0.4.1", "EmbeddingSimilarity"), ("ragas", "0.4.3", "SemanticSimilarity")],
)
def test_vectors_come_from_the_servers_embedder(
    world: World, libraries: Interpreters, library: str, version: str, metric: str
) -> None:
    said = {"version": version, "metric": metric, "embedder": "builtin/minilm"}
    same = score(world, libraries, library, said)
    assert same.value == pytest.approx(1.0), same.reason
    other = score(world, libraries, library, said, output=Output("No."))
    assert other.error_code is None
    assert score(world, libraries, library, said | {"embedder": ""}).error_code == "scorer_no_model"


@pytest.mark.parametrize(
    ("library", "said", "code", "reason"),
    [
        ("deepeval", {"version": "4.3.1", "metric": "Nix"}, "scorer_unknown_metric", "AnswerRelevancyMetric"),
        ("deepeval", {"version": "4.3.0", "metric": "GEval"}, "scorer_other_version", "4.3.1"),
        (
            "deepeval",
            {"version": "4.3.1", "metric": "ExactMatchMetric", "settings": {"of": 1}},
            "scorer_settings",
            "of",
        ),
        ("ragas", {"version": "0.4.3", "metric": "os"}, "scorer_unknown_metric", "Faithfulness"),
        ("autoevals", {"version": "0.4.1", "metric": "init"}, "scorer_unknown_metric", "Levenshtein"),
        ("autoevals", {"version": "0.4.1", "metric": "ExactMatch", "settings": {"of": 1}}, "scorer_settings", "no arg"),
        ("inspect", {"version": "0.3.285", "metric": "precomputed_scores"}, "scorer_unknown_metric", "includes"),
        (
            "inspect",
            {"version": "0.3.285", "metric": "model_graded_qa", "settings": {"template": "/etc/passwd"}},
            "scorer_settings",
            "template",
        ),
    ],
)
def test_what_a_suite_says_wrong_is_told(
    world: World, libraries: Interpreters, library: str, said: dict[str, Any], code: str, reason: str
) -> None:
    found = score(world, libraries, library, said)
    assert found.error_code == code
    assert reason in found.reason


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ("deepeval", {"version": "4.3.1", "metric": "ExactMatchMetric"}),
        ("ragas", {"version": "0.4.3", "metric": "ExactMatch"}),
        ("inspect", {"version": "0.3.285", "metric": "includes"}),
    ],
)
def test_an_example_without_a_reference_is_an_error(
    world: World, libraries: Interpreters, library: str, said: dict[str, Any]
) -> None:
    assert score(world, libraries, library, said, example=Example("b", "?")).error_code == "no_reference"


def test_json_is_compared_as_json_and_several_targets_are_several(world: World, libraries: Interpreters) -> None:
    listed = Example("c", "?", reference={"a": [1, 2], "b": "x"})
    said = {"version": "0.4.1", "metric": "JSONDiff"}
    same = score(world, libraries, "autoevals", said, example=listed, output=Output('{"b": "x", "a": [1, 2]}'))
    assert same.value == 1
    numbers = {"version": "0.4.1", "metric": "NumericDiff"}
    near = score(world, libraries, "autoevals", numbers, example=Example("d", "?", reference=10), output=Output("9"))
    assert 0.9 < near.value < 1
    targets = Example("e", "?", reference=["eleven", "Twelve"])
    assert score(world, libraries, "inspect", {"version": "0.3.285", "metric": "includes"}, example=targets).value == 1


_TRIES = """
import json, os, socket, subprocess, sys
sys.path.insert(0, sys.argv[1])
from headworks.adapters.scoring import program
sys.addaudithook(program._refuse)
before = {}
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), 1)
except OSError as error:
    before["connect"] = type(error).__name__
program._confine(sys.argv[1])
tried = {}
def attempt(name, act):
    try:
        act()
        tried[name] = "done"
    except Exception as error:
        tried[name] = type(error).__name__
attempt("socket", lambda: socket.socket())
attempt("resolve", lambda: socket.getaddrinfo("example.org", 80))
attempt("program", lambda: subprocess.run(["/bin/true"], check=True))
attempt("write", lambda: open(sys.argv[3], "w"))
attempt("read", lambda: open(sys.argv[4]).read())
attempt("own", lambda: open(json.__file__).read())
print(json.dumps([before, tried]))
"""


def test_a_child_can_not_connect_start_write_or_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with SimulatedProvider() as provider:
        port = provider.url.rpartition(":")[2].partition("/")[0]
        arguments = [str(SOURCE), port, str(tmp_path / "made"), str(secret)]
        done = subprocess.run(
            [sys.executable, "-I", "-c", _TRIES, *arguments], capture_output=True, text=True, timeout=60, check=True
        )
        before, tried = json.loads(done.stdout)
        assert before == {"connect": "PermissionError"}
        assert tried == dict.fromkeys(["socket", "resolve", "program", "write", "read"], "PermissionError") | {
            "own": "done"
        }
        assert not provider.seen
