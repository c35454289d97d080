"""Samples of traffic: drawn with stored chances, in random order, read without bias."""

from __future__ import annotations

from typing import Any

import pytest
from release_world import World, guest, shared_urls

from headworks.errors import InvalidRequest, NotFound
from headworks.review.contract import Judgement
from headworks.review.judgements import Judgements
from headworks.review.sampling import Draw, Sampling
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import new_id

__all__ = ["guest", "shared_urls"]


class Seen:
    """Stands in for observability, which lies above."""

    def __init__(self, count: int) -> None:
        self.rows: list[dict[str, Any]] = [self.row() for _ in range(count)]

    @staticmethod
    def row(**changed: Any) -> dict[str, Any]:
        trace = new_id()
        usual = {"trace_id": trace, "request_id": trace, "feature": "claims", "surface": "chat", "status": 200}
        return {**usual, "release": "sha256:r", **changed}

    async def tail(self, principal: Principal, *, most: int = 50, hours: int = 24) -> list[dict[str, Any]]:
        del principal, hours
        return self.rows[:most]


async def judge(world: World, judgements: Judgements, subject: str, verdict: Any) -> None:
    await judgements.give(world.admin, "default", Judgement(subject, "ok", verdict))


async def test_a_sample_is_drawn_by_chance_and_the_same_by_the_same_seed(guest: World, keyring: Keyring) -> None:
    judgements, seen = Judgements(guest.db, keyring, guest.identity, guest.releases), Seen(200)
    sampling = Sampling(guest.db, guest.identity, seen)
    first = await sampling.draw(guest.admin, "default", Draw("claims", "ok", 50, seed=3))
    assert first.population == 200
    assert first.chance == pytest.approx(0.25)
    assert 25 <= first.drawn <= 75
    wanted, _ = await judgements.wanted(guest.admin, "default")
    assert len(wanted) == first.drawn
    assert {each.chance for each in wanted} == {first.chance}
    assert all(each.subject == f"trace:{each.trace_id}" and each.release == "sha256:r" for each in wanted)
    order = [str(row["trace_id"]) for row in seen.rows]
    places = [order.index(str(each.trace_id)) for each in wanted]
    assert places != sorted(places), "in random order"
    again = await sampling.draw(guest.admin, "default", Draw("claims", "ok", 50, seed=3))
    assert (again.drawn, again.asked) == (first.drawn, first.drawn), "each sample keeps its own chances"


async def test_the_reviewed_part_tells_of_the_whole(guest: World, keyring: Keyring) -> None:
    judgements, seen = Judgements(guest.db, keyring, guest.identity, guest.releases), Seen(120)
    sampling = Sampling(guest.db, guest.identity, seen)
    bad = {f"trace:{row['trace_id']}" for row in seen.rows[:30]}
    sample = await sampling.draw(guest.admin, "default", Draw("claims", "ok", 60, seed=1))
    with pytest.raises(InvalidRequest, match="judged yet"):
        await sampling.read(guest.admin, sample.id)
    wanted, _ = await judgements.wanted(guest.admin, "default")
    await judge(guest, judgements, wanted[0].subject, "unsure")
    with pytest.raises(InvalidRequest, match="judged yet"):
        await sampling.read(guest.admin, sample.id)
    await judge(guest, judgements, wanted[-1].subject, "unsure")
    for each in wanted[: len(wanted) // 2]:
        await judge(guest, judgements, each.subject, "fail" if each.subject in bad else "pass")
    half = await sampling.read(guest.admin, sample.id)
    assert (half.reviewed, half.unsure) == (len(wanted) // 2, 1)
    for each in wanted[len(wanted) // 2 :]:
        await judge(guest, judgements, each.subject, "fail" if each.subject in bad else "pass")
    whole = await sampling.read(guest.admin, sample.id)
    assert (whole.reviewed, whole.population) == (sample.drawn, 120)
    assert 0.75 in whole.estimate.interval()
    assert 0.75 in half.estimate.interval()
    assert await judgements.wanted(guest.admin, "default") == ([], 0)
    assert len((await judgements.wanted(guest.admin, "default", done=True))[0]) == sample.drawn


async def test_experiments_failures_and_other_features_are_no_traffic(guest: World) -> None:
    seen = Seen(1)
    seen.rows += [
        Seen.row(surface="experiment"),
        Seen.row(surface="internal"),
        Seen.row(status=429),
        Seen.row(feature="other"),
        Seen.row(request_id=new_id()),
    ]
    sampling = Sampling(guest.db, guest.identity, seen)
    assert (await sampling.draw(guest.admin, "default", Draw("claims", "ok", 10))).population == 1
    with pytest.raises(InvalidRequest, match="no answer of `nothing`"):
        await sampling.draw(guest.admin, "default", Draw("nothing", "ok", 10))
    with pytest.raises(InvalidRequest, match="budget above 0"):
        await sampling.draw(guest.admin, "default", Draw("claims", "ok", 0))
    with pytest.raises(NotFound):
        await sampling.read(guest.admin, new_id())
