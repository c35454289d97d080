"""How many examples there are of each intent, and how many are needed."""

from __future__ import annotations

import pytest

from headworks.errors import InvalidRequest
from headworks.evaluation.datasets.coverage import coverage
from headworks.statistics.power import Goal, needed_examples
from headworks.types.evaluation import Example


def examples() -> list[Example]:
    many = [Example(f"m{at}", "?", tags={"intent": "imaging"}, cluster=f"c{at % 50}") for at in range(100)]
    few = [Example(f"f{at}", "?", tags={"intent": "appeal"}, failure_modes=("rules",)) for at in range(3)]
    return [*many, *few, Example("u", "?")]


def test_rare_intents_come_first_with_how_many_are_missing() -> None:
    found = coverage(examples(), margin=0.1)
    assert [(row.value, row.examples, row.clusters) for row in found.rows] == [
        ("", 1, 1),
        ("appeal", 3, 3),
        ("imaging", 100, 50),
    ]
    appeal = found.rows[1]
    assert appeal.needed == needed_examples(0.1, Goal(0.1), 1.0, 1.0)
    assert appeal.missing == appeal.needed - 3
    assert found.rows[0].margin == 1.0
    assert found.rows[2].margin < appeal.margin


def test_failure_modes_are_counted_like_a_tag() -> None:
    rows = {row.value: row.examples for row in coverage(examples(), "failure_mode").rows}
    assert rows == {"rules": 3, "": 101}


def test_a_tag_that_no_example_has_is_named_with_its_neighbours() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean `intent`"):
        coverage(examples(), "intnet")
