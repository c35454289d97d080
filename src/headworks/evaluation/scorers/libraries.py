"""Other libraries' metrics: `deepeval`, `ragas`, `autoevals`, `inspect`. They run in an interpreter of their own.

relevant: {scorer: deepeval, version: 4.3.1, metric: AnswerRelevancyMetric, model: openai/gpt-5-mini, least: 0.7}

Whatever they ask of a model is asked here: with the rights, the budget and on the trace of who runs the experiment.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headworks.errors import DatabaseUnavailable, Forbidden, HeadworksError, Unavailable
from headworks.evaluation.contract import Scale
from headworks.evaluation.judges.files import read_model, read_parameters
from headworks.evaluation.judges.judging import REFUSALS, REFUSED
from headworks.evaluation.scorers.contract import (
    NO_GRADE,
    SCORER_FAILED,
    Libraries,
    Measure,
    ScorerKind,
    Surroundings,
    passed,
)
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score, ToolUse
from headworks.types.identity import Principal
from headworks.types.models import Message, ModelCall, Models, Prompt

Library = Literal["deepeval", "ragas", "autoevals", "inspect"]
NO_MODEL = "scorer_no_model"
"""A metric asks a model, and its settings name none."""


@dataclass(frozen=True)
class Wanted:
    """What a suite says of one metric. `settings` are the metric's own, `parameters` the model's."""

    library: Library
    version: str
    metric: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    embedder: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    structured: bool = True
    least: float | None = None
    most: float | None = None
    is_better_high: bool = True

    @property
    def said(self) -> dict[str, Any]:
        """Everything of it, as JSON."""
        asked = {"model": self.model, "parameters": dict(self.parameters), "structured": self.structured}
        limits = {"least": self.least, "most": self.most, "is_better_high": self.is_better_high}
        return {
            "version": self.version,
            "metric": self.metric,
            "settings": dict(self.settings),
            "embedder": self.embedder,
            **(asked if self.model else {}),
            **limits,
        }


@dataclass(frozen=True)
class OtherMetric(Measure):
    """A metric of a library: a grade from 0 to 1, or with a limit passed and failed."""

    wanted: Wanted
    models: Models | None
    libraries: Libraries | None

    @property
    def scale(self) -> Scale:
        """See Measure."""
        return "ordinal" if self.wanted.least is None and self.wanted.most is None else "binary"

    @property
    def is_better_high(self) -> bool:
        """As said; with a limit a pass is better."""
        return self.scale == "binary" or self.wanted.is_better_high

    @property
    def is_judge(self) -> bool:
        """Where a model is named, it decides."""
        return bool(self.wanted.model)

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return self.wanted.said

    async def score(self, principal: Principal, example: Example, output: Output) -> Score:
        """See Measure."""
        if self.libraries is None:
            raise Unavailable("No other library can be run from here.", next_step="Run the experiment on the server.")
        wanted = self.wanted
        task = {"version": wanted.version, "metric": wanted.metric, "settings": dict(wanted.settings)}
        way = _Way(wanted, self.models, principal, output)
        said = _clean(await self.libraries.score(wanted.library, task | {"case": _case(example, output)}, way.answer))
        if way.raised is not None:
            raise way.raised
        details = way.details
        if way.fault is not None:
            return Score(reason=way.fault[1], error_code=way.fault[0], details=details)
        if "error" in said:
            return Score(reason=str(said["reason"]), error_code=str(said["error"]), details=details)
        if said.get("refused"):
            details["refused_connections"] = said["refused"]
        return self._scored(float(said["value"]), str(said["reason"]), details)

    def _scored(self, value: float, reason: str, details: Mapping[str, Any]) -> Score:
        low, high = self.wanted.least, self.wanted.most
        if not math.isfinite(value) or not -1e-6 <= value <= 1 + 1e-6:
            told = f"`{self.wanted.metric}` says {value:g}, and a grade lies from 0 to 1."
            return Score(reason=told, error_code=NO_GRADE, details=details)
        grade = round(min(1.0, max(0.0, value)), 6)
        if low is None and high is None:
            return Score(grade, reason=reason, details=details)
        is_good = (low is None or grade >= low) and (high is None or grade <= high)
        bounds = " and ".join(
            part
            for part in ("" if low is None else f"at least {low:g}", "" if high is None else f"at most {high:g}")
            if part
        )
        return passed(is_good, reason or f"{grade:.3g} is not {bounds}.", {"grade": grade, **details})


class _Way:
    """What one score asks of models. A call that failed decides the score, whatever the library makes of it."""

    def __init__(self, wanted: Wanted, models: Models | None, principal: Principal, output: Output) -> None:
        self._wanted = wanted
        self._models = models
        self._principal = principal
        self._output = output
        self.asked = 0
        self.cost_micro_usd = 0
        self.fault: tuple[str, str] | None = None
        self.raised: HeadworksError | None = None

    @property
    def details(self) -> dict[str, Any]:
        """As judges tell what they cost."""
        told = {"library": f"{self._wanted.library} {self._wanted.version}", "metric": self._wanted.metric}
        return told | ({"asked": self.asked, "cost_micro_usd": self.cost_micro_usd} if self.asked else {})

    async def answer(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """See interpreters.Answer."""
        try:
            return await (self._embed(asked) if asked["ask"] == "embed" else self._complete(asked))
        except (DatabaseUnavailable, Forbidden) as error:
            self.raised = error
            return {"error": error.code, "reason": str(error)}
        except HeadworksError as error:
            return self._failed(error.code, f"The model failed: {error}")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- the library waits for an answer, and the score tells of it
            return self._failed(SCORER_FAILED, f"Its call of a model broke: {type(error).__name__}.")

    async def _complete(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        models = self._named(self._wanted.model, "model")
        if models is None:
            return self._no_model("model")
        parameters = dict(self._wanted.parameters)
        if self._wanted.structured and asked.get("schema"):
            schema = {"name": "answer", "schema": asked["schema"]}
            parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
        call = ModelCall(self._principal, self._wanted.model, "judge", self._output.trace, None, parameters)
        self.asked += 1
        said = await models.complete(
            call, Prompt(tuple(Message(each["role"], each["content"]) for each in asked["messages"]))
        )
        self.cost_micro_usd += said.cost_micro_usd or 0
        if said.finish_reason in REFUSALS:
            return self._failed(REFUSED, f"The model's provider ended with `{said.finish_reason}`.")
        return {"text": said.text}

    async def _embed(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        models = self._named(self._wanted.embedder, "embedder")
        if models is None:
            return self._no_model("embedder")
        call = ModelCall(self._principal, self._wanted.embedder, "judge", self._output.trace)
        self.asked += 1
        found = await models.embed(call, [str(each) for each in asked["texts"]])
        return {"vectors": [[float(number) for number in vector] for vector in found.vectors]}

    def _named(self, model: str, key: str) -> Models | None:
        if model and self._models is None:
            raise Unavailable(f"No {key} can be asked from here.", next_step="Run the experiment on the server.")
        return self._models if model else None

    def _no_model(self, key: str) -> Mapping[str, Any]:
        return self._failed(NO_MODEL, f"`{self._wanted.metric}` asks a model: name it as `{key}: provider/model`.")

    def _failed(self, code: str, reason: str) -> Mapping[str, Any]:
        self.fault = self.fault or (code, reason)
        return {"error": code, "reason": reason}


def _case(example: Example, output: Output) -> dict[str, Any]:
    """As adapters.scoring.asking.Case."""
    turns = [f"{turn.role}: {turn.content}" for turn in example.history]
    case = {
        "question": "\n\n".join([*turns, example.question]),
        "answer": output.text,
        "reference": example.reference,
        "context": list(example.context),
        "passages": [each.text for each in output.passages],
        "tools": _tools(output.tool_uses),
        "expected_tools": _tools(example.expected_tools),
        "metadata": dict(example.inputs),
    }
    return {key: _clean(value) for key, value in case.items()}


def _tools(uses: tuple[ToolUse, ...]) -> list[dict[str, Any]]:
    return [{"name": each.name, "arguments": dict(each.arguments)} for each in uses]


def _clean(value: Any) -> Any:  # noqa: ANN401 -- any JSON value
    """Without lone surrogates, which no library's validation takes, and nothing can keep."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case Mapping():
            return {str(key): _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case _:
            return value


def _reader(library: Library) -> Callable[[Section, Surroundings], OtherMetric]:
    def read(section: Section, surroundings: Surroundings) -> OtherMetric:
        settings = section.json("settings") if section.has("settings") else {}
        if not isinstance(settings, dict):
            section.complain("settings", "`settings` must be a mapping.", "Like {include_reason: false}.")
        model = read_model(section, required=False)
        wanted = Wanted(
            library,
            section.text("version"),
            section.text("metric"),
            settings,
            model,
            section.text("embedder", ""),
            read_parameters(section) if model or section.has("parameters") else {},
            section.flag("structured", default=True),
            section.number("least", 0.0, 0.0, 1.0) if section.has("least") else None,
            section.number("most", 1.0, 0.0, 1.0) if section.has("most") else None,
            section.choice("better", ("high", "low"), "high") == "high",
        )
        return OtherMetric(wanted, surroundings.models, surroundings.libraries)

    return read


def _kind(library: Library, version: str, metric: str, whose: str) -> ScorerKind:
    example = {"version": version, "metric": metric}
    return ScorerKind(library, _reader(library), f"A metric of {whose}, run in an interpreter of its own.", example)


KINDS = (
    _kind("deepeval", "4.3.1", "ExactMatchMetric", "DeepEval"),
    _kind("ragas", "0.4.3", "ExactMatch", "Ragas"),
    _kind("autoevals", "0.4.1", "Levenshtein", "autoevals"),
    _kind("inspect", "0.3.285", "includes", "Inspect"),
)
