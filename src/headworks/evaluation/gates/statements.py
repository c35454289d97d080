"""What gates and comparisons say, as attestations and answers have it: the predicates of what is signed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headworks.evaluation.experiments.comparing import FlippedExample
from headworks.evaluation.experiments.lifecycle import Experiment
from headworks.evaluation.gates.lines import Line
from headworks.types.ids import Digest
from headworks.types.json_values import JsonObject

_MOST_FLIPS = 5_000


def comparison_of(
    base: Digest, dataset: str | None, candidate: Experiment, flipped: Sequence[FlippedExample]
) -> JsonObject:
    """The predicate of a comparison with `base`."""
    return {
        "base": base,
        "dataset": dataset,
        "examples": candidate.examples,
        "flips": [flip_json(each) for each in flipped[:_MOST_FLIPS]],
    }


def flip_json(each: FlippedExample) -> JsonObject:
    """As attestations say it."""
    return {
        "example": each.example.id,
        "from": each.before,
        "to": each.after,
        "metric": each.metric,
        "modes": list(each.example.failure_modes),
        "base_trace": each.base_trace,
        "trace": each.trace,
    }


def line_json(line: Line) -> JsonObject:
    """A line as attestations and answers say it."""
    evidence = {key: _plain(value) for key, value in line.evidence.items()}
    said: JsonObject = {"rule": line.rule, "metric": line.metric, "verdict": line.verdict, "message": line.message}
    return said | {
        "evidence": evidence,
        "needed": line.needed,
        "next_step": line.next_step,
        "blocks": line.blocks,
        "wanted": len(line.wanted),
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 -- a number or a text
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
