"""What the API says of experiments, comparisons and gates, as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headworks.evaluation.contract import Result, subject_of
from headworks.evaluation.experiments.comparing import (
    Difference,
    Metric,
    Repeated,
    Spent,
    average,
    by_mode,
    by_tag,
    errors_of,
    repeated,
    spent,
)
from headworks.evaluation.experiments.lifecycle import Experiment, Progress
from headworks.evaluation.gates.gating import GateRun, GateVerdict
from headworks.evaluation.gates.statements import flip_json, line_json
from headworks.evaluation.service import Compared, describe
from headworks.types.ids import Digest
from headworks.types.json_values import JsonObject


def experiment_body(experiment: Experiment, progress: Progress | None = None) -> JsonObject:
    """An experiment, and how far it is."""
    done = None if progress is None else {"done": progress.done, "total": progress.total}
    return {**describe(experiment), "progress": done}


def results_body(experiment: Experiment, results: Sequence[Result], slice_by: str | None = None) -> JsonObject:
    """An experiment's metrics, by the values of a tag as well, and each answer's scores with its trace; no text."""
    parts = {} if slice_by is None else by_tag(results, slice_by)
    return {
        "experiment": describe(experiment),
        "metrics": [_metric(each, results) for each in experiment.metrics],
        "slices": [
            {"slice": f"{slice_by}={value}", **_metric(metric, part)}
            for metric in experiment.metrics
            for value, part in parts.items()
        ],
        "spent": _spent(spent(results)),
        "results": [_result(experiment.release, each) for each in results],
    }


def _metric(metric: Metric, results: Sequence[Result]) -> JsonObject:
    found = average(results, metric, "count_as_fail")
    errors = errors_of(results, metric)
    mean, low, high, n = (None, None, None, 0) if found is None else (found[0], found[1].low, found[1].high, found[2])
    body = {"metric": metric.name, "scale": metric.scale, "mean": mean, "low": low, "high": high, "n": n}
    again = _repeated(repeated(results, metric))
    counted = {"errors": sum(errors.values()), "error_codes": errors, "repeated": again}
    return {key: _finite(value) for key, value in body.items()} | counted


def compared_body(compared: Compared) -> JsonObject:
    """A comparison."""
    return {
        "base": describe(compared.base),
        "candidate": describe(compared.candidate),
        "examples": compared.examples,
        "metrics": [_difference(each) for each in compared.differences],
        "slices": [{"slice": where, **_difference(each)} for _, where, each in compared.slices],
        "flips": [flip_json(each) for each in compared.flips],
        "modes": [
            {"mode": mode, "broken": broken, "fixed": fixed}
            for mode, (broken, fixed) in by_mode(compared.flips).items()
        ],
        "repeats": [{"base": _repeated(before), "candidate": _repeated(after)} for before, after in compared.repeats],
        "spent": {"base": _spent(compared.spent[0]), "candidate": _spent(compared.spent[1])},
    }


def run_body(run: GateRun) -> JsonObject:
    """What a verdict waits for."""
    return {
        "feature": run.subject.feature,
        "release": run.subject.digest,
        "base": run.base.release if run.base else None,
        "gate": run.bundle.digest,
        "candidate_experiment": describe(run.candidate),
        "base_experiment": describe(run.base) if run.base else None,
    }


def verdict_body(said: GateVerdict) -> JsonObject:
    """A verdict with the evidence of each line."""
    modes = by_mode(said.flips)
    return run_body(said.run) | {
        "verdict": said.judged.verdict,
        "summary": said.judged.summary,
        "needed": said.judged.needed,
        "look": said.look.look,
        "looks": said.run.spec.looks,
        "attempt": said.look.attempt,
        "alpha": said.look.alpha,
        "is_repeated": said.look.is_repeated,
        "lines": [line_json(each) for each in said.judged.lines],
        "flips": [flip_json(each) for each in said.flips],
        "modes": [{"mode": mode, "broken": broken, "fixed": fixed} for mode, (broken, fixed) in modes.items()],
        "attestation": said.attestation,
        "judgements_asked": said.asked,
    }


def _result(release: Digest, each: Result) -> JsonObject:
    output = each.output
    return {
        "subject": subject_of(release, each.example_digest, each.repeat),
        "example": each.example.id,
        "repeat": each.repeat,
        "trace": None if output.trace is None else str(output.trace),
        "error": output.error_code,
        "latency_ms": output.latency_ms,
        "cost_micro_usd": output.cost_micro_usd,
        "model": output.model,
        "scores": {
            name: {"value": _finite(score.value), "label": score.label, "error": score.error_code}
            for name, score in each.scores.items()
        },
    }


def _difference(each: Difference) -> JsonObject:
    has_base, has_candidate = each.scored
    is_compared = has_base and has_candidate
    numbers = {
        "base": each.base if has_base else None,
        "candidate": each.candidate if has_candidate else None,
        "difference": each.difference if is_compared else None,
        "low": each.interval.low if is_compared else None,
        "high": each.interval.high if is_compared else None,
    }
    return {"metric": each.metric.name, "scale": each.metric.scale, "is_better_high": each.metric.is_better_high} | {
        **{key: _finite(value) for key, value in numbers.items()},
        "n": each.n,
        "clusters": each.clusters,
        "wins": each.pairs.wins,
        "losses": each.pairs.losses,
        "design_effect": each.pairs.design_effect,
        "errors": {"base": each.base_errors, "candidate": each.candidate_errors},
    }


def _repeated(each: Repeated | None) -> JsonObject | None:
    if each is None:
        return None
    in_a_row = {str(k): value for k, value in each.pass_all.items()}
    return {"metric": each.metric, "repeats": each.repeats, "flaky": each.flaky, "pass_all": in_a_row}


def _spent(each: Spent) -> JsonObject:
    return {
        "answers": each.answers,
        "errors": each.errors,
        "cost_micro_usd": each.cost_micro_usd,
        "p50_ms": each.p50_ms,
        "p95_ms": each.p95_ms,
    }


def _finite(value: Any) -> Any:  # noqa: ANN401 -- any JSON value
    return None if isinstance(value, float) and not math.isfinite(value) else value
