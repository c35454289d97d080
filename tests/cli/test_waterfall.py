from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.cli.waterfall import cost, draw, duration

BLOCKS = "▏▎▍▌▋▊▉█"


def span(number: int, parent: int | None, offset: int, lasted: int, status: str = "ok") -> dict[str, Any]:
    return {
        "span": str(number), "parent": None if parent is None else str(parent), "name": f"stage {number}",
        "offset_us": offset, "duration_us": lasted, "status": status,
    }  # fmt: skip


SPANS = st.lists(
    st.builds(
        span,
        st.integers(0, 50),
        st.one_of(st.none(), st.integers(0, 50)),
        st.integers(0, 10**8),
        st.integers(0, 10**8),
        st.sampled_from(["ok", "error", "cancelled"]),
    ),
    max_size=20,
    unique_by=lambda each: each["span"],
)


@given(SPANS, st.integers(70, 160))
def test_each_span_has_a_line_that_fits_with_a_bar_in_it(spans: list[dict[str, Any]], width: int) -> None:
    lines = draw({"spans": spans}, width)
    assert len(lines) == len(spans)
    for line, each in zip(lines, spans, strict=True):
        assert len(line) <= width
        assert any(block in line for block in BLOCKS)
        assert line.lstrip().startswith(each["name"])
        assert line.endswith(each["status"]) == (each["status"] != "ok")


@given(SPANS.filter(bool))
def test_bars_begin_in_the_order_of_their_offsets(spans: list[dict[str, Any]]) -> None:
    lines = draw({"spans": spans}, 120)
    starts = [min(line.find(block) for block in BLOCKS if block in line) for line in lines]
    ordered = sorted(zip([each["offset_us"] for each in spans], starts, strict=True))
    assert [start for _, start in ordered] == sorted(starts)


def test_children_are_indented_and_times_stand_in_a_column() -> None:
    lines = draw({"spans": [span(1, None, 0, 1_240_000), span(2, 1, 0, 620_000), span(3, 2, 620_000, 840)]}, 100)
    assert lines[0].startswith("stage 1 ")
    assert lines[1].startswith("  stage 2 ")
    assert lines[2].startswith("    stage 3 ")
    assert [line.split()[-2:] for line in lines] == [["1.24", "s"], ["620.0", "ms"], ["840", "µs"]]
    assert len({len(line) for line in lines}) == 1
    assert abs(lines[0].count("█") - 2 * lines[1].count("█")) <= 1


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw({"spans": []}, 80) == []


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(None, "–"), (0, "0 µs"), (840, "840 µs"), (1_000, "1.00 ms"), (12_340, "12.3 ms"), (1_240_000, "1.24 s")],
)
def test_times_are_for_people(microseconds: int | None, text: str) -> None:
    assert duration(microseconds) == text


def test_what_has_no_price_does_not_look_free() -> None:
    assert cost(None) == "no price is known"
    assert cost(0) == "$0.000000"
    assert cost(1_234) == "$0.001234"
