"""A model as the judge of an answer: asked, read, asked again once, and counted over its votes.

Prose, a refusal, an answer that was cut off or a model out of reach is a Score with an error, never a verdict.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headworks.errors import DatabaseUnavailable, Forbidden, HeadworksError, Unavailable
from headworks.evaluation.digests import digest_of
from headworks.evaluation.judges.answers import AGAIN, Said, Unreadable, Verdict, marked, read_answer, rules, schema
from headworks.evaluation.judges.files import JudgeSpec
from headworks.releases.service import fill
from headworks.types.evaluation import Example, Output, Score
from headworks.types.identity import Principal
from headworks.types.ids import Digest
from headworks.types.models import Completion, Message, ModelCall, Models, Prompt
from headworks.types.retrieval import without_markers

UNPARSABLE = "judge_unparsable"
"""The judge answered twice, and neither could be read."""
REFUSED = "judge_refused"
"""The judge's provider refused, or filtered what it said."""
UNDECIDED = "judge_undecided"
"""The judge can't tell, or its votes have no majority."""
REFUSALS = frozenset({"refusal", "content_filter", "safety"})
_MOST_KEPT = 2048
_AT_ONCE = 4
_PASS: Mapping[Verdict, float] = {"pass": 1.0, "fail": 0.0, "first": 1.0, "tie": 0.5, "second": 0.0}
_SWAPPED: Mapping[Verdict, Verdict] = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class Vote:
    """One asking: what it said of each criterion, or the error that it ended in."""

    said: Said | None
    error_code: str = ""
    reason: str = ""
    asked: int = 1
    """How often the model was asked: 2 where the first answer could not be read."""
    cost_micro_usd: int = 0
    """Of all askings, as far as prices are known."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All votes on one answer. `swapped` are those with the two answers in the other order, for a pairwise judge."""

    votes: tuple[Vote, ...]
    swapped: tuple[Vote, ...] = field(default=())

    @property
    def is_broken(self) -> bool:
        """Whether a vote is missing: then asking again may give more."""
        return any(vote.said is None for vote in (*self.votes, *self.swapped))

    def score(self, criterion: str) -> Score:
        """Of one criterion, by the majority of all votes that were asked for."""
        first = _majority(self.votes, criterion)
        return first if not self.swapped else _both_orders(first, _majority(self.swapped, criterion))


class Judge:
    """One judge, for many answers. Use it inside the event loop."""

    def __init__(self, spec: JudgeSpec, models: Models | None) -> None:
        self.spec = spec
        self._models = models
        self._kept: OrderedDict[Digest, Verdicts] = OrderedDict()
        self._asking: dict[Digest, asyncio.Lock] = {}

    async def judge(self, principal: Principal, example: Example, output: Output, other: str | None = None) -> Verdicts:
        """What it says of an answer; `other` is the second answer for a pairwise judge.

        The same answer to the same example is judged once, whatever criterion is asked for. Raises DatabaseUnavailable
        and Forbidden, which concern all calls; anything else is an error of the vote.
        """
        key = digest_of([str(principal.tenant), example.id, self._values(example, output, other)])
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                found = self._kept.get(key)
                if found is None:
                    found = await self._all_votes(principal, example, output, other)
                    if not found.is_broken:
                        self._kept[key] = found
                        if len(self._kept) > _MOST_KEPT:
                            self._kept.popitem(last=False)
                return found
        finally:
            self._asking.pop(key, None)

    async def _all_votes(self, principal: Principal, example: Example, output: Output, other: str | None) -> Verdicts:
        call = self._call(principal, output)
        orders = [self._values(example, output, other)]
        if other is not None:
            orders.append(self._values(example, replace(output, text=other), output.text))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(values: Mapping[str, str]) -> Vote:
            async with gate:
                return await self._vote(call, values)

        found = await asyncio.gather(*(one(values) for values in orders for _ in range(self.spec.votes)))
        votes, swapped = found[: self.spec.votes], found[self.spec.votes :]
        return Verdicts(tuple(votes), tuple(map(_turned, swapped)))

    def _call(self, principal: Principal, output: Output) -> ModelCall:
        parameters = dict(self.spec.parameters)
        if self.spec.structured:
            wanted = {"name": "verdict", "strict": True, "schema": schema(self.spec)}
            parameters["response_format"] = {"type": "json_schema", "json_schema": wanted}
        return ModelCall(principal, self.spec.model, "judge", output.trace, None, parameters)

    def _values(self, example: Example, output: Output, other: str | None) -> dict[str, str]:
        """What the prompt may use, as texts."""
        values = {
            "question": example.question,
            "history": "\n\n".join(f"{turn.role}: {turn.content}" for turn in example.history),
            "inputs": json.dumps(dict(example.inputs), ensure_ascii=False, indent=1) if example.inputs else "",
            "reference": _text(example.reference),
            "context": "\n\n".join(example.context),
            "passages": "\n\n".join(
                f"[{each.number}] {each.title}\n{without_markers(each.text)}" for each in output.passages
            ),
        }
        values |= {"answer": output.text} if other is None else {"first": output.text, "second": other}
        return {name: text.encode(errors="replace").decode() for name, text in values.items()}  # no lone surrogates

    async def _vote(self, call: ModelCall, values: Mapping[str, str]) -> Vote:
        word = secrets.token_hex(8)
        messages = self._messages(values, word)
        cost = 0
        try:
            said = await self._ask(call, messages)
            cost = said.cost_micro_usd or 0
            try:
                return replace(self._read(said, word, 1), cost_micro_usd=cost)
            except Unreadable as error:
                asked = Message("user", AGAIN.format(fault=error, word=word))
                said = await self._ask(call, (*messages, Message("assistant", said.text or "…"), asked))
                cost += said.cost_micro_usd or 0
            try:
                return replace(self._read(said, word, 2), cost_micro_usd=cost)
            except Unreadable as error:
                return Vote(None, UNPARSABLE, f"The judge's answer can't be read: {error}.", 2, cost)
        except (DatabaseUnavailable, Forbidden):
            raise
        except HeadworksError as error:
            return Vote(None, error.code, f"The judge failed: {error}", cost_micro_usd=cost)

    def _read(self, said: Completion, word: str, asked: int) -> Vote:
        if said.finish_reason in REFUSALS:
            return Vote(None, REFUSED, f"The judge's provider ended with `{said.finish_reason}`.", asked)
        return Vote(read_answer(self.spec, said.text, word), asked=asked)

    def _messages(self, values: Mapping[str, str], word: str) -> tuple[Message, ...]:
        """The judge's prompt with every value marked as data, and the rules at the end of its first instructions."""
        messages = list(fill(self.spec.prompt, {name: marked(name, text, word) for name, text in values.items()}))
        told = rules(self.spec, word)
        if messages[0].role in {"system", "developer"}:
            messages[0] = Message(messages[0].role, messages[0].content + told)
        else:
            messages.insert(0, Message("system", told.strip()))
        return tuple(messages)

    async def _ask(self, call: ModelCall, messages: Sequence[Message]) -> Completion:
        if self._models is None:
            raise Unavailable("No model can be asked from here.", next_step="Run the experiment on the server.")
        return await self._models.complete(call, Prompt(tuple(messages)))


def _turned(vote: Vote) -> Vote:
    """A vote on the answers in the other order, as if they had stood in the first."""
    if vote.said is None:
        return vote
    verdicts = {name: _SWAPPED[verdict] for name, verdict in vote.said.verdicts.items()}
    return replace(vote, said=replace(vote.said, verdicts=verdicts))


def _majority(votes: Sequence[Vote], criterion: str) -> Score:
    counts = Counter(vote.said.verdicts[criterion] for vote in votes if vote.said is not None)
    details = {"votes": dict(counts), "cast": len(votes), "asked": sum(vote.asked for vote in votes)}
    details["cost_micro_usd"] = sum(vote.cost_micro_usd for vote in votes)
    if counts:
        word, most = counts.most_common(1)[0]
        reason = next(v.said.reasons[criterion] for v in votes if v.said and v.said.verdicts[criterion] == word)
        if word in _PASS and most * 2 > len(votes):
            return Score(_PASS[word], word, reason, None, {**details, "consistency": round(most / len(votes), 4)})
        if word == "cannot_tell" and most * 2 > len(votes):
            return Score(reason=f"The judge can't tell: {reason}", error_code=UNDECIDED, details=details)
    broken = next((vote for vote in votes if vote.said is None), None)
    if broken is not None:
        return Score(reason=broken.reason, error_code=broken.error_code, details=details)
    return Score(reason=f"No majority among {len(votes)} votes.", error_code=UNDECIDED, details=details)


def _both_orders(one: Score, other: Score) -> Score:
    """A preference that turns with the order of the answers is none: a tie, and counted as a flip."""
    if one.is_error or other.is_error:
        return one if one.is_error else other
    details = {**one.details, "swapped_votes": other.details["votes"], "is_flipped": one.value != other.value}
    for name in ("asked", "cost_micro_usd"):
        details[name] = one.details[name] + other.details[name]
    details["consistency"] = min(one.details["consistency"], other.details["consistency"])
    if one.value != other.value:
        return Score(0.5, "tie", f"It turns with the order of the two: {one.reason}", None, details)
    return replace(one, details=details)


def _text(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
