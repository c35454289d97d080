"""Numbers in answers, with a tolerance: `number`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headworks.evaluation.scorers.contract import NO_REFERENCE, PlainMeasure, ScorerKind, Surroundings, failed, passed
from headworks.evaluation.scorers.places import Nowhere, Place, read_place
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score

_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-+−]?)[$€£]?(?P<number>\d{1,3}(?:[,\u202f' ]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?P<power>[eE][-+]?\d{1,3})?\s?(?P<unit>%|[^\W\d_]+(?:/[^\W\d_]+)?)?"
)
_LARGEST = 1e300


@dataclass(frozen=True)
class Number(PlainMeasure):
    """A number in the answer lies within a tolerance of the one that is wanted.

    In a text the last number counts, or with `any` each one; with `units` only numbers followed by one of them, each
    with the factor that makes it the unit that is wanted (`{mg: 1, g: 1000}`).
    """

    place: Place
    absolute: float
    relative: float
    units: Mapping[str, float]
    is_any: bool

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        said = {"absolute": self.absolute, "relative": self.relative, "units": dict(self.units), "any": self.is_any}
        return said | self.place.settings

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        try:
            found, wanted = self._values(self.place.found(output)), self._values(self.place.wanted(example))
        except Nowhere as error:
            return failed(error.code, error.reason)
        if not wanted:
            return failed(NO_REFERENCE, "what is wanted holds no number.")
        if not found:
            return passed(is_passed=False, reason="There is no number in it.")
        allowed = max(self.absolute, self.relative * abs(wanted[-1]))
        looked = found if self.is_any else found[-1:]
        off = min(abs(each - wanted[-1]) for each in looked)
        close = off <= allowed or math.isclose(off, allowed, rel_tol=1e-9)
        return passed(close, f"{looked[-1]:g} is off {wanted[-1]:g} by {off:g}; {allowed:g} is allowed.", {"off": off})

    def _values(self, value: Any) -> list[float]:  # noqa: ANN401 -- any JSON value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return [float(value)] if abs(value) < _LARGEST else []
        if not isinstance(value, str):
            return []
        found = []
        for match in _NUMBER.finditer(value):
            factor = self.units.get(match["unit"] or "") if self.units else 1.0
            if factor is not None:
                digits = re.sub(r"[,\u202f' ]", "", match["number"]) + (match["power"] or "")
                number = float(digits) * factor
                found.append(-number if match["sign"] in {"-", "−"} else number)
        return [each for each in found if abs(each) < _LARGEST]


def _read(section: Section, surroundings: Surroundings) -> Number:
    del surroundings
    units: dict[str, float] = {}
    inner = section.section("units")
    if inner is not None:
        units = {unit: inner.number(unit, 1.0, 1e-12, 1e12) for unit in inner.keys()}  # noqa: SIM118 -- our own
    return Number(
        read_place(section),
        section.number("absolute", 0.0, 0.0, 1e12),
        section.number("relative", 0.0, 0.0, 1.0),
        units,
        section.flag("any", default=False),
    )


KINDS = (
    ScorerKind("number", _read, "A number in the answer is near the one that is wanted.", {"value": 40, "absolute": 1}),
)
