"""Whether those who judge agree, and where they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from headworks.errors import InvalidRequest
from headworks.review.store import Said
from headworks.statistics.agreement import Agreement, cohen_kappa, krippendorff_alpha

_MOST_RATERS = 40


@dataclass(frozen=True, slots=True)
class PairOfRaters:
    """Cohen's kappa of two raters over what both have judged."""

    first: str
    second: str
    kappa: Agreement


@dataclass(frozen=True, slots=True)
class Concord:
    """How far the opinions on a metric agree. `majority` counts the verdict of more than half of each subject's raters.

    `alpha` None: no subject has two opinions. `disputed` are subjects with more than one verdict that nobody decided.
    """

    metric: str
    subjects: int
    raters: tuple[str, ...]
    pairs: tuple[PairOfRaters, ...]
    alpha: Agreement | None
    verdicts: Mapping[str, int]
    majority: Mapping[str, int]
    disputed: tuple[str, ...]


def concord(metric: str, said: Sequence[Said]) -> Concord:
    """Kappas of each two raters, and Krippendorff's alpha of all. `unsure` counts as a verdict like any other."""
    opinions = _opinions(said)
    decided = {each.subject for each in said if each.kind == "adjudication"}
    if not opinions:
        raise InvalidRequest(f"Nobody has judged the metric `{metric}`.", param="metric")
    raters = tuple(sorted({rater for given in opinions.values() for rater in given}))
    if len(raters) > _MOST_RATERS:
        raise InvalidRequest(f"{len(raters)} people have judged; at most {_MOST_RATERS} are compared.", param="metric")
    units = [[given.get(rater) for rater in raters] for given in opinions.values()]
    has_pairs = any(len(given) > 1 for given in opinions.values())
    return Concord(
        metric,
        len(opinions),
        raters,
        tuple(_pairs(raters, opinions)),
        krippendorff_alpha(units) if has_pairs else None,
        dict(Counter(verdict for given in opinions.values() for verdict in given.values())),
        dict(Counter(found for given in opinions.values() if (found := _majority(given)) is not None)),
        tuple(subject for subject in _disputed(opinions) if subject not in decided),
    )


def _opinions(said: Sequence[Said]) -> dict[str, dict[str, str]]:
    """Verdicts by subject and rater."""
    found: dict[str, dict[str, str]] = {}
    for each in said:
        if each.kind == "opinion":
            found.setdefault(each.subject, {})[each.rater] = each.verdict
    return found


def _disputed(opinions: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [subject for subject, given in opinions.items() if len(set(given.values())) > 1]


def _pairs(raters: Sequence[str], opinions: Mapping[str, Mapping[str, str]]) -> list[PairOfRaters]:
    found = []
    for first, second in combinations(raters, 2):
        both = [(given[first], given[second]) for given in opinions.values() if first in given and second in given]
        if both:
            one, two = zip(*both, strict=True)
            found.append(PairOfRaters(first, second, cohen_kappa(one, two)))
    return found


def _majority(given: Mapping[str, str]) -> str | None:
    verdict, count = Counter(given.values()).most_common(1)[0]
    return verdict if count * 2 > len(given) else None
