"""Inspect's logs: what we write the real Inspect reads, and what is read back says the same."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.evaluation.contract import Result
from headworks.evaluation.datasets.files import example_digest
from headworks.evaluation.exchange.inspect_logs import Experimented, export_inspect, import_inspect
from headworks.types.evaluation import Example, Output, Score
from headworks.types.models import Message

ABOUT = Experimented("prior-authorisation", "builtin/simulated", "cases", "2026-11-23T04:00:00+00:00", "sha256:ab")
BESIDE = Path(__file__).parents[3] / ".venv-scorers" / "bin" / "python"
"""Made by script/test, of tests/clients/scorers/requirements.lock."""
PYTHON = os.environ.get("INSPECT_PYTHON") or (str(BESIDE) if BESIDE.exists() else None)
READ = """
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries, write_eval_log
log = read_eval_log(sys.argv[1])
write_eval_log(log, sys.argv[2])
print(json.dumps({"status": log.status, "task": log.eval.task, "epochs": log.eval.config.epochs,
    "means": {each.name: each.metrics["mean"].value for each in log.results.scores},
    "answers": [each.output.completion for each in log.samples],
    "errors": [each.error.message for each in log.samples if each.error],
    "summaries": len(read_eval_log_sample_summaries(sys.argv[1]))}))
"""


def result(name: str, repeat: int, output: Output, **scores: Score) -> Result:
    example = Example(
        name,
        "How many days?",
        inputs={"plan": "gold"},
        history=(Message("user", "Hello"), Message("assistant", "Hello, what is it?")),
        reference={"decision": "approve"},
        cluster="days",
        tags={"intent": "limits"},
        failure_modes=("threshold",),
    )
    return Result(example, example_digest(example), repeat, output, scores)


def results() -> list[Result]:
    answer = Output("7 days", "stop", input_tokens=40, output_tokens=3, latency_ms=12.0, model="builtin/simulated")
    failed = Output(error_code="upstream_unavailable", error_message="It could not be reached.", latency_ms=3.0)
    return [
        result("limits/1", 0, answer, right=Score(1.0, "pass"), judged=Score(error_code="not_json", reason="prose")),
        result("limits/1", 1, answer, right=Score(0.0, "fail", "it is 14"), judged=Score(0.5)),
        result("limits/2", 0, failed, right=Score(error_code="no_answer")),
    ]


def test_what_is_written_is_read_back_with_errors_and_repeats() -> None:
    back = import_inspect(export_inspect(ABOUT, results()))
    assert back.about == ABOUT
    assert back.losses == ()
    for read, wrote in zip(back.results, results(), strict=True):
        assert (read.example.id, read.repeat) == (wrote.example.id, wrote.repeat)
        for name in ("question", "history", "inputs", "reference", "cluster", "tags", "failure_modes"):
            assert getattr(read.example, name) == getattr(wrote.example, name), name
        for name in ("text", "finish_reason", "latency_ms", "error_code", "error_message", "model"):
            assert getattr(read.output, name) == getattr(wrote.output, name), name
        for name, score in wrote.scores.items():
            assert read.scores[name].error_code == score.error_code
            assert read.scores[name].value == score.value or math.isnan(score.value)


def test_the_same_results_give_the_same_bytes() -> None:
    assert export_inspect(ABOUT, results()) == export_inspect(ABOUT, results())


@pytest.mark.skipif(
    PYTHON is None, reason="No Inspect: script/test makes .venv-scorers, or INSPECT_PYTHON names a Python."
)
def test_the_real_inspect_reads_it_and_what_it_writes_is_read_as_json(tmp_path: Path) -> None:
    assert PYTHON is not None
    log, theirs = tmp_path / "ours.eval", tmp_path / "theirs.json"
    log.write_bytes(export_inspect(ABOUT, results()))
    done = subprocess.run(
        [PYTHON, "-c", READ, str(log), str(theirs)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["status"], said["task"], said["epochs"]) == ("success", "prior-authorisation", 2)
    assert said["means"] == {"right": 0.5, "judged": 0.5}
    assert sorted(said["answers"]) == ["", "7 days", "7 days"]
    assert said["errors"] == ["It could not be reached."]
    assert said["summaries"] == 3
    back = import_inspect(theirs.read_bytes())
    assert [each.output.text for each in back.results] == ["7 days", "7 days", ""]


def test_a_log_of_inspects_own_has_its_words_for_scores() -> None:
    sample = {
        "id": 3,
        "epoch": 1,
        "input": [{"role": "user", "content": [{"type": "text", "text": "2 + 2?"}, {"type": "image", "image": "x"}]}],
        "target": ["4", "four"],
        "choices": ["3", "4"],
        "output": {"model": "m", "completion": "4", "choices": [{"message": {}, "stop_reason": "stop"}]},
        "scores": {
            "match": {"value": "C"},
            "graded": {"value": {"style": 0.5, "facts": "I"}},
            "words": {"value": "good"},
        },
    }
    back = import_inspect(_log({"eval": {"task": "sums", "dataset": {}}}, sample))
    (one,) = back.results
    assert (one.example.question, one.example.reference) == ("2 + 2?", ["4", "four"])
    assert {name: each.value for name, each in one.scores.items() if not each.is_error} == {
        "match": 1.0,
        "graded.style": 0.5,
        "graded.facts": 0.0,
    }
    assert one.scores["words"].error_code == "not_a_number"
    assert len(back.losses) == 3


@pytest.mark.parametrize("content", [b"", b"no archive", b"{", b'{"a": NaN}', b"PK\x03\x04 broken"])
def test_what_is_no_log_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no `.eval` log"):
        import_inspect(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=60)
@given(JSON, JSON, JSON)
def test_any_sample_is_read_or_refused(one: object, two: object, three: object) -> None:
    sample = {"id": one, "input": two, "scores": {"a": {"value": three}}, "output": one, "epoch": two}
    assert len(import_inspect(_log({"eval": three}, sample)).results) == 1
    sample |= {"metadata": {"headworks": one}, "total_time": two, "error": three}
    try:
        import_inspect(_log({"eval": three}, sample))
    except InvalidRequest as error:
        assert "no `.eval` log" in str(error)  # noqa: PT017 -- either way is right


def _log(header: dict[str, Any], sample: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        archive.writestr("samples/3_epoch_1.json", json.dumps(sample))
    return out.getvalue()
