"""A run over golden queries for people and for scripts."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from headworks.cli.answers import place_in
from headworks.cli.json_values import JsonObject
from headworks.cli.quality.running import Outcome
from headworks.cli.terminal import one_line, paint, table, width
from headworks.errors import InvalidRequest
from headworks.retrieval.quality.measures import HIT_RATE, MEASURES, MRR, NDCG, RECALL
from headworks.retrieval.quality.ranking import Hit
from headworks.retrieval.quality.report import Difference, Mean, Measured, Slice, by_tag, summarise, worst

_TITLES = {NDCG: "nDCG", RECALL: "recall", MRR: "MRR", HIT_RATE: "hit rate"}
_FOUND_INSTEAD = 3
_OF_TAGS = (NDCG, RECALL)


@dataclass(frozen=True, slots=True)
class Report:
    """All that came of it. `outcomes` are one or two, `names` what they are called."""

    collection: str
    file: str
    k: int
    outcomes: Sequence[Outcome]
    names: Sequence[str]

    @property
    def runs(self) -> list[list[Measured]]:
        """Of each configuration, in the file's order."""
        return [each.measured for each in self.outcomes]

    def measure(self, name: str) -> str:
        """As scripts call it, with its cut-off: `ndcg@10`."""
        return f"{name}@{self.k}"

    def as_json(self, most_worst: int) -> JsonObject:
        """As scripts see it."""
        return {
            "collection": self.collection,
            "golden": self.file,
            "k": self.k,
            **self._slice_json(summarise(self.runs)),
            "tags": {tag: self._slice_json(each) for tag, each in by_tag(self.runs).items()},
            "worst": [self._worst_json(row) for row in worst(self.runs, most_worst)],
            "notices": self.notices(),
        }

    def notices(self) -> list[str]:
        """What the server said beside the results, each once."""
        return list(dict.fromkeys(notice for each in self.outcomes for notice in each.notices))

    def lines(self, most_worst: int) -> Iterator[str]:
        """As people see it."""
        whole = summarise(self.runs)
        depths = " and ".join(dict.fromkeys(str(each.configuration.depth) for each in self.outcomes))
        yield f"{whole.queries} queries of {self.file}, {depths} passages each, cut at {self.k}. In brackets 95 %."
        yield ""
        yield table(*self._all_measures(whole))
        tags = by_tag(self.runs)
        if tags:
            yield ""
            yield table(*self._tags(tags))
        rows = worst(self.runs, most_worst)
        if rows:
            yield ""
            yield paint(f"Served worst by {self.names[0]}", "bold")
        for row in rows:
            yield from self._worst_lines(row)

    def _all_measures(self, whole: Slice) -> tuple[list[str], list[list[str]]]:
        columns = ["measure", *self.names]
        rows = [[f"{_TITLES[name]}@{self.k}", *(_mean(each[name]) for each in whole.means)] for name in MEASURES]
        if whole.differences:
            columns += [f"{self.names[0]} − {self.names[1]}", "better, worse, same"]
            for name, row in zip(MEASURES, rows, strict=True):
                difference = whole.differences[name]
                row += [_difference(difference), f"{difference.better}, {difference.worse}, {difference.same}"]
        return columns, rows

    def _tags(self, tags: dict[str, Slice]) -> tuple[list[str], list[list[str]]]:
        is_paired = len(self.outcomes) > 1
        shown = [NDCG] if is_paired else list(_OF_TAGS)
        columns = ["tag", "queries"]
        columns += [
            f"{_TITLES[name]}@{self.k}{f' {each}' if is_paired else ''}" for name in shown for each in self.names
        ]
        columns += [f"{self.names[0]} − {self.names[1]}"] if is_paired else []
        rows = []
        for tag, each in tags.items():
            row = [tag, str(each.queries), *(_mean(means[name]) for name in shown for means in each.means)]
            rows.append(row + ([_difference(each.differences[NDCG])] if is_paired else []))
        return columns, rows

    def _worst_lines(self, row: tuple[Measured, ...]) -> Iterator[str]:
        first = row[0]
        values = ", ".join(f"{each.values[NDCG]:.3f}" for each in row)
        yield f"  {paint(values, 'cyan')}  {one_line(first.query.query, width() - 20)}"
        rank = f"first at {first.rank}" if first.rank else "nothing of it was found"
        sought = ", ".join(dict.fromkeys(each.document for each in first.query.targets if each.grade))
        yield f"      looked for {one_line(sought, width() - 45)}: {rank}"
        for place, (hit, grade) in enumerate(first.ranked.hits[:_FOUND_INSTEAD], 1):
            mark = "✓" if grade else " "
            yield paint(
                f"      {mark} {place} {one_line(f'{hit.path} · {place_in(hit.title, hit.section)}', width() - 12)}",
                "dim",
            )

    def _worst_json(self, row: tuple[Measured, ...]) -> JsonObject:
        first = row[0].query
        return {
            "id": first.id,
            "query": first.query,
            "line": first.line,
            "relevant": first.as_json()["relevant"],
            "runs": [self._run_json(name, each, _FOUND_INSTEAD) for name, each in zip(self.names, row, strict=True)],
        }

    def _slice_json(self, each: Slice) -> JsonObject:
        said: JsonObject = {
            "queries": each.queries,
            "configurations": [
                {
                    "name": name,
                    "settings": outcome.configuration.settings,
                    "measures": {self.measure(key): _rounded(asdict(value)) for key, value in means.items()},
                }
                for name, outcome, means in zip(self.names, self.outcomes, each.means, strict=True)
            ],
        }
        if each.differences:
            said["difference"] = {self.measure(key): _rounded(asdict(value)) for key, value in each.differences.items()}
        return said

    def _run_json(self, name: str, each: Measured, most: int | None = None) -> JsonObject:
        hits = each.ranked.hits[:most]
        return {
            "configuration": name,
            "measures": {self.measure(key): round(value, 6) for key, value in each.values.items()},
            "first_relevant": each.rank,
            "results": [_hit_json(place, hit, grade) for place, (hit, grade) in enumerate(hits, 1)],
        }

    def exported(self) -> Iterator[JsonObject]:
        """One object for each query: it, and what each configuration found."""
        for row in zip(*self.runs, strict=True):
            runs = []
            for name, outcome, each in zip(self.names, self.outcomes, row, strict=True):
                runs.append({**self._run_json(name, each), "settings": outcome.configuration.settings})
            yield {"collection": self.collection, **row[0].query.as_json(), "runs": runs}


def write_lines(file: Path, rows: Iterator[JsonObject], mode: int = 0o600) -> int:
    """Write JSON objects, one a line, and count them: all, or the file stays as it was. InvalidRequest if it can't."""
    try:
        descriptor, staging = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                count = sum(1 for row in rows if out.write(json.dumps(row, ensure_ascii=False) + "\n"))
            Path(staging).chmod(mode)
            Path(staging).replace(file)
        except BaseException:
            Path(staging).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidRequest(f"{file} can't be written: {error.strerror}.") from None
    return count


def _mean(value: Mean) -> str:
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _difference(value: Difference) -> str:
    return f"{value.mean:+.3f} [{value.low:+.3f}, {value.high:+.3f}]"


def _rounded(values: JsonObject) -> JsonObject:
    return {name: round(value, 6) for name, value in values.items()}


def _hit_json(place: int, hit: Hit, grade: int | None) -> JsonObject:
    return {"place": place, **asdict(hit), "grade": grade}
