"""Two experiments on the same examples: what differs, by how much, how surely, and in which examples. Pure.

Scores are turned so that higher is better. Repeats of an example are averaged, so that more repeats make no more
examples. An example counts as its weight says. An error stays an error until somebody says what it counts as.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from headworks.evaluation.contract import Result, Scale
from headworks.evaluation.suites.gate_files import Errors
from headworks.statistics.estimates import SHARES, Interval, mean
from headworks.statistics.paired import Pairs, paired_difference, pairs
from headworks.statistics.repeats import pass_all
from headworks.types.evaluation import Example, Score
from headworks.types.ids import Digest

_PASSES = 0.5
"""An average of repeats from here on passes."""

PassFail = Literal["pass", "fail"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a scorer gives, as comparisons and gates need to know it."""

    name: str
    scale: Scale
    is_better_high: bool = True
    is_judge: bool = False
    digest: Digest | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether scores lie from 0 to 1."""
        return self.scale != "number"

    @property
    def reach(self) -> float | None:
        """The largest difference that one example can show; None: nothing limits it."""
        return 1.0 if self.is_bounded else None

    def goodness(self, value: float) -> float:
        """The score turned so that higher is better; turned twice it is the score again."""
        if self.is_better_high:
            return value
        return 1.0 - value if self.is_bounded else -value


@dataclass(frozen=True, slots=True)
class Paired:
    """A metric of both releases, example by example: means of the repeats, higher is better. Errors count apart."""

    metric: Metric
    examples: tuple[Example, ...]
    digests: tuple[Digest, ...]
    base: tuple[float, ...]
    candidate: tuple[float, ...]
    base_errors: int
    candidate_errors: int
    scored: tuple[tuple[bool, bool], ...]
    """Whether base and candidate have a score of the example that is no error."""

    def clusters(self, by: str = "cluster") -> list[str]:
        """The cluster of each example: its own, `none`, or by a tag; who has none stands alone."""
        return [cluster_of(each, by) for each in self.examples]

    @property
    def weights(self) -> list[float]:
        """As how many each example counts."""
        return [each.weight for each in self.examples]

    def only(self, wanted: Callable[[Example], bool]) -> Paired:
        """The same of some examples."""
        kept = [at for at, each in enumerate(self.examples) if wanted(each)]
        return Paired(
            self.metric,
            tuple(self.examples[at] for at in kept),
            tuple(self.digests[at] for at in kept),
            tuple(self.base[at] for at in kept),
            tuple(self.candidate[at] for at in kept),
            self.base_errors,
            self.candidate_errors,
            tuple(self.scored[at] for at in kept),
        )


@dataclass(frozen=True, slots=True)
class FlippedExample:
    """An example that one of the two passes by a metric and the other does not."""

    example: Example
    before: PassFail
    after: PassFail
    metric: str
    base_trace: str | None
    trace: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of both, and what lies between, in the metric's own unit; higher is better where `is_better_high`."""

    metric: Metric
    n: int
    clusters: int
    base: float
    candidate: float
    difference: float
    interval: Interval
    pairs: Pairs
    base_errors: int
    candidate_errors: int
    scored: tuple[bool, bool]
    """Whether base and candidate have a score at all that is no error; else their mean is only what errors count as."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """What repeats of one experiment say of a metric."""

    metric: str
    repeats: int
    flaky: float
    """The share of examples whose repeats disagree on passing."""
    pass_all: Mapping[int, float]
    """The share of examples that pass so many times in a row, unbiased, by how many."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Cost and latency of the answers of one experiment. Money is micro-dollars, None where a price is unknown."""

    answers: int
    errors: int
    cost_micro_usd: float | None
    p50_ms: float
    p95_ms: float


def cluster_of(example: Example, by: str = "cluster") -> str:
    """The name of an example's cluster; one of its own where it has none."""
    named = example.cluster if by == "cluster" else example.tags.get(by) if by != "none" else None
    return f"in:{named}" if named is not None else f"alone:{example.id}"


def value_of(score: Score | None, metric: Metric, errors: Errors) -> float:
    """Goodness of one score; NaN where it is an error that blocks, or one that nothing bounds."""
    if score is not None and not score.is_error:
        return metric.goodness(score.value)
    return 0.0 if errors == "count_as_fail" and metric.is_bounded else math.nan


def errors_of(results: Sequence[Result], metric: Metric) -> dict[str, int]:
    """How many scores are errors, by code, the most frequent first; what was not scored is one, too."""
    scores = [each.scores.get(metric.name) for each in results]
    codes = [_code(each) for each in scores if each is None or each.is_error]
    return dict(Counter(codes).most_common())


def _code(error: Score | None) -> str:
    return "not_scored" if error is None else error.error_code or "not_a_number"


def _is_scored(results: Sequence[Result], metric: Metric) -> bool:
    """Whether any of the scores is no error."""
    return sum(errors_of(results, metric).values()) < len(results)


def by_example(results: Sequence[Result]) -> dict[Digest, list[Result]]:
    """Repeats of each example, in the order of the results."""
    grouped: dict[Digest, list[Result]] = defaultdict(list)
    for each in results:
        grouped[each.example_digest].append(each)
    return dict(grouped)


def paired(base: Sequence[Result], candidate: Sequence[Result], metric: Metric, errors: Errors) -> Paired:
    """The metric of the examples that both have answered.

    With errors that block, those examples are left out here, and counted: who decides must look at the counts.
    """
    before, after = by_example(base), by_example(candidate)
    kept: list[tuple[Digest, float, float]] = []
    scored: list[tuple[bool, bool]] = []
    counted = [0, 0]
    for digest in [each for each in after if each in before]:
        values = []
        for side, results in enumerate((before[digest], after[digest])):
            scores = [each.scores.get(metric.name) for each in results]
            counted[side] += sum(each is None or each.is_error for each in scores)
            values.append(_mean([value_of(each, metric, errors) for each in scores]))
        if not any(math.isnan(each) for each in values):
            kept.append((digest, values[0], values[1]))
            scored.append((_is_scored(before[digest], metric), _is_scored(after[digest], metric)))
    return Paired(
        metric,
        tuple(after[digest][0].example for digest, _, _ in kept),
        tuple(digest for digest, _, _ in kept),
        tuple(value for _, value, _ in kept),
        tuple(value for _, _, value in kept),
        counted[0],
        counted[1],
        tuple(scored),
    )


def difference(found: Paired, cluster: str = "cluster") -> Difference | None:
    """Both means and the difference with its 95 % interval, each example counted by its weight.

    None where no example is scored on both sides.
    """
    if not found.examples or (found.metric.reach is None and len(set(found.clusters(cluster))) < 2):
        return None
    clusters, weights = found.clusters(cluster), found.weights
    estimate = paired_difference(found.base, found.candidate, clusters, scale=found.metric.reach, weights=weights)
    metric, interval = found.metric, estimate.interval()
    sign = 1 if metric.is_better_high else -1
    shown = interval if sign > 0 else Interval(-interval.high, -interval.low)
    return Difference(
        metric,
        estimate.n,
        estimate.clusters,
        metric.goodness(_mean(found.base, weights)),
        metric.goodness(_mean(found.candidate, weights)),
        sign * estimate.value,
        shown,
        pairs(found.base, found.candidate, clusters, weights=weights),
        found.base_errors,
        found.candidate_errors,
        (any(base for base, _ in found.scored), any(candidate for _, candidate in found.scored)),
    )


def flips(base: Sequence[Result], candidate: Sequence[Result], metric: Metric, errors: Errors) -> list[FlippedExample]:
    """Examples that pass on one side and fail on the other, by the mean of their repeats; only for bounded metrics."""
    if not metric.is_bounded:
        return []
    found = paired(base, candidate, metric, errors)
    before, after = by_example(base), by_example(candidate)
    flipped = []
    for at, digest in enumerate(found.digests):
        words = _word(found.base[at]), _word(found.candidate[at])
        if words[0] != words[1]:
            traces = (_trace(before[digest]), _trace(after[digest]))
            flipped.append(FlippedExample(found.examples[at], *words, metric.name, *traces))
    return flipped


def by_mode(flipped: Sequence[FlippedExample]) -> dict[str, tuple[int, int]]:
    """How many examples broke and were fixed, by failure mode, those that broke most first.

    An example counts once, by however many metrics it flipped.
    """
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for each in flipped:
        for mode in each.example.failure_modes or ("(no failure mode)",):
            found[mode][each.after == "pass"].add(each.example.id)
    counts = {mode: (len(broken), len(fixed)) for mode, (broken, fixed) in found.items()}
    return dict(sorted(counts.items(), key=lambda item: (-item[1][0], -item[1][1], item[0])))


def slices(found: Paired, tag: str) -> dict[str, Paired]:
    """The same by the values of a tag, the largest part first."""

    def part(value: str) -> Paired:
        return found.only(lambda each: each.tags.get(tag) == value)

    parts = {value: part(value) for value in sorted({each.tags[tag] for each in found.examples if tag in each.tags})}
    return dict(sorted(parts.items(), key=lambda item: -len(item[1].examples)))


def by_tag(results: Sequence[Result], tag: str) -> dict[str, list[Result]]:
    """Results by the values of a tag, the largest part first; without those that have no such tag."""
    parts: dict[str, list[Result]] = defaultdict(list)
    for each in results:
        if tag in each.example.tags:
            parts[each.example.tags[tag]].append(each)
    return dict(sorted(parts.items(), key=lambda item: (-len(item[1]), item[0])))


def repeated(results: Sequence[Result], metric: Metric, errors: Errors = "count_as_fail") -> Repeated | None:
    """Flakiness and pass^k over the repeats of each example; None without bounded scores that are no errors."""
    grouped = list(by_example(results).values())
    if not metric.is_bounded or not _is_scored(results, metric):
        return None
    repeats = min(len(each) for each in grouped)
    passes = [
        sum(value_of(each.scores.get(metric.name), metric, errors) >= _PASSES for each in group[:repeats])
        for group in grouped
    ]
    weights = [group[0].example.weight for group in grouped]
    flaky = _mean([float(0 < each < repeats) for each in passes], weights)
    in_a_row = {k: _mean([pass_all(each, repeats, k) for each in passes], weights) for k in range(1, repeats + 1)}
    return Repeated(metric.name, repeats, flaky, in_a_row)


def average(
    results: Sequence[Result], metric: Metric, errors: Errors, cluster: str = "cluster"
) -> tuple[float, Interval, int] | None:
    """The mean of one experiment with its 95 % interval, and how many examples, each counted by its weight.

    None where nothing but errors is there: what those count as would pass for a mean.
    """
    if not _is_scored(results, metric):
        return None
    rows = [
        (group[0].example, value)
        for group in by_example(results).values()
        if not math.isnan(value := _mean([value_of(each.scores.get(metric.name), metric, errors) for each in group]))
    ]
    clusters = [cluster_of(example, cluster) for example, _ in rows]
    if not rows or (not metric.is_bounded and len(set(clusters)) < 2):
        return None
    limits, weights = SHARES if metric.is_bounded else None, [example.weight for example, _ in rows]
    estimate = mean([metric.goodness(value) for _, value in rows], clusters, limits=limits, weights=weights)
    return estimate.value, estimate.interval(), estimate.n


def spent(results: Sequence[Result]) -> Spent:
    """What the answers cost and how long they took; errors have taken their time, too."""
    costs = [each.output.cost_micro_usd for each in results if each.output.error_code is None]
    known = [each for each in costs if each is not None]
    times = sorted(each.output.latency_ms for each in results)
    cost = sum(known) / len(known) if known and len(known) == len(costs) else None
    errors = sum(each.output.error_code is not None for each in results)
    return Spent(len(results), errors, cost, _quantile(times, 0.5), _quantile(times, 0.95))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so many do not exceed; 0 without any."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    counts = [1.0] * len(values) if weights is None else weights
    total = math.fsum(value * count for value, count in zip(values, counts, strict=True))
    return total / math.fsum(counts) if values else math.nan


def _word(value: float) -> PassFail:
    return "pass" if value >= _PASSES else "fail"


def _trace(results: Sequence[Result]) -> str | None:
    return next((str(each.output.trace) for each in results if each.output.trace is not None), None)
