"""Where price tables disagree, and what a new one changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headworks.providers.pricing.layers import Layer
from headworks.providers.pricing.tables import PriceRow, Table, walk

_ROUNDING = 1
"""Micro-dollars per million tokens; tables state repeating fractions with more or fewer digits."""


class Difference(msgspec.Struct, frozen=True):
    """One rate of one model, as each table has it (micro-dollars per million tokens, `request`: per call).

    `field` says which and when: `input`, `batch: output`, `above 200000: input`. None: the table has the model, but
    not this.
    """

    provider: str
    model: str
    field: str
    values: dict[str, int | None]


def disagreements(layers: Sequence[Layer], *, with_missing: bool = False) -> Iterator[Difference]:
    """Rates of one model that two tables state and that differ; `with_missing`: also those that one does not state.

    Models come in the order of their names, and only those that at least two tables have.
    """
    named = [(layer.name, layer.rows) for layer in layers]
    for key in sorted({key for _, rows in named for key in rows}):
        stated = {name: dict(walk(rows[key])) for name, rows in named if key in rows}
        if len(stated) > 1:
            yield from _differences(key, stated, with_missing=with_missing)


def _differences(
    key: tuple[str, str], stated: Mapping[str, Mapping[str, int]], *, with_missing: bool
) -> Iterator[Difference]:
    for field in dict.fromkeys(field for rates in stated.values() for field in rates):
        values = {name: rates.get(field) for name, rates in stated.items()}
        known = [value for value in values.values() if value is not None]
        if max(known) - min(known) > _ROUNDING or (with_missing and len(known) < len(values)):
            yield Difference(*key, field, values)


class Changes(msgspec.Struct, frozen=True):
    """What a new table does to the old one: models by `provider/model`, and rates with their `old` and `new` values."""

    added: list[str]
    removed: list[str]
    changed: list[Difference]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def changes(old: Table | None, new: Table) -> Changes:
    """From the old table (None: there was none) to the new one."""
    before: Mapping[tuple[str, str], PriceRow] = old.by_name() if old else {}
    after = new.by_name()
    changed = [
        difference
        for key in sorted(before.keys() & after.keys())
        for difference in _differences(
            key, {"old": dict(walk(before[key])), "new": dict(walk(after[key]))}, with_missing=True
        )
    ]
    return Changes(_names(after.keys() - before.keys()), _names(before.keys() - after.keys()), changed)


def _names(keys: set[tuple[str, str]]) -> list[str]:
    return ["/".join(key) for key in sorted(keys)]
