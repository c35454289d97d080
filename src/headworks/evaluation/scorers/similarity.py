"""Answers that mean the same in other words: `similarity`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headworks.errors import Unavailable
from headworks.evaluation.contract import Scale
from headworks.evaluation.scorers.contract import Measure, ScorerKind, Surroundings, failed, graded
from headworks.evaluation.scorers.places import Nowhere, Place, as_text, as_texts, read_place
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score
from headworks.types.identity import Principal
from headworks.types.models import ModelCall, Models

_USUAL_MODEL = "builtin/minilm"


@dataclass(frozen=True)
class Similarity(Measure):
    """The cosine of the embeddings of answer and reference (the nearest of several), 0 where it is negative.

    It tells the subject more than the claim: “approve” and “do not approve” are near. Use it beside others.
    """

    models: Models | None
    model: str
    place: Place
    least: float | None

    @property
    def scale(self) -> Scale:
        """A grade, or with `least` passed and failed."""
        return "ordinal" if self.least is None else "binary"

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return {"model": self.model, "least": self.least} | self.place.settings

    async def score(self, principal: Principal, example: Example, output: Output) -> Score:
        """See Measure."""
        if self.models is None:
            raise Unavailable("No model can be asked from here.", next_step="Run the experiment on the server.")
        try:
            found, wanted = as_text(self.place.found(output)), as_texts(self.place.wanted(example))
        except Nowhere as error:
            return failed(error.code, error.reason)
        if not found.strip() or not any(each.strip() for each in wanted):
            return graded(0.0, self.least, "There is no text to compare.")
        call = ModelCall(principal, self.model, "judge", output.trace)
        embedded = await self.models.embed(call, [found, *(each for each in wanted if each.strip())])
        first, *others = embedded.vectors
        nearest = max(sum(a * b for a, b in zip(first, other, strict=True)) for other in others)
        return graded(float(nearest), self.least, details={"model": embedded.model_digest})


def _read(section: Section, surroundings: Surroundings) -> Similarity:
    model = section.text("model", _USUAL_MODEL)
    least = section.number("least", 0.0, 0.0, 1.0) if section.has("least") else None
    return Similarity(surroundings.models, model, read_place(section), least)


KINDS = (ScorerKind("similarity", _read, "The answer means about the same as the reference, by embeddings."),)
