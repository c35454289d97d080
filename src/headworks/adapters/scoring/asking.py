"""What a library's metric is given: a case, and a way to models that leads back over the pipe to the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

Read = TypeVar("Read")

UNKNOWN = "scorer_unknown_metric"
SETTINGS = "scorer_settings"
NO_REFERENCE = "no_reference"
UNPARSABLE = "judge_unparsable"
_AGAIN = "That can't be read: {fault}. Answer with the JSON object that was described and nothing else."


class NotScorable(Exception):
    """Why there is no number, with the code of the score's error."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Said:
    """What a metric says: any number, and for people why."""

    value: float
    reason: str = ""


@dataclass(frozen=True)
class Case:
    """An example and the answer to it. `reference` is any JSON, None: there is none. Tools are name and arguments."""

    question: str
    answer: str
    reference: Any = None
    context: Sequence[str] = ()
    passages: Sequence[str] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    expected_tools: Sequence[Mapping[str, Any]] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reference_text(self) -> str | None:
        """The reference as a text."""
        if self.reference is None or isinstance(self.reference, str):
            return self.reference
        return json.dumps(self.reference, ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True)
class Asking:
    """Blocks until the server has answered; what ends in an error there is raised as NotScorable."""

    send: Callable[[Mapping[str, Any]], Future[dict[str, Any]]]

    def complete(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None = None) -> str:
        """The answer to a conversation; a schema is passed on, and not checked."""
        return str(self._answer({"ask": "complete", "messages": list(messages), "schema": schema})["text"])

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A unit vector a text."""
        vectors: list[list[float]] = self._answer({"ask": "embed", "texts": list(texts)})["vectors"]
        return vectors

    def read(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], reader: Callable[[str], Read]
    ) -> Read:
        """The answer as `reader` takes it; asked for once more where it raises ValueError, then NotScorable."""
        text = self.complete(messages, schema)
        try:
            return reader(_object(text))
        except ValueError as error:
            again = {"role": "user", "content": _AGAIN.format(fault=_short(error))}
        text = self.complete([*messages, {"role": "assistant", "content": text or "…"}, again], schema)
        try:
            return reader(_object(text))
        except ValueError as error:
            raise NotScorable(UNPARSABLE, f"The model's answer can't be read: {_short(error)}.") from None

    async def read_soon(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], reader: Callable[[str], Read]
    ) -> Read:
        """`read`, without holding the loop up."""
        return await asyncio.to_thread(self.read, messages, schema, reader)

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.send(asked).result()
        if "error" in answer:
            raise NotScorable(str(answer["error"]), str(answer["reason"]))
        return answer


def one_turn(prompt: object) -> list[dict[str, str]]:
    """A prompt as a conversation."""
    return [{"role": "user", "content": prompt if isinstance(prompt, str) else str(prompt)}]


def chosen(offered: Mapping[str, Any], metric: str, kind: type) -> Any:  # noqa: ANN401 -- a class of the library
    """The class of that name which the library offers. Raises NotScorable, with some that it does offer."""
    found = offered.get(metric)
    if isinstance(found, type) and issubclass(found, kind) and found is not kind:
        return found
    names = sorted(name for name, each in offered.items() if isinstance(each, type) and issubclass(each, kind))
    raise NotScorable(UNKNOWN, f"There is no metric `{metric}`. There are {', '.join(names)}.")


def made(factory: Callable[..., Any], settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- an object of the library
    """The metric with these settings. Raises NotScorable where it does not take them."""
    try:
        return factory(**settings)
    except (TypeError, ValueError) as error:
        raise NotScorable(SETTINGS, f"The metric does not take these settings: {_short(error)}.") from None


def _object(text: str) -> str:
    """The outermost JSON object of an answer, without what a model writes around it."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
