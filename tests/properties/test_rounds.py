"""What a long run of the machine keeps of its rounds."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from . import rounds
from .rounds import Ledger

TALLY = Counter({"read: rows": 3, "change: crash": 2, "found": 9})


def test_what_was_interrupted_goes_on_where_it_was_and_begins_with_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "isolation.jsonl"
    first = Ledger(path)
    assert list(islice(first.seeds(7), 3)) == [7, 8, 9]
    for seeded, tally in ((7, TALLY), (9, None), (8, TALLY), (8, TALLY)):
        first.note(seeded, tally)
    again = Ledger(path)
    assert (again.operations, again.failed) == (first.operations, first.failed) == (10, [9])
    assert list(islice(again.seeds(7), 3)) == [9, 10, 11]
    again.note(9, TALLY)
    assert (Ledger(path).operations, Ledger(path).failed) == (15, [])
    assert list(islice(Ledger(path).seeds(7), 2)) == [10, 11]
    again.close()
    assert Ledger(path).operations == 0


def test_rounds_of_other_code_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "isolation.jsonl"
    Ledger(path).note(1, TALLY)
    assert Ledger(path).operations == 5
    monkeypatch.setattr(rounds, "_CODE", ("tests/properties",))
    assert Ledger(path).operations == 0
