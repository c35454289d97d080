"""Answers compared as texts: `exact`, `contains`, `starts_with`, `ends_with`, `regex`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import re2

from headworks.evaluation.scorers.contract import PlainMeasure, ScorerKind, Surroundings, failed, passed
from headworks.evaluation.scorers.places import Nowhere, Place, as_text, as_texts, read_place
from headworks.evaluation.scorers.texts import normal, read_ignore, shown
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score

How = Literal["exact", "contains", "starts_with", "ends_with"]
_COMPARED: Mapping[How, Callable[[str, str], bool]] = {
    "exact": lambda found, wanted: found == wanted,
    "contains": lambda found, wanted: wanted in found,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
_WORDS: Mapping[How, str] = {
    "exact": "is not",
    "contains": "does not contain",
    "starts_with": "does not start with",
    "ends_with": "does not end with",
}
_LONGEST_PATTERN = 2000


@dataclass(frozen=True)
class Words(PlainMeasure):
    """The answer against one text, or a list of which `all` or `any` must be met; `exact` compares JSON as JSON."""

    how: How
    place: Place
    ignore: tuple[str, ...]
    needs: Literal["all", "any"]
    is_negated: bool

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        said = {"how": self.how, "ignore": list(self.ignore), "needs": self.needs, "not": self.is_negated}
        return said | self.place.settings

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        try:
            found, wanted = self.place.found(output), self.place.wanted(example)
        except Nowhere as error:
            return failed(error.code, error.reason)
        if self.how == "exact" and not isinstance(wanted, str) and self.needs == "all":
            is_met, missing = self._is_equal(found, wanted), as_text(wanted)
        else:
            is_met, missing = self._meets(as_text(found), as_texts(wanted))
        if self.is_negated:
            return passed(not is_met, "It is what must not be there.")
        return passed(is_met, f"{shown(as_text(found))} {_WORDS[self.how]} {shown(missing)}.")

    def _is_equal(self, found: Any, wanted: Any) -> bool:  # noqa: ANN401 -- JSON values
        if isinstance(found, str) and self.place.path is None:
            try:
                found = Place(path="").found(Output(text=found))
            except Nowhere:
                return False
        return _same(found, wanted, self.ignore)

    def _meets(self, found: str, wanted: list[str]) -> tuple[bool, str]:
        text, compare = normal(found, self.ignore), _COMPARED[self.how]
        missing = [each for each in wanted if not compare(text, normal(each, self.ignore))]
        is_met = not missing if self.needs == "all" else len(missing) < len(wanted)
        return is_met, ", ".join(missing[:3])


def _same(found: Any, wanted: Any, ignore: tuple[str, ...]) -> bool:  # noqa: ANN401 -- JSON values
    """Equal as JSON: 1 is 1.0, but neither is true."""
    if isinstance(wanted, str) and isinstance(found, str):
        return normal(found, ignore) == normal(wanted, ignore)
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key], ignore) for key in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted, [ignore] * len(wanted)))
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _reader(how: How) -> Callable[[Section, Surroundings], Words]:
    def read(section: Section, surroundings: Surroundings) -> Words:
        del surroundings
        needs = cast("Literal['all', 'any']", section.choice("needs", ("all", "any"), "all"))
        is_negated = section.flag("not", default=False)
        return Words(how, read_place(section), read_ignore(section), needs, is_negated)

    return read


@dataclass(frozen=True)
class Pattern(PlainMeasure):
    """A regular expression (RE2, which takes no time without end) found in the answer, or all of it with `whole`."""

    pattern: str
    path: str | None
    is_whole: bool
    is_negated: bool

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return {"pattern": self.pattern, "path": self.path, "whole": self.is_whole, "not": self.is_negated}

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        del example
        try:
            text = as_text(Place(self.path).found(output)).encode(errors="replace").decode()  # no lone surrogates
        except Nowhere as error:
            return failed(error.code, error.reason)
        compiled = re2.compile(self.pattern)
        is_found = (compiled.fullmatch(text) if self.is_whole else compiled.search(text)) is not None
        return passed(is_found != self.is_negated, f"{shown(text)} is not as `{self.pattern}` wants it.")


def _read_pattern(section: Section, surroundings: Surroundings) -> Pattern:
    del surroundings
    pattern = section.text("pattern")
    if len(pattern) > _LONGEST_PATTERN:
        section.complain("pattern", f"`pattern` has more than {_LONGEST_PATTERN} characters.")
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        section.complain("pattern", f"`pattern` is no expression: {words}.", "It is read by RE2: no look-around.")
    place = read_place(section)
    if place.has_value or place.reference is not None:
        section.complain(None, "`regex` compares with its `pattern` alone.", "Remove `value` and `reference`.")
    return Pattern(pattern, place.path, section.flag("whole", default=False), section.flag("not", default=False))


KINDS = (
    ScorerKind(
        "exact", _reader("exact"), "The answer is the reference; JSON is compared as JSON.", {"ignore": ["case"]}
    ),
    ScorerKind("contains", _reader("contains"), "The answer contains all (or any) of the texts.", {"value": ["yes"]}),
    ScorerKind("starts_with", _reader("starts_with"), "The answer starts with the text.", {"value": "Yes"}),
    ScorerKind("ends_with", _reader("ends_with"), "The answer ends with the text.", {"value": "."}),
    ScorerKind("regex", _read_pattern, "A regular expression (RE2) is found in the answer.", {"pattern": "(?i)yes"}),
)
