from __future__ import annotations

import itertools
import threading

import pytest

from headworks.cli.at_once import AT_ONCE, at_once


class Slow:
    """The first piece of work is done at once, all others once they may be."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.may_end = threading.Event()

    def __call__(self, number: int) -> float:
        self.begun.append(number)
        if number:
            self.may_end.wait(30)
        self.ended.append(number)
        return 1 / number


def test_each_item_comes_back_with_what_came_of_it() -> None:
    with at_once(lambda number: 12 // number, range(30)) as done:
        found = dict(done)
    assert sorted(found) == list(range(30))
    assert isinstance(found.pop(0).exception(), ZeroDivisionError)
    assert all(future.result() == 12 // number for number, future in found.items())
    with at_once(str, []) as done:
        assert not list(done)


def test_items_are_taken_as_they_are_needed() -> None:
    items = itertools.count()
    with at_once(str, items) as done:
        for _ in itertools.islice(done, 100):
            pass
    assert next(items) <= 100 + 2 * AT_ONCE


def test_after_an_error_nothing_more_is_begun_and_what_is_under_way_ends_first() -> None:
    slow = Slow()

    def look_at_the_first() -> None:
        with at_once(slow, range(50)) as done:
            threading.Timer(0.05, slow.may_end.set).start()
            next(done)[1].result()

    with pytest.raises(ZeroDivisionError):
        look_at_the_first()
    assert sorted(slow.ended) == sorted(slow.begun)
    assert len(slow.begun) < 50


def test_an_interrupt_waits_for_nothing() -> None:
    slow = Slow()

    def be_interrupted() -> None:
        with at_once(slow, range(50)) as done:
            next(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert slow.ended == [0]
    slow.may_end.set()
