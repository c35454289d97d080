"""Cards as they are kept: the newest counts, for its project and its time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from release_world import World, guest, shared_superuser, shared_urls

from headworks.errors import Forbidden, InvalidRequest, NotFound
from headworks.evaluation.calibration import JudgeCards, card_as_json, card_as_text
from headworks.evaluation.cards import Pair
from headworks.types.evaluation import Score
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId

__all__ = ["guest", "shared_superuser", "shared_urls"]

_JUDGE, _OTHER = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)
_GOOD = [Pair(float(at % 2), Score(float(at % 2)), tags={"risk": "low"}) for at in range(80)]
_BAD = [Pair(float(at % 2), Score(1.0)) for at in range(80)]


@pytest.fixture
def cards(guest: World) -> JudgeCards:
    return JudgeCards(guest.db)


@pytest.fixture
async def project(guest: World) -> ProjectId:
    return await _project(guest)


async def _project(world: World) -> ProjectId:
    async with world.db.tx(world.admin) as tx:
        sql = "SELECT project_id FROM project WHERE tenant_id = %(tenant)s ORDER BY name LIMIT 1"
        return ProjectId(await tx.fetch_value(sql, tenant=world.admin.tenant))


async def test_a_calibrated_judge_is_known_by_its_digest_and_metric(
    guest: World, cards: JudgeCards, project: ProjectId
) -> None:
    assert not await cards.is_calibrated(guest.admin, project, _JUDGE, "m")
    kept = await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    assert kept.is_calibrated
    assert await cards.is_calibrated(guest.admin, project, _JUDGE, "m")
    assert not await cards.is_calibrated(guest.admin, project, _OTHER, "m")
    assert not await cards.is_calibrated(guest.admin, project, _JUDGE, "other")
    assert (await cards.find(guest.admin, project, _JUDGE, "m")).card == kept.card
    assert [each.id for each in await cards.list(guest.admin, project)] == [kept.id]


async def test_the_newest_card_counts_even_if_it_is_worse(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    await cards.calibrate(guest.admin, project, _JUDGE, "m", _BAD)
    assert not await cards.is_calibrated(guest.admin, project, _JUDGE, "m")


async def test_drift_takes_the_calibration_away(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    assert not (await cards.check_drift(guest.admin, project, _JUDGE, "m", _GOOD)).is_alarm
    assert await cards.is_calibrated(guest.admin, project, _JUDGE, "m")
    assert (await cards.check_drift(guest.admin, project, _JUDGE, "m", _BAD)).is_alarm
    assert not await cards.is_calibrated(guest.admin, project, _JUDGE, "m")
    assert "has drifted" in (await cards.find(guest.admin, project, _JUDGE, "m")).card.missing[0]


async def test_without_judgements_there_is_no_card(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    with pytest.raises(InvalidRequest, match="Nobody has judged"):
        await cards.calibrate(guest.admin, project, _JUDGE, "m", [])
    with pytest.raises(NotFound):
        await cards.find(guest.admin, project, _JUDGE, "m")


async def test_who_may_not_run_experiments_makes_no_cards(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    stranger: Principal = replace(guest.admin, permissions=frozenset())
    with pytest.raises(Forbidden):
        await cards.calibrate(stranger, project, _JUDGE, "m", _GOOD)


async def test_a_card_is_told_in_words_and_in_json(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    good = await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    bad = await cards.calibrate(guest.admin, project, _JUDGE, "m", _BAD)
    text = card_as_text(good)
    assert text.startswith("m  calibrated: it may decide")
    assert "risk=low" in text
    assert "not calibrated: it informs, and can't gate" in card_as_text(bad)
    assert "• kappa is 0.00" in card_as_text(bad)
    assert "expired" in card_as_text(replace(good, is_valid=False))
    assert card_as_json(good)["kappa"]["value"] == 1.0
    assert card_as_json(bad)["is_calibrated"] is False
