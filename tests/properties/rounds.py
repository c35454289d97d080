"""The machine of `isolation.py` for as long as one likes: in rounds, each on a database of its own, one on every core.

A round is known by its seed, so that the one that finds something comes again. A ledger keeps what was played, so that
a long run that was interrupted goes on where it stopped, as long as the code is the same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fresh_databases import FreshDatabases
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from headworks.storage.pool import DatabaseUrls
from headworks.storage.sealing import Keyring

from .isolation import Isolation
from .stage import Stage, operations_of

STEPS, PER_EXAMPLE = 60, 900
"""An example has so many steps, each a change and what is read after it: about so many operations."""
_EXAMPLES = 16
"""Of a round: in a database that has grown much further, everything takes longer."""
_PLANNED_ANEW = 8
"""In one round of so many, statements are planned as the server plans them, which takes longer."""
_MOST_AT_ONCE = 10
"""Each has up to eight connections, and the cluster of the tests takes a hundred."""
COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "print_blob": False,
}
_ROOT = Path(__file__).parents[2]
_CODE = ("src/headworks", "tests/properties", "tests/support", "requirements-dev.lock")


def machine(stage: Stage) -> type[Isolation]:
    return type("IsolationHere", (Isolation,), {"stage": stage})


def play(stage: Stage, examples: int, seeded: int) -> None:
    """So many examples; with the same seed the same."""
    try:
        run_state_machine_as_test(
            seed(seeded)(machine(stage)), settings=settings(max_examples=examples, stateful_step_count=STEPS, **COMMON)
        )
    except Exception as error:
        error.add_note(f"played with seed {seeded}")
        raise


def play_round(urls: DatabaseUrls, seeded: int) -> Counter[str]:
    """One round in this process: how often what has happened."""
    stage = Stage(urls, Keyring(os.urandom(32)), "auto" if seeded % _PLANNED_ANEW == 0 else "force_generic_plan")
    try:
        play(stage, _EXAMPLES, seeded)
    except Exception as error:  # noqa: BLE001 -- not everything that is raised can leave a process: its text can
        raise AssertionError("".join(traceback.format_exception(error))) from None
    finally:
        stage.close()
    return stage.tally


class Ledger:
    """The rounds that this very code has played, in a file. `failed`: seeds of those that found something, or broke."""

    def __init__(self, path: Path) -> None:
        self._path, self._code = path, _digest()
        self.tally: Counter[str] = Counter()
        self._played: set[int] = set()
        self.failed: list[int] = []
        with suppress(FileNotFoundError):
            for line in path.read_text().splitlines():
                said = json.loads(line)
                if said["code"] == self._code:
                    self._take(said["seed"], said["tally"])

    @property
    def operations(self) -> int:
        return operations_of(self.tally)

    def seeds(self, first: int) -> Iterator[int]:
        """What is to be played: first what has failed, then from `first` on what was not played yet."""
        new = (each for each in itertools.count(first) if each not in self._played and each not in self.failed)
        return itertools.chain(self.failed, new)

    def note(self, seeded: int, tally: Counter[str] | None) -> None:
        """A round was played; without a tally: it found something, or broke."""
        self._take(seeded, tally)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"code": self._code, "seed": seeded, "tally": tally}) + "\n")

    def close(self) -> None:
        """All was played: the next run begins anew."""
        self._path.unlink(missing_ok=True)

    def _take(self, seeded: int, tally: dict[str, int] | None) -> None:
        if tally is None:
            self.failed = [*self.failed, seeded]
            return
        self.failed = [each for each in self.failed if each != seeded]
        if seeded not in self._played:
            self._played.add(seeded)
            self.tally.update(tally)


def play_rounds(
    databases: FreshDatabases, operations: int, first_seed: int, ledger: Ledger, tell: Callable[[str], None]
) -> None:
    """Rounds until the ledger has so many operations, and none that failed; tells how far it is after each.

    Raises what the first round raises that fails, once those beside it have ended and are in the ledger.
    """
    seeds, begun, before = ledger.seeds(first_seed), time.monotonic(), ledger.operations
    cores = min(os.cpu_count() or 1, _MOST_AT_ONCE)
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as players, ThreadPoolExecutor(cores) as lenders:

        def lend_and_play(seeded: int) -> Counter[str]:
            with databases.lend() as urls:
                return players.submit(play_round, urls, seeded).result()

        def play_next() -> None:
            seeded = next(seeds)
            running[lenders.submit(lend_and_play, seeded)] = seeded

        running: dict[Any, int] = {}
        for _ in range(cores):
            play_next()
        failure: BaseException | None = None
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                seeded, error = running.pop(done), done.exception()
                ledger.note(seeded, done.result() if error is None else None)
                failure = failure or error
                if error is None:
                    tell(
                        _progress(
                            seeded,
                            ledger.operations,
                            operations,
                            (ledger.operations - before) / (time.monotonic() - begun),
                        )
                    )
                if failure is None and ledger.operations < operations:
                    play_next()
    if failure is not None:
        raise failure
    tell(", ".join(f"{what} {times:,}" for what, times in sorted(ledger.tally.items())))


def _progress(seeded: int, done: int, wanted: int, per_s: float) -> str:
    left_min = max(0, wanted - done) / per_s / 60
    return (
        f"seed {seeded} found nothing, {done:,} of {wanted:,} operations, {per_s:.0f} a second, "
        f"about {left_min:.0f} minutes left"
    )


def _digest() -> str:
    """Of all code that a round depends on, and of what it draws its steps with."""
    digest = hashlib.sha256()
    for path in sorted(path for place in _CODE for path in (_ROOT / place, *(_ROOT / place).rglob("*"))):
        if path.suffix in {".py", ".sql", ".lock"}:
            digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
