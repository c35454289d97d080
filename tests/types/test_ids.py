from __future__ import annotations

import time
from uuid import UUID, uuid4

from headworks.types.ids import made_at, new_id


def test_ids_are_of_version_7_and_differ() -> None:
    made = {new_id() for _ in range(2000)}
    assert len(made) == 2000
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}


def test_ids_made_later_sort_later() -> None:
    earlier = new_id()
    limit = time.time_ns() + 3_000_000
    while time.time_ns() < limit:
        pass
    assert earlier < new_id()


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made: UUID = new_id()
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000
    moment = made_at(made)
    assert moment is not None
    assert round(moment.timestamp() * 1000) == made.int >> 80
    assert made_at(uuid4()) is None
    assert made_at(UUID(int=made.int | 0xFFFFFFFFFFFF << 80)) is None, "no calendar goes so far"
