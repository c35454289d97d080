from __future__ import annotations

import json

import pytest

from headworks.cli.quality.configurations import Configuration
from headworks.cli.quality.running import Outcome
from headworks.cli.quality.telling import Report
from headworks.retrieval.quality.golden import GoldenQuery, Target
from headworks.retrieval.quality.measures import MEASURES
from headworks.retrieval.quality.ranking import Hit, Ranked
from headworks.retrieval.quality.report import Measured

HOSTILE = "pay\x1b[2Jday\n\u202eevil"


def one(value: float, *tags: str) -> Measured:
    query = GoldenQuery("q", HOSTILE, (Target("pay\x1b[31m.md"), Target("other.md", 0)), tags, None, 3)
    hits = (
        (Hit("d", 1, "a\x1b[2J.md", "A", ("A", "B"), 0, 5, 0.5), None),
        (Hit("e", 1, "b.md", "B", (), 0, 5, 0.4), 1),
    )
    return Measured(query, Ranked(("x", "target 0"), {"target 0": 1}, hits), dict.fromkeys(MEASURES, value), 2)


def report(*values: float, tags: tuple[str, ...] = ()) -> Report:
    ways = [Configuration("docs", "hybrid", 100), Configuration("docs", "keywords", 50)]
    outcomes = [Outcome(way, [one(v, *tags), one(v, *tags)], ["Wait."]) for way, v in zip(ways, values, strict=False)]
    return Report("docs", "g.jsonl", 10, outcomes, [each.configuration.ranking for each in outcomes])


def test_one_configuration_is_a_column() -> None:
    shown = "\n".join(report(0.5).lines(0))
    assert shown.startswith("2 queries of g.jsonl, 100 passages each, cut at 10. In brackets 95 %.\n\nmeasure ")
    assert [line.split("  ")[0] for line in shown.splitlines()[3:]] == ["nDCG@10", "recall@10", "MRR@10", "hit rate@10"]
    assert "0.500 [" in shown
    assert "better" not in shown


def test_two_are_two_with_their_difference_and_a_row_for_each_tag() -> None:
    shown = "\n".join(report(0.5, 0.25, tags=("money", "people")).lines(0))
    assert "100 and 50 passages each" in shown
    assert "hybrid − keywords" in shown
    assert "+0.250 [" in shown
    assert "2, 0, 0" in shown
    assert "\nmoney   2 " in shown
    assert "\npeople  2 " in shown


def test_text_of_files_can_not_move_the_cursor() -> None:
    shown = "\n".join(report(0.5, 0.2).lines(5))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "0.500, 0.200" in shown
    assert "first at 2" in shown
    assert "other.md" not in shown, "a grade of 0 is nothing to look for"
    assert "✓ 2 b.md · B" in shown
    assert "  1 a\ufffd[2J.md · A — B" in shown


def test_everything_is_json_and_notices_come_once() -> None:
    found = json.loads(json.dumps(report(0.5, 0.2, tags=("money",)).as_json(1)))
    assert list(found) == [
        "collection", "golden", "k", "queries", "configurations", "difference", "tags", "worst", "notices",
    ]  # fmt: skip
    assert found["notices"] == ["Wait."]
    assert found["tags"]["money"]["difference"]["mrr@10"]["mean"] == pytest.approx(0.3)
    assert found["worst"][0]["runs"][1]["measures"]["ndcg@10"] == 0.2
    rows = list(report(0.5, 0.2).exported())
    assert [row["runs"][0]["first_relevant"] for row in rows] == [2, 2]
    assert rows[0]["runs"][1]["settings"]["depth"] == 50
