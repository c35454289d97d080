from __future__ import annotations

import pytest

from headworks.cli.quality.bars import read_bars
from headworks.errors import InvalidRequest


def test_bars_are_read_by_measure() -> None:
    assert read_bars(["ndcg=0.7", " MRR =1"]).lowest == {"ndcg": 0.7, "mrr": 1}
    assert read_bars([]).lowest == {}


@pytest.mark.parametrize("given", ["ndcg", "ndcg=", "ndcg=x", "ndcg=nan", "ndcg=-0.1", "ndcg=1.1", "map=0.5", "=1"])
def test_what_is_no_bar_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest):
        read_bars([given])
