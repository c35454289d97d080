"""Experiments, comparisons and gates from Python: shown as tables in a notebook, as rows to a data frame.

    from headworks.notebook import Server

    server = Server()                                  # HEADWORKS_URL and HEADWORKS_API_KEY
    run = server.run("claims@staging", repeats=3)      # shows its metrics
    pandas.DataFrame(run.rows())                       # a row for each answer
    server.compare("claims@prod", run, by="intent")
    server.gate("claims").verdict                      # "PASS", "FAIL" or "INCONCLUSIVE"

The calls are those of `headworks eval`, with the same rights, and wait until there is an answer; interrupted, the
server goes on. Everything that the server said is in `said`. What it refuses is raised as `headworks.errors` have it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from headworks.cli import awaiting, evaluating
from headworks.cli.awaiting import Told
from headworks.cli.client import place
from headworks.cli.json_values import JsonObject
from headworks.cli.options import find_client
from headworks.errors import InvalidRequest

Row = dict[str, Any]
"""Of a data frame: plain values by the name of their column."""


@dataclass(frozen=True, slots=True, repr=False)
class _Shown(ABC):
    """What the server said, shown as the command line shows it."""

    said: JsonObject

    @abstractmethod
    def __repr__(self) -> str: ...

    def _repr_markdown_(self) -> str:
        return f"```\n{self!r}\n```"


@dataclass(frozen=True, slots=True, repr=False)
class Run(_Shown):
    """An experiment that has ended; not all of it may be `done`."""

    @property
    def id(self) -> str:
        """The experiment's."""
        return str(self.said["experiment"]["id"])

    @property
    def state(self) -> str:
        """`done`; or `stopped` by its ceiling, `failed`, `cancelled`: then `said` has why."""
        return str(self.said["experiment"]["state"])

    @property
    def metrics(self) -> list[Row]:
        """Mean, 95 % interval, errors and flakiness of each."""
        return [dict(each) for each in self.said["metrics"]]

    @property
    def slices(self) -> list[Row]:
        """The same by the values of the tag that was asked for (`slice`)."""
        return [dict(each) for each in self.said["slices"]]

    def rows(self) -> list[Row]:
        """One for each answer, with its trace and a column for each metric.

        A score that is an error is None, with the error's code in `<metric>.error`. A metric that is called like
        another column is `score.<metric>`.
        """
        return [_answer(each) for each in self.said["results"]]

    def __repr__(self) -> str:
        return evaluating.results(self.said)


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(_Shown):
    """Two experiments on the same examples."""

    def rows(self) -> list[Row]:
        """One for each metric, and for each slice that was asked for (`slice`): both means, difference, interval."""
        return [{"slice": None, **each} for each in self.said["metrics"]] + [dict(each) for each in self.said["slices"]]

    @property
    def flips(self) -> list[Row]:
        """Examples that one of the two passes and the other does not: a row for each metric, with modes and traces."""
        return [dict(each) for each in self.said["flips"]]

    def __repr__(self) -> str:
        return evaluating.compared(self.said)


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(_Shown):
    """What a gate said."""

    @property
    def verdict(self) -> str:
        """`PASS`, `FAIL` or `INCONCLUSIVE`."""
        return str(self.said["verdict"])

    @property
    def needed(self) -> int | None:
        """How many more examples or judgements would decide it, as far as that is known."""
        needed: int | None = self.said["needed"]
        return needed

    def rows(self) -> list[Row]:
        """One for each line of the gate, with its evidence in columns of its own."""
        return [{**{key: each[key] for key in _LINE}, **each["evidence"]} for each in self.said["lines"]]

    @property
    def flips(self) -> list[Row]:
        """As of a comparison."""
        return [dict(each) for each in self.said["flips"]]

    def svg(self) -> str:
        """The margin plot."""
        return evaluating.svg(self.said)

    def __repr__(self) -> str:
        return evaluating.verdict(self.said)

    def _repr_markdown_(self) -> str:
        return evaluating.markdown(self.said)


_LINE = ("rule", "metric", "verdict", "message", "needed", "next_step")


class Server:
    """One server, asked with one key; close it when done, or leave that to the end of the process."""

    def __init__(
        self, url: str | None = None, key: str | None = None, *, project: str = "default", told: Told | None = None
    ) -> None:
        """Without `url` and `key` those of HEADWORKS_URL and HEADWORKS_API_KEY, else the server that was started here.

        `told(done, total)` hears of answers while one waits. Raises Unauthenticated without any key.
        """
        environ = os.environ
        self._client = find_client(url or environ.get("HEADWORKS_URL"), key or environ.get("HEADWORKS_API_KEY"))
        self._project = project
        self._told: Told = told or _nobody

    def run(
        self,
        release: str,
        *,
        dataset: str | None = None,
        repeats: int | None = None,
        concurrency: int = 4,
        max_cost_usd: float | None = None,
        retry_errors: bool = False,
        by: str | None = None,
    ) -> Run:
        """Ask a release every example of a dataset; what was answered before is not asked again. Sliced by a tag."""
        body = {"release": release, "dataset": dataset, "repeats": repeats, "concurrency": concurrency}
        body |= {"most_cost_micro_usd": _micro(max_cost_usd), "retry_errors": retry_errors, "project": self._project}
        return self.experiment(str(self._ended(self._client.post(place("experiments"), body))["id"]), by=by)

    def experiment(self, identifier: str, *, by: str | None = None) -> Run:
        """One that was run before, by its id."""
        return Run(self._client.get(place("experiments", identifier, "results"), slice_by=by))

    def compare(
        self, base: str | Run, candidate: str | Run, *, by: str | None = None, attest: bool = False
    ) -> Comparison:
        """Two runs, or releases whose newest ones are meant; sliced by a tag, and signed if that is asked for."""
        names = {"base": _name(base), "candidate": _name(candidate)}
        body = {**names, "slice_by": by, "attest": attest, "project": self._project}
        return Comparison(self._client.post(place("experiments", "compare"), body))

    def gate(
        self,
        release: str,
        *,
        bundle: str | None = None,
        concurrency: int = 4,
        max_cost_usd: float | None = None,
        retry_errors: bool = False,
    ) -> Verdict:
        """Run what the gate of `prod`, or this bundle, needs, and ask for its verdict: a look like any other."""
        body = {"release": release, "gate": bundle, "concurrency": concurrency, "project": self._project}
        body |= {"most_cost_micro_usd": _micro(max_cost_usd), "retry_errors": retry_errors}
        return Verdict(awaiting.judged(self._client, body, self._ended))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ended(self, row: JsonObject) -> JsonObject:
        return awaiting.ended(self._client, row, self._told)


def _answer(result: JsonObject) -> Row:
    row = {key: value for key, value in result.items() if key != "scores"}
    for metric, score in result["scores"].items():
        name = f"score.{metric}" if metric in row else metric
        row[name] = score["value"]
        if score["error"]:
            row[f"{name}.error"] = score["error"]
    return row


def _name(side: str | Run) -> str:
    return side.id if isinstance(side, Run) else side


def _micro(usd: float | None) -> int | None:
    if usd is None:
        return None
    if not usd > 0:
        raise InvalidRequest(f"`max_cost_usd` is {usd:g}.", next_step="Give dollars above 0, like 2.50.")
    return round(usd * 1_000_000)


def _nobody(done: int, total: int) -> None:
    del done, total
