"""What an answer rests on: `citation_presence`, `citation_support`, `groundedness`, `cites`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headworks.evaluation.contract import Scale
from headworks.evaluation.scorers.contract import (
    NOT_MEASURED,
    PlainMeasure,
    ScorerKind,
    Surroundings,
    failed,
    graded,
    passed,
)
from headworks.evaluation.scorers.places import Nowhere, Place, as_texts, read_place
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score
from headworks.types.retrieval import Citation, Groundedness, Passage

Part = Literal["citation_presence", "citation_support", "groundedness"]


def _share(of: float, total: int) -> float | None:
    return of / total if total else None


_PARTS: Mapping[Part, Callable[[Output, Groundedness], float | None]] = {
    "citation_presence": lambda _, seen: seen.presence,
    "citation_support": lambda output, _: _share(sum(each.support for each in output.citations), len(output.citations)),
    "groundedness": lambda _, seen: seen.support,
}


@dataclass(frozen=True)
class Grounded(PlainMeasure):
    """A share from 0 to 1 of what was measured on the answer's way out; the lexical tier, which knows no negation.

    An answer without a claim is no answer with a bad one: its score is `empty`, 1 unless the settings say 0.
    """

    part: Part
    least: float | None
    empty: float

    @property
    def scale(self) -> Scale:
        """A grade, or with `least` passed and failed."""
        return "ordinal" if self.least is None else "binary"

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return {"part": self.part, "least": self.least, "empty": self.empty}

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        del example
        seen = output.groundedness
        if seen is None:
            return failed(NOT_MEASURED, "the release measures no groundedness: it answers from no collection.")
        if not seen.claims:
            return graded(self.empty, self.least, "It claims nothing.")
        share = _PARTS[self.part](output, seen)
        return graded(share or 0.0, self.least, details=seen.counts())


def _reader(part: Part) -> Callable[[Section, Surroundings], Grounded]:
    def read(section: Section, surroundings: Surroundings) -> Grounded:
        del surroundings
        least = section.number("least", 0.0, 0.0, 1.0) if section.has("least") else None
        return Grounded(part, least, float(section.whole("empty", 1, 0, 1)))

    return read


@dataclass(frozen=True)
class Cites(PlainMeasure):
    """The answer cites what the example wants: documents by path, or sections as `path#section`.

    The score is the share that is cited; with `least` it passes or fails. `most_others`: how many others it may cite.
    """

    place: Place
    least: float | None
    most_others: int | None

    @property
    def scale(self) -> Scale:
        """A grade, or with `least` passed and failed."""
        return "ordinal" if self.least is None else "binary"

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return {"least": self.least, "most_others": self.most_others} | self.place.settings

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        try:
            wanted = as_texts(self.place.wanted(example))
        except Nowhere as error:
            return failed(error.code, error.reason)
        missing = [each for each in wanted if not any(stands_in(each, cited) for cited in output.citations)]
        others = {each.path for each in output.citations if not any(stands_in(one, each) for one in wanted)}
        if self.most_others is not None and len(others) > self.most_others:
            return passed(is_passed=False, reason=f"It also cites {', '.join(sorted(others)[:3])}.")
        share = 1.0 if not wanted else 1 - len(missing) / len(wanted)
        return graded(share, self.least, f"It does not cite {', '.join(missing[:3])}." if missing else "")


def stands_in(place: str, found: Citation | Passage) -> bool:
    """Whether a citation or a passage is of this document, or of this section of it.

    A section with readers of its own is a document, whose path has a `#`.
    """
    if place == found.path:
        return True
    path, hash_, section = place.partition("#")
    if path not in {found.path, str(found.document)}:
        return False
    wanted = " ".join(section.casefold().split())
    return not hash_ or any(" ".join(each.casefold().split()) == wanted for each in found.section)


def _read_cites(section: Section, surroundings: Surroundings) -> Cites:
    del surroundings
    place = read_place(section)
    if place.path is not None:
        section.complain("path", "`cites` looks at the citations, not into the answer.", "Remove `path`.")
    least = section.number("least", 0.0, 0.0, 1.0) if section.has("least") else None
    most = section.whole("most_others", 0, 0, 1000) if section.has("most_others") else None
    return Cites(place, least, most)


KINDS = (
    ScorerKind("citation_presence", _reader("citation_presence"), "The share of claims with a verified citation."),
    ScorerKind("citation_support", _reader("citation_support"), "How well the quotes cover the claims they stand at."),
    ScorerKind("groundedness", _reader("groundedness"), "How much of the claims the passages hold, by words."),
    ScorerKind("cites", _read_cites, "The documents or sections that are wanted are cited.", {"value": ["leave.md"]}),
)
