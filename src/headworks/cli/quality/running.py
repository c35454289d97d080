"""Golden queries asked through the server, several at once, each with the key of who is to ask it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headworks.cli.at_once import at_once
from headworks.cli.client import Client, place
from headworks.cli.options import split
from headworks.cli.quality.configurations import Configuration
from headworks.cli.quality.sought import look_up_all
from headworks.cli.terminal import Bar, one_line
from headworks.errors import InvalidRequest, Unavailable
from headworks.retrieval.quality.golden import GoldenQuery
from headworks.retrieval.quality.ranking import Hit, Sought, rank
from headworks.retrieval.quality.report import Measured, measured

_DETAIL_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one configuration did with all queries, in their order, and what the server said beside it."""

    configuration: Configuration
    measured: list[Measured]
    notices: list[str]


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks what: `clients` by reader (None: who measures), `file` for complaints, `k` the cut-off."""

    clients: Mapping[str | None, Client]
    queries: Sequence[GoldenQuery]
    file: str
    k: int
    may_be_missing: bool = False

    def run(self, configuration: Configuration, bar: Bar) -> Outcome:
        """Ask everything. Raises the first refusal, and Unavailable where vectors were wanted and not there."""
        sought = look_up_all(
            self.clients, self.queries, configuration.collection, self.file, may_be_missing=self.may_be_missing
        )
        found: dict[str, Measured] = {}
        notices: dict[str, None] = {}
        with at_once(lambda query: self._ask(configuration, query, sought[query.id]), self.queries) as asked:
            for done, (query, future) in enumerate(asked, 1):
                found[query.id], notice = future.result()
                notices |= {notice: None} if notice else {}
                bar.update(done, len(self.queries), one_line(query.query, _DETAIL_CHARACTERS))
        return Outcome(configuration, [found[each.id] for each in self.queries], list(notices))

    def _ask(self, asked: Configuration, query: GoldenQuery, sought: Sequence[Sought]) -> tuple[Measured, str]:
        answer = self.clients[query.reader].post(place("search"), asked.body(query.query))
        if answer["rows"] and answer["ranking"] == "keywords" != asked.ranking:
            raise Unavailable(
                f"Not measured: {asked.ranking} was asked for. {answer['notice']}",
                next_step="Wait for the vectors, install the model, or measure `--with ranking=keywords`.",
            )
        hits = [Hit.from_json(row) for row in answer["rows"]]
        return measured(query, rank(query, sought, hits), self.k), str(answer["notice"])


def clients_for(
    client: Client, queries: Sequence[GoldenQuery], key_for: Sequence[str], file: str
) -> dict[str | None, Client]:
    """A client for each reader of the queries. Keys stand in the environment: `jane=JANES_KEY` names the variable.

    InvalidRequest for a reader without a key, and for a key of somebody else.
    """
    variables = dict(_pair(each) for each in split(key_for) or ())
    clients: dict[str | None, Client] = {}
    for query in queries:
        reader = query.reader
        if reader not in clients:
            clients[reader] = (
                client if reader is None else _client_of(client, reader, variables, f"{file}:{query.line}")
            )
    return clients


def _client_of(client: Client, reader: str, variables: Mapping[str, str], where: str) -> Client:
    variable = variables.get(reader, "")
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InvalidRequest(
            f"{where}: asked as `{reader}`, and there is no key for that.",
            next_step=f"Put one of `{reader}` into the environment and name the variable: --key-for {reader}=VARIABLE.",
        )
    other = client.with_key(key)
    name = other.get(place("me"))["name"]
    if name != reader:
        raise InvalidRequest(f"The key in {variable} is one of `{name}`, not of `{reader}`.")
    return other


def _pair(given: str) -> tuple[str, str]:
    name, _, variable = given.partition("=")
    if not name.strip() or not variable.strip():
        raise InvalidRequest(f"{given!r} is not NAME=VARIABLE.", next_step="Like --key-for jane=JANES_KEY.")
    return name.strip(), variable.strip()
