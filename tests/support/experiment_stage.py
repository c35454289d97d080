"""Experiments over a real database, with releases that answer from a script."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from release_world import Declared, releases_over

from headworks.errors import Forbidden
from headworks.evaluation.scorers.contract import Surroundings
from headworks.evaluation.service import Evaluation
from headworks.evaluation.suites.suite_files import PATH, read_suite
from headworks.identity.service import Identity
from headworks.jobs.engine import Jobs
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Example, Output
from headworks.types.identity import Principal
from headworks.types.ids import TraceId, new_id
from headworks.types.spending import PURSE


@dataclass
class Scripted:
    """An Answerer: the reference of the example, or what `says` has for its id. Counts what is under way."""

    pause_s: float = 0.0
    cost_micro_usd: int | None = 10
    says: Mapping[str, str | Output] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    most_at_once: int = 0
    is_forbidden: bool = False
    holds: bool = False
    """Whether it asks before it spends, as the gateway does: for twice what it costs."""
    _now: int = 0

    async def answer(self, principal: Principal, model: str, example: Example) -> Output:
        del principal, model
        if self.is_forbidden:
            raise Forbidden("The key may not call it.")
        purse, worst = PURSE.get(), 2 * (self.cost_micro_usd or 0)
        if purse is not None and self.holds:
            await purse.hold(worst, 0)
        self.asked.append(example.id)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(self.pause_s)
        self._now -= 1
        if purse is not None and self.holds:
            purse.settle(worst, self.cost_micro_usd)
        said = self.says.get(example.id, example.reference)
        if isinstance(said, Output):
            return said
        return Output(said, "stop", cost_micro_usd=self.cost_micro_usd, latency_ms=5.0, trace=TraceId(new_id()))


def evaluation_over(database: Database, keyring: Keyring, identity: Identity, jobs: Jobs) -> Evaluation:
    """As app.py composes it."""
    releases = releases_over(database, keyring, identity, Declared())
    return Evaluation(
        database, keyring, jobs, releases, lambda files: read_suite(PATH, files[PATH], Surroundings(None, files))
    )
