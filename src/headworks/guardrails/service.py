"""The guardrails that a feature configures, applied to the caller's text, to passages and to what spans record.

A guardrail that fails is a guardrail that refuses: text that could not be checked does not go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from headworks.errors import Blocked, HeadworksError
from headworks.guardrails import pii
from headworks.guardrails.contract import KINDS, Checked, CheckedValue, Finding
from headworks.guardrails.groundedness import cap_for_judge, prompt_for_judge, read_verdicts
from headworks.guardrails.json_text import strings_apart, tool_arguments_are_whole
from headworks.guardrails.pii import Numbering
from headworks.guardrails.schema import check_json
from headworks.types.features import PiiSettings

__all__ = [
    "CheckedMessages",
    "Guardrails",
    "cap_for_judge",
    "check_json",
    "prompt_for_judge",
    "read_verdicts",
    "refusal",
    "strings_apart",
    "tool_arguments_are_whole",
]

Json = dict[str, Any]

_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})
_DEEPEST = 200
_LONGEST_KEY = 64
_SHORTEST_NUMBER, _LONGEST_NUMBER = 10**7, 10**100


@dataclass(frozen=True, slots=True)
class CheckedMessages:
    """Chat messages after their check: the very same objects where nothing changed. `counts` are per kind."""

    messages: list[Json]
    counts: dict[str, int]
    is_changed: bool


class Guardrails:
    """What of a request may go on, and in which words. Stateless; one Numbering joins the texts of one request."""

    def check_text(self, settings: PiiSettings, text: str, numbering: Numbering | None = None) -> Checked:
        """One text, redacted, marked as blocked or as it is, by the action. Raises Blocked if the check fails."""
        with _closed_on_failure():
            findings = tuple(pii.find(text, _kinds(settings)))
            if not findings or settings.action == "record":
                return Checked(text, findings)
            if settings.action == "block":
                return Checked(text, findings, is_blocked=True)
            return Checked(pii.redact(text, findings, numbering), findings)

    def check_value(self, settings: PiiSettings, value: object, numbering: Numbering | None = None) -> CheckedValue:
        """Every text, field name and long number of a JSON value, by the action; the value stays valid JSON.

        The name of a field counts as the label of its value, so that `{"phone": "020 7946 0958"}` is found. Raises
        Blocked if the check fails or the value is nested too deep for it.
        """
        with _closed_on_failure():
            values = _Values(_kinds(settings), numbering or Numbering())
            redacted = values.copy(value, "", 0)
            findings = tuple(values.findings)
            if values.is_cut:
                raise _too_deep()
            if not findings or settings.action == "record":
                return CheckedValue(value, findings)
            if settings.action == "block":
                return CheckedValue(value, findings, is_blocked=True)
            return CheckedValue(redacted, findings)

    def check_messages(
        self, settings: PiiSettings, messages: Sequence[Json], numbering: Numbering | None = None
    ) -> CheckedMessages:
        """Every text of a chat: contents, text parts, refusals and the arguments of tool calls.

        Raises Blocked, naming message, kind and rule but never the value, where the action is `block`.
        """
        check = _Check(self, settings, numbering or Numbering())
        with _closed_on_failure():
            checked = [check.message(message, f"messages[{number}]") for number, message in enumerate(messages)]
        return CheckedMessages(checked, dict(check.counts), is_changed=check.is_changed)

    def check_passages(
        self, settings: PiiSettings, texts: Sequence[str], numbering: Numbering | None = None
    ) -> list[Checked]:
        """Rendered passages, before a provider outside of this host sees them. Raises Blocked as `check_messages`."""
        numbering = numbering or Numbering()
        checked = [self.check_text(settings, text, numbering) for text in texts]
        for number, passage in enumerate(checked, start=1):
            if passage.is_blocked:
                raise refusal(passage.findings[0], f"passage {number}")
        return checked

    def redact_payload(self, settings: PiiSettings, payload: object, numbering: Numbering | None = None) -> object:
        """A copy of a JSON value for a span: redacted as by `check_value`, whatever the action is."""
        with _closed_on_failure():
            return _Values(_kinds(settings), numbering or Numbering()).copy(payload, "", 0)


def refusal(finding: Finding, where: str) -> Blocked:
    """The error of a blocked text: says where, which kind and which rule, never the value."""
    return Blocked(
        f"The guardrail `pii` refused: {where} holds data of the kind `{finding.kind}` (rule `{finding.rule}`).",
        next_step="Take it out and send the request again, or ask the feature's owner to redact instead of block.",
        param=where,
    )


def _too_deep() -> Blocked:
    return Blocked(
        f"The guardrail `pii` refused: a value is nested more than {_DEEPEST} levels deep.",
        next_step="Send a flatter one.",
    )


def _kinds(settings: PiiSettings) -> frozenset[str]:
    return KINDS if settings.kinds is None else settings.kinds


@contextmanager
def _closed_on_failure() -> Iterator[None]:
    try:
        yield
    except HeadworksError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever it is, the text does not go on
        raise Blocked(
            f"The guardrail `pii` failed ({type(error).__name__}), so the request was stopped before any text left.",
            next_step="Try again; if it stays so, report the request id to the operator.",
            code="guardrail_failed",
        ) from None  # an error of a text's check may quote the text


class _Check:
    """One pass over a chat: what was found so far, and whether anything had to change."""

    def __init__(self, guardrails: Guardrails, settings: PiiSettings, numbering: Numbering) -> None:
        self._guardrails, self._settings, self._numbering = guardrails, settings, numbering
        self.counts: Counter[str] = Counter()
        self.is_changed = False

    def message(self, message: Json, where: str) -> Json:
        changes: Json = {}
        content, refused = message.get("content"), message.get("refusal")
        if isinstance(content, str):
            changes["content"] = self._text(content, f"{where}.content")
        elif isinstance(content, list):
            changes["content"] = [self._part(part, f"{where}.content[{n}]") for n, part in enumerate(content)]
        if isinstance(refused, str):
            changes["refusal"] = self._text(refused, f"{where}.refusal")
        if isinstance(calls := message.get("tool_calls"), list):
            changes["tool_calls"] = [self._call(call, f"{where}.tool_calls[{n}]") for n, call in enumerate(calls)]
        if isinstance(call := message.get("function_call"), dict):
            changes["function_call"] = self._arguments(call, f"{where}.function_call")
        return self._kept_or(message, changes)

    def _kept_or(self, original: Json, changes: Json) -> Json:
        if all(changes[key] == original[key] for key in changes):
            return original
        self.is_changed = True
        return {**original, **changes}

    def _text(self, text: str, where: str) -> str:
        checked = self._guardrails.check_text(self._settings, text, self._numbering)
        self._note(checked, where)
        return checked.text

    def _note(self, checked: Checked | CheckedValue, where: str) -> None:
        if checked.is_blocked:
            raise refusal(checked.findings[0], where)
        self.counts.update(checked.counts())

    def _part(self, part: object, where: str) -> object:
        if not isinstance(part, dict) or part.get("type") not in _TEXT_PARTS:
            return part
        key = "refusal" if part["type"] == "refusal" else "text"
        return self._kept_or(part, {key: self._text(part[key], where)}) if isinstance(part.get(key), str) else part

    def _call(self, call: object, where: str) -> object:
        if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
            return call
        return self._kept_or(call, {"function": self._arguments(call["function"], f"{where}.function")})

    def _arguments(self, function: Json, where: str) -> Json:
        """Arguments stay valid JSON: they are redacted value by value; what is no JSON is taken as text."""
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            return function
        try:
            values = msgspec.json.decode(arguments)
        except msgspec.DecodeError:
            return self._kept_or(function, {"arguments": self._text(arguments, f"{where}.arguments")})
        checked = self._guardrails.check_value(self._settings, values, self._numbering)
        self._note(checked, f"{where}.arguments")
        if checked.value is values:
            return function
        return self._kept_or(function, {"arguments": msgspec.json.encode(checked.value).decode()})


class _Values:
    """One pass over a JSON value."""

    def __init__(self, kinds: frozenset[str], numbering: Numbering) -> None:
        self._kinds, self._numbering = kinds, numbering
        self.findings: list[Finding] = []
        self.is_cut = False

    def copy(self, value: object, key: str, depth: int) -> object:
        if depth > _DEEPEST:
            self.is_cut = True
            return "[TOO DEEP]"
        if isinstance(value, str):
            return self._text(value, key)
        if isinstance(value, Mapping):
            return {self._text(str(k), ""): self.copy(v, str(k), depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.copy(item, key, depth + 1) for item in value]
        if isinstance(value, int | float) and _SHORTEST_NUMBER <= abs(value) < _LONGEST_NUMBER and value == int(value):
            written = str(int(value))  # also of 4111111111111111.0, which a template would show with all its digits
            redacted = self._text(written, key)
            return value if redacted == written else redacted
        return value

    def _text(self, text: str, key: str) -> str:
        label = f"{key}: " if key and len(key) <= _LONGEST_KEY else ""
        findings = [
            Finding(f.rule, f.kind, max(0, f.start - len(label)), f.end - len(label), f.score)
            for f in pii.find(label + text, self._kinds)
            if f.end > len(label)
        ]
        self.findings += findings
        return pii.redact(text, findings, self._numbering) if findings else text
