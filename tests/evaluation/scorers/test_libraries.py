"""Metrics of other libraries: what a suite may say of them, and that nothing which goes wrong in a child is lost."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_judge import Reply, ScriptedModels

from headworks.errors import DatabaseUnavailable, Forbidden, Unavailable, UpstreamTimeout, WorkspaceInvalid
from headworks.evaluation.experiments.ceilings import Ceiling, CellPurse
from headworks.evaluation.scorers.catalogue import make_scorer
from headworks.evaluation.scorers.contract import MeasuredScorer, Surroundings
from headworks.evaluation.scorers.interpreters import Interpreters
from headworks.testing.scorers import SOMEBODY
from headworks.types.evaluation import Example, Output, Score
from headworks.types.spending import PURSE

EXAMPLE, OUTPUT = Example("a", "How long is leave?", reference="Twelve weeks."), Output("Twelve weeks.")
SETTINGS = {"version": "1", "metric": "M"}
_CHILD = """#!{python}
import json, os, sys, threading, time
def say(**message):
    print(json.dumps(message), flush=True)
asked = {{}}
for line in sys.stdin:
    message = json.loads(line)
    if "answer" in message:
        score = asked.pop(message["answer"])
        if "error" in message:
            say(done=score, error="scorer_failed", reason="the library says it its own way")
        else:
            say(done=score, value=0.75, reason=str(message.get("text", message.get("vectors"))))
        continue
    score, metric = message["score"], message["metric"]
    if metric in ("Asks", "Embeds"):
        asked[score + 100] = score
        ask = {{"ask": "complete", "messages": [{{"role": "user", "content": "?"}}], "schema": {{"type": "object"}}}}
        say(asked=score + 100, of=score, **(ask if metric == "Asks" else {{"ask": "embed", "texts": ["x", "y"]}}))
    elif metric == "Ends":
        sys.exit(1)
    elif metric == "Babbles":
        print("hello", flush=True)
    elif metric == "Environment":
        say(done=score, value=1, reason=json.dumps(sorted(os.environ)))
    elif metric == "Echoes":
        say(done=score, value=1, reason=json.dumps(message["case"]))
    elif metric != "Hangs":
        say(done=score, value=float(metric), reason="because")
"""


@asynccontextmanager
async def interpreters(tmp_path: Path, longest_s: float = 60.0) -> AsyncIterator[Interpreters]:
    """With a child that speaks the protocol, and knows metrics that misbehave."""
    python = tmp_path / "python"
    python.write_text(_CHILD.format(python=sys.executable))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    made = Interpreters(python, longest_s)
    try:
        yield made
    finally:
        await made.close()


def scorer(
    libraries: Interpreters | None, metric: str, say: Callable[..., Reply] = lambda *_: "{}", **more: Any
) -> tuple[MeasuredScorer, ScriptedModels]:
    models = ScriptedModels(say)
    around = Surroundings(models, libraries=libraries)
    return make_scorer("m", "deepeval", {"version": "1", "metric": metric, **more}, around), models


async def scored(libraries: Interpreters, metric: str, **more: Any) -> Score:
    made, _ = scorer(libraries, metric, **more)
    return await made.score(SOMEBODY, EXAMPLE, OUTPUT)


async def test_a_number_is_a_grade_or_passes_by_its_limits(tmp_path: Path) -> None:
    async with interpreters(tmp_path) as libraries:
        grade = await scored(libraries, "0.6")
        assert (grade.value, grade.label, grade.reason) == (0.6, "", "because")
        assert grade.details == {"library": "deepeval 1", "metric": "0.6"}
        passes = [
            (await scored(libraries, "0.6", **limits)).value
            for limits in ({"least": 0.6}, {"least": 0.7}, {"most": 0.5}, {"most": 0.6}, {"least": 0.5, "most": 0.7})
        ]
        assert passes == [1, 0, 0, 1, 1]
        for metric in ("1.5", "-0.5", "nan", "inf"):
            assert (await scored(libraries, metric)).error_code == "not_a_grade"


async def test_models_are_asked_here_and_what_they_cost_is_told(tmp_path: Path) -> None:
    async with interpreters(tmp_path) as libraries:
        made, models = scorer(libraries, "Asks", lambda *_: '{"a": 1}', model="openai/judge", parameters={"seed": 1})
        score = await made.score(SOMEBODY, EXAMPLE, OUTPUT)
        assert (score.value, score.reason, score.details["asked"]) == (0.75, '{"a": 1}', 1)
        (call,) = models.calls
        assert (call.model, call.purpose, call.principal) == ("openai/judge", "judge", SOMEBODY)
        assert call.parameters["seed"] == 1
        assert call.parameters["response_format"]["json_schema"]["schema"] == {"type": "object"}
        plain, models = scorer(libraries, "Asks", model="openai/judge", structured=False)
        await plain.score(SOMEBODY, EXAMPLE, OUTPUT)
        assert models.calls[0].parameters == {"temperature": 0}
        embeds, models = scorer(libraries, "Embeds", embedder="builtin/minilm")
        assert "[[0.0," in (await embeds.score(SOMEBODY, EXAMPLE, OUTPUT)).reason
        assert models.calls[0].model == "builtin/minilm"


async def test_a_call_that_failed_decides_whatever_the_library_makes_of_it(tmp_path: Path) -> None:
    async with interpreters(tmp_path) as libraries:
        late = await scored(libraries, "Asks", say=lambda *_: UpstreamTimeout("Too late."), model="a/b")
        assert (late.error_code, late.details["asked"]) == ("upstream_timeout", 1)
        refused = await scored(libraries, "Asks", say=lambda *_: ("no", "content_filter"), model="a/b")
        assert refused.error_code == "judge_refused"
        unnamed = await scored(libraries, "Asks")
        assert unnamed.error_code == "scorer_no_model"
        assert "model: provider/model" in unnamed.reason
        assert (await scored(libraries, "Embeds", model="a/b")).error_code == "scorer_no_model"
        broken = await scored(libraries, "Asks", say=lambda *_: 1 / 0, model="a/b")
        assert broken.error_code == "scorer_failed"


@pytest.mark.parametrize("error", [Forbidden("No."), DatabaseUnavailable("Away.")])
async def test_what_concerns_all_calls_is_raised(tmp_path: Path, error: Exception) -> None:
    async with interpreters(tmp_path) as libraries:
        with pytest.raises(type(error)):
            await scored(libraries, "Asks", say=lambda *_: error, model="a/b")


async def test_a_child_that_ends_babbles_or_hangs_is_an_error_and_the_next_score_has_a_new_one(tmp_path: Path) -> None:
    async with interpreters(tmp_path) as libraries:
        for metric in ("Ends", "Babbles"):
            assert (await scored(libraries, metric)).error_code == "scorer_failed"
            assert (await scored(libraries, "1")).value == 1
    async with interpreters(tmp_path, longest_s=0.5) as libraries:
        both = await asyncio.gather(scored(libraries, "Hangs"), scored(libraries, "Hangs"))
        assert {each.error_code for each in both} <= {"scorer_timeout", "scorer_failed"}
        assert (await libraries.score("deepeval", {"metric": "Hangs"}, _nobody))["error"] == "scorer_timeout"


async def _nobody(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    raise AssertionError(asked)


async def test_many_at_once_share_a_child_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    async with interpreters(tmp_path) as libraries:
        many = [scored(libraries, "Asks", say=lambda *_, n=n: f"{n}", model="a/b") for n in range(40)]
        assert [each.reason for each in await asyncio.gather(*many)] == [str(n) for n in range(40)]


async def test_each_score_is_paid_from_the_purse_of_who_asked_for_it(tmp_path: Path) -> None:
    async with interpreters(tmp_path) as libraries:
        purses = [CellPurse(Ceiling(number, 0)) for number in range(3)]
        seen: list[object] = []

        async def one(purse: CellPurse) -> None:
            PURSE.set(purse)
            await scored(libraries, "Asks", say=lambda *_: seen.append(PURSE.get()) or "{}", model="a/b")

        for purse in purses:
            await asyncio.create_task(one(purse))
        assert seen == purses


async def test_a_score_that_is_given_up_leaves_the_child_usable(tmp_path: Path) -> None:
    async with interpreters(tmp_path) as libraries:
        given_up = asyncio.create_task(scored(libraries, "Hangs"))
        assert (await scored(libraries, "1")).value == 1
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert (await scored(libraries, "1")).value == 1


async def test_a_child_gets_no_secret_of_the_server_and_the_whole_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-server")
    async with interpreters(tmp_path) as libraries:
        environment = (await scored(libraries, "Environment")).reason
        assert "OPENAI_API_KEY" not in environment
        assert "DEEPEVAL_TELEMETRY_OPT_OUT" in environment
        made, _ = scorer(libraries, "Echoes")
        example = Example("a", "\ud800?", {"plan": "gold"}, reference={"a": [1]}, context=("c",))
        told = await made.score(SOMEBODY, example, OUTPUT)
        assert told.reason == (
            '{"question": "??", "answer": "Twelve weeks.", "reference": {"a": [1]}, "context": ["c"], "passages": [], '
            '"tools": [], "expected_tools": [], "metadata": {"plan": "gold"}}'
        )


async def test_an_interpreter_that_is_not_there_or_lacks_the_library_is_an_error_of_the_score(tmp_path: Path) -> None:
    missing = Interpreters(tmp_path / "nowhere")
    assert "nowhere" in (await scored(missing, "1")).reason
    ours = Interpreters()
    score = await scored(ours, "ExactMatchMetric")
    await ours.close()
    assert score.error_code == "scorer_not_installed"
    assert sys.executable in score.reason


def test_a_suite_says_version_and_metric_and_nothing_that_is_not_known() -> None:
    made, _ = scorer(None, "M", better="low")
    assert (made.scale, made.is_better_high, made.is_judge) == ("ordinal", False, False)
    gating, _ = scorer(None, "M", model="openai/judge", most=0.5, better="low")
    assert (gating.scale, gating.is_better_high, gating.is_judge) == ("binary", True, True)
    for wrong, said in (
        ({"metric": "M"}, "version"),
        ({"version": "1"}, "metric"),
        (SETTINGS | {"settings": [1]}, "mapping"),
        (SETTINGS | {"python": "/bin/sh"}, "python"),
        (SETTINGS | {"least": 2}, "least"),
        (SETTINGS | {"model": "judge-route"}, "provider/model"),
    ):
        with pytest.raises(WorkspaceInvalid, match=said):
            make_scorer("m", "ragas", wrong)


def test_everything_that_shapes_a_score_is_in_the_digest() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"version": "2"},
        {"metric": "N"},
        {"settings": {"a": 1}},
        {"model": "a/b"},
        {"model": "a/c"},
        {"model": "a/b", "parameters": {"seed": 1}},
        {"model": "a/b", "structured": False},
        {"embedder": "builtin/minilm"},
        {"least": 0.5},
        {"most": 0.5},
        {"better": "low"},
    ]
    digests = {make_scorer("m", kind, SETTINGS | each).digest for each in changes for kind in ("deepeval", "ragas")}
    assert len(digests) == 2 * len(changes)


async def test_without_a_server_it_says_where_to_run_it() -> None:
    made, _ = scorer(None, "M")
    score = await made.score(SOMEBODY, EXAMPLE, OUTPUT)
    assert (score.error_code, score.is_error) == (Unavailable.code, True)
