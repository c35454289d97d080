"""Passages in the order that a model for reranking gives them; in the one they had when it fails."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from headworks.errors import HeadworksError
from headworks.types.models import ModelCall, Models

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reranked:
    """A score for each text, or None and why there is none."""

    scores: list[float] | None
    notice: str = ""


async def reranked(models: Models, call: ModelCall, query: str, texts: Sequence[str]) -> Reranked:
    """Ask the model. Whatever goes wrong, the order that there was is left, and `notice` says so."""
    try:
        found = await models.rerank(call, query, texts)
    except HeadworksError as error:
        _log.warning("Passages could not be reranked: %s", error.code)
        return Reranked(None, "The passages are not reranked: the model for it failed.")
    scores = [float(each) for each in found.scores]
    if len(scores) != len(texts) or not all(map(math.isfinite, scores)):
        return Reranked(None, "The passages are not reranked: the model's answer can't be used.")
    return Reranked(scores)
