"""PandaLM's test set by our importer: the agreement and the counts that its authors published."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from release_world import World, guest, shared_urls

from headworks.errors import InvalidRequest
from headworks.review.files import PREFERENCE, read_pandalm
from headworks.review.judgements import Judgements
from headworks.review.labels import value_of
from headworks.statistics.estimates import SHARES
from headworks.statistics.judge_correction import corrected_mean
from headworks.storage.sealing import Keyring

__all__ = ["guest", "shared_urls"]

DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data")) / "judged" / "pandalm"
TESTSET = "testset-v1.json"


@pytest.mark.data
async def test_the_published_kappas_and_counts(guest: World, keyring: Keyring) -> None:
    judgements = Judgements(guest.db, keyring, guest.identity, guest.releases)
    rows = read_pandalm(TESTSET, (DATA / TESTSET).read_bytes())
    assert await judgements.take_in(guest.admin, "default", rows) == 3 * 999
    found = await judgements.agreement(await guest.person("audrey", "auditor"), "default", PREFERENCE)
    assert [round(each.kappa.value, 2) for each in found.pairs] == [0.85, 0.88, 0.86]
    assert dict(found.majority) == {"tie": 105, "first": 422, "second": 472}
    assert found.subjects == 999
    assert found.alpha is not None
    assert 0.83 < found.alpha.low < found.alpha.value < found.alpha.high < 0.90


@pytest.mark.data
def test_an_interval_from_100_judgements_and_a_judge_covers_the_truth() -> None:
    said = defaultdict(list)
    for _, each in read_pandalm(TESTSET, (DATA / TESTSET).read_bytes()):
        said[each.subject].append(each.verdict)
    human = np.array([value_of(Counter(each).most_common(1)[0][0]) for each in said.values()], float)
    verdicts = {"1": 1.0, "2": 0.0}
    judge = np.array(
        [
            verdicts.get(str(each["gpt_result"]), 0.5)
            for each in json.loads((DATA / "gpt-3.5-turbo-testset-v1.json").read_bytes())
        ]
    )
    assert judge.size == human.size == 999
    draw, truth, covered = np.random.default_rng(7), float(human.mean()), 0
    for _ in range(500):
        labels: list[float | None] = [None] * human.size
        for place in draw.choice(human.size, 100, replace=False):
            labels[place] = float(human[place])
        covered += truth in corrected_mean(judge, labels, limits=SHARES).estimate.interval()
    assert covered >= 0.94 * 500


def test_what_is_no_test_set_is_refused() -> None:
    for content in (b"{}", b"[{}]", b'[{"idx": 1, "annotator1": 3, "annotator2": 1, "annotator3": 1}]', b"\xff"):
        with pytest.raises(InvalidRequest, match="not a test set of PandaLM"):
            read_pandalm("x.json", content)
