"""Experiments and verdicts waited for over HTTP. Interrupted, the server goes on with them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.errors import Conflict

Told = Callable[[int, int], None]
"""Hears how many answers of how many there are."""
_POLL_S = (0.2, 0.3, 0.5, 1.0)


def ended(client: Client, row: JsonObject, told: Told) -> JsonObject:
    """The experiment, once it has ended."""
    pauses = _pauses_s()
    while row["state"] == "running":
        time.sleep(next(pauses))
        row = client.get(place("experiments", row["id"]))
        told(row["progress"]["done"], row["progress"]["total"])
    return row


def judged(client: Client, body: JsonObject, wait: Callable[[JsonObject], object]) -> JsonObject:
    """A gate's verdict, once both of its experiments have ended, for each of which `wait` is called."""
    started = client.post(place("gates", "start"), body)
    for which in ("base_experiment", "candidate_experiment"):
        if started[which] is not None:
            wait(started[which])
    pauses = _pauses_s()
    while True:
        try:
            found: JsonObject = client.post(place("gates", "verdict"), {**body, "retry_errors": False})
        except Conflict as error:
            if error.code != "experiment_running":
                raise
            time.sleep(next(pauses))
        else:
            return found


def _pauses_s() -> Iterator[float]:
    return itertools.chain(_POLL_S, itertools.repeat(_POLL_S[-1]))
