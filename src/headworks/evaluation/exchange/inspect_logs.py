"""Inspect's `.eval` logs: results written so that `inspect` reads and shows them, and logs of its own read back.

A log is a ZIP archive: `header.json`, `summaries.json` and one JSON file a sample and epoch.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any
from urllib.parse import quote

from headworks.errors import InvalidRequest
from headworks.evaluation.contract import Result
from headworks.evaluation.datasets.files import example_digest
from headworks.types.evaluation import Example, Output, Score
from headworks.types.ids import Digest
from headworks.types.models import Message

_VERSION = 2
_MOST_BYTES = 512 << 20
_MOST_SAMPLES = 100_000
_NO_LOG = (zipfile.BadZipFile, KeyError, NotImplementedError, ValueError, RecursionError, TypeError, AttributeError)
_WORDS: Mapping[str, float] = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Correct, incorrect, partial, no answer."""
_STOPS = frozenset(("stop", "max_tokens", "model_length", "tool_calls", "content_filter", "unknown"))
_OURS_TO_THEIRS: Mapping[str, str] = {"length": "max_tokens", "refusal": "content_filter", "end_turn": "stop"}


@dataclass(frozen=True, slots=True)
class Experimented:
    """What a log is about. `created` is ISO 8601 with a zone."""

    task: str
    model: str
    dataset: str
    created: str
    release: str | None = None


@dataclass(frozen=True, slots=True)
class InspectLog:
    """A log as results of ours. `losses` say what of it has no word here."""

    about: Experimented
    results: tuple[Result, ...]
    losses: tuple[str, ...]

    @property
    def examples(self) -> list[Example]:
        """Each sample once, however many epochs it has. Raises InvalidRequest where one id stands for several."""
        found: dict[str, Result] = {}
        for each in self.results:
            first = found.setdefault(each.example.id, each)
            if first.example_digest != each.example_digest:
                raise InvalidRequest(
                    f"The id `{each.example.id[:100]}` stands for different samples.",
                    next_step="Give each sample an id of its own.",
                )
        return [each.example for each in found.values()]


def export_inspect(about: Experimented, results: Sequence[Result]) -> bytes:
    """The log's bytes, for a file that ends in `.eval`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        samples = [_sample(each) for each in results]
        header = _header(about, results)
        begun = {"version": _VERSION, "eval": header["eval"], "plan": header["plan"]}
        _write(archive, "_journal/start.json", begun)
        for sample in samples:
            _write(archive, f"samples/{quote(str(sample['id']), safe=' ')}_epoch_{sample['epoch']}.json", sample)
        _write(archive, "summaries.json", [_summary(each) for each in samples])
        _write(archive, "header.json", header)
    return out.getvalue()


def _write(archive: zipfile.ZipFile, name: str, value: object) -> None:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same results give the same bytes
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, json.dumps(value, ensure_ascii=False))


def _header(about: Experimented, results: Sequence[Result]) -> dict[str, Any]:
    names = list(dict.fromkeys(each.example.id for each in results))
    epochs = 1 + max((each.repeat for each in results), default=0)
    return {
        "version": _VERSION,
        "status": "success",
        "eval": {
            "created": about.created,
            "task": about.task,
            "model": about.model,
            "dataset": {"name": about.dataset, "samples": len(names), "sample_ids": names, "shuffled": False},
            "config": {"epochs": epochs},
            "metadata": {} if about.release is None else {"headworks_release": about.release},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(names) * epochs,
            "completed_samples": sum(each.output.error_code is None for each in results),
            "scores": [_metric(name, results) for name in _metrics(results)],
        },
        "stats": {"started_at": about.created, "completed_at": about.created},
    }


def _metrics(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(name for each in results for name in each.scores))


def _metric(name: str, results: Sequence[Result]) -> dict[str, Any]:
    values = [each.scores[name].value for each in results if name in each.scores and not each.scores[name].is_error]
    unscored = sum(name in each.scores for each in results) - len(values)
    metrics = {"mean": {"name": "mean", "value": fmean(values)}} if values else {}
    return {
        "name": name,
        "scorer": name,
        "metrics": metrics,
        "scored_samples": len(values),
        "unscored_samples": unscored,
    }


def _sample(result: Result) -> dict[str, Any]:
    example, output = result.example, result.output
    turns = [{"role": each.role, "content": each.content} for each in example.history]
    asked = {"role": "user", "content": example.question or json.dumps(dict(example.inputs), ensure_ascii=False)}
    said = {"role": "assistant", "content": output.text, "source": "generate"}
    sample: dict[str, Any] = {
        "id": example.id,
        "epoch": result.repeat + 1,
        "input": [*turns, asked] if turns else asked["content"],
        "target": _target(example.reference),
        "messages": [*turns, asked, *([] if output.error_code else [said])],
        "output": _output(output, said),
        "scores": {name: _score(each, output) for name, each in result.scores.items() if not each.is_error},
        "metadata": _metadata(result),
        "total_time": output.latency_ms / 1000,
    }
    if output.error_code is not None:
        said_of_it = output.error_message or output.error_code
        sample["error"] = {"message": said_of_it, "traceback": "", "traceback_ansi": ""}
    return sample


def _target(reference: object) -> str | list[str]:
    if reference is None:
        return ""
    if isinstance(reference, list) and all(isinstance(each, str) for each in reference):
        return [str(each) for each in reference]
    return reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)


def _output(output: Output, said: dict[str, Any]) -> dict[str, Any]:
    if output.error_code is not None:
        return {"model": output.model or "", "choices": [], "error": output.error_message or output.error_code}
    stop = _OURS_TO_THEIRS.get(output.finish_reason, output.finish_reason)
    stop = stop if stop in _STOPS else "unknown"
    read, written = output.input_tokens or 0, output.output_tokens or 0
    return {
        "model": output.model or "",
        "choices": [{"message": said, "stop_reason": stop}],
        "completion": output.text,
        "usage": {"input_tokens": read, "output_tokens": written, "total_tokens": read + written},
        "time": output.latency_ms / 1000,
    }


def _score(score: Score, output: Output) -> dict[str, Any]:
    metadata = {"label": score.label, **score.details} if score.label or score.details else None
    return {"value": score.value, "answer": output.text, "explanation": score.reason or None, "metadata": metadata}


def _metadata(result: Result) -> dict[str, Any]:
    """What Inspect has no place for, and which scores are errors: it knows none of those."""
    example, output = result.example, result.output
    errors = {name: each.error_code or "not_a_number" for name, each in result.scores.items() if each.is_error}
    said: dict[str, Any] = {
        "inputs": dict(example.inputs),
        "cluster": example.cluster,
        "tags": dict(example.tags),
        "failure_modes": list(example.failure_modes),
        "reference": example.reference if not isinstance(example.reference, str) else None,
        "score_errors": errors,
        "error_code": output.error_code,
        "trace": None if output.trace is None else str(output.trace),
        "cost_micro_usd": output.cost_micro_usd,
        "finish_reason": output.finish_reason,
    }
    return {"headworks": {key: each for key, each in said.items() if each not in (None, {}, [], "")}}


def _summary(sample: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: sample[key] for key in ("id", "epoch", "input", "target", "scores", "metadata", "total_time")}
    return kept | {"completed": True} | ({"error": sample["error"]["message"]} if "error" in sample else {})


def import_inspect(content: bytes) -> InspectLog:
    """A log, as `.eval` or as JSON. Raises InvalidRequest for what is none, or too large."""
    losses: list[str] = []
    try:
        header, samples = _json_log(content) if content[:1] == b"{" else _archive(content)
        results = sorted((_result(each, losses) for each in samples), key=lambda each: (each.example.id, each.repeat))
    except _NO_LOG as error:
        raise InvalidRequest(
            f"This is no `.eval` log that can be read here ({type(error).__name__}).",
            next_step="Newer logs are compressed by Zstandard: `inspect log convert LOG --to json --output-dir DIR`.",
        ) from None
    return InspectLog(_about(header), tuple(results), tuple(dict.fromkeys(losses)))


def _archive(content: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [each for each in archive.namelist() if each.startswith("samples/") and each.endswith(".json")]
        if sum(each.file_size for each in archive.infolist()) > _MOST_BYTES or len(names) > _MOST_SAMPLES:
            raise InvalidRequest(f"The log holds more than {_MOST_BYTES >> 20} MB or {_MOST_SAMPLES:,} samples.")
        first = "header.json" if "header.json" in archive.namelist() else "_journal/start.json"
        return _object(archive.read(first)), [_object(archive.read(each)) for each in sorted(names)]


def _json_log(content: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if len(content) > _MOST_BYTES:
        raise InvalidRequest(f"The log holds more than {_MOST_BYTES >> 20} MB.")
    header = _object(content)
    if "eval" not in header:
        raise KeyError("eval")
    samples = header.get("samples")
    return header, [each for each in samples if isinstance(each, dict)] if isinstance(samples, list) else []


def _object(content: bytes) -> dict[str, Any]:
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 -- caught above, with what JSON itself raises
    return value


def _about(header: Mapping[str, Any]) -> Experimented:
    said = header.get("eval")
    spec: Mapping[str, Any] = said if isinstance(said, dict) else {}
    dataset, metadata = spec.get("dataset"), spec.get("metadata")
    return Experimented(
        str(spec.get("task", "")),
        str(spec.get("model", "")),
        str(dataset.get("name") or "") if isinstance(dataset, dict) else "",
        str(spec.get("created", "")),
        metadata.get("headworks_release") if isinstance(metadata, dict) else None,
    )


def _result(sample: Mapping[str, Any], losses: list[str]) -> Result:
    metadata = sample.get("metadata") if isinstance(sample.get("metadata"), dict) else {}
    ours = metadata.get("headworks", {}) if isinstance(metadata, dict) else {}
    history, question = _asked(sample.get("input"), losses)
    lost = ("choices", "sandbox", "files", "setup")
    losses.extend(f"`{key}` of samples has no word here" for key in lost if sample.get(key))
    target = sample.get("target")
    example = Example(
        id=str(sample.get("id", "")),
        question=question,
        inputs=ours.get("inputs", {}),
        history=history,
        reference=ours.get("reference", target if target != "" else None),
        cluster=ours.get("cluster"),
        tags=ours.get("tags", {}),
        failure_modes=tuple(ours.get("failure_modes", ())),
    )
    epoch = sample.get("epoch", 1)
    repeat = epoch - 1 if isinstance(epoch, int) and epoch > 0 else 0
    scores = _scores(sample.get("scores"), losses)
    scores |= {name: Score(error_code=str(code)) for name, code in ours.get("score_errors", {}).items()}
    return Result(example, _digest(example), repeat, _read_output(sample, ours), scores)


def _digest(example: Example) -> Digest:
    try:
        return example_digest(example)
    except ValueError:
        raise InvalidRequest(
            f"The sample `{example.id[:100]}` holds NaN, an infinity or an integer beyond 2^53.",
            next_step="Not every reader of JSON sees the same there: write it as a text.",
        ) from None


def _asked(given: object, losses: list[str]) -> tuple[tuple[Message, ...], str]:
    if isinstance(given, str):
        return (), given
    turns = []
    for each in given if isinstance(given, list) else []:
        content = each.get("content") if isinstance(each, dict) else None
        if isinstance(content, list):
            if any(part.get("type") != "text" for part in content if isinstance(part, dict)):
                losses.append("parts of messages that are no text are left out")
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        if isinstance(content, str) and each.get("role") in {"system", "user", "assistant"}:
            turns.append(Message(each["role"], content))
        else:
            losses.append("messages of tools are left out")
    question = turns.pop().content if turns and turns[-1].role == "user" else ""
    return tuple(turns), question


def _read_output(sample: Mapping[str, Any], ours: Mapping[str, Any]) -> Output:
    said = sample.get("output")
    output: Mapping[str, Any] = said if isinstance(said, dict) else {}
    usage, error = output.get("usage"), sample.get("error")
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    tokens: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    time_s = sample.get("total_time") or output.get("time") or 0.0
    return Output(
        text=str(output.get("completion") or ""),
        finish_reason=str(ours.get("finish_reason") or first.get("stop_reason") or ""),
        input_tokens=tokens.get("input_tokens"),
        output_tokens=tokens.get("output_tokens"),
        cost_micro_usd=ours.get("cost_micro_usd"),
        latency_ms=float(time_s) * 1000,
        model=str(output.get("model") or "") or None,
        error_code=(ours.get("error_code") or "inspect_error") if isinstance(error, dict) else None,
        error_message=str(error.get("message", "")) if isinstance(error, dict) else "",
    )


def _scores(given: object, losses: list[str]) -> dict[str, Score]:
    found: dict[str, Score] = {}
    for name, said in given.items() if isinstance(given, dict) else ():
        value = said.get("value") if isinstance(said, dict) else None
        reason = str(said.get("explanation") or "") if isinstance(said, dict) else ""
        if isinstance(value, dict):
            for part, inner in value.items():
                found[f"{name}.{part}"] = _one_score(inner, reason, losses)
        else:
            found[name] = _one_score(value, reason, losses)
    return found


def _one_score(value: object, reason: str, losses: list[str]) -> Score:
    if isinstance(value, str) and value in _WORDS:
        return Score(_WORDS[value], value, reason)
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return Score(float(value), reason=reason)
    losses.append("scores that are texts or lists become errors: no number stands for them")
    return Score(reason=reason, error_code="not_a_number")
