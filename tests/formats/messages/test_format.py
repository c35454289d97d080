"""The one object of the format is all that the contract asks for."""

from __future__ import annotations

import inspect

import pytest

from headworks.formats import contract
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import Request


@pytest.mark.parametrize("asked", [contract.Heard, contract.Spoken, contract.Native])
def test_it_is_heard_spoken_and_native(asked: type) -> None:
    assert MESSAGES.name == "messages"
    for name, wanted in inspect.getmembers(asked, inspect.isfunction):
        if name.startswith("_"):
            continue
        given = inspect.signature(getattr(MESSAGES, name)).parameters
        assert set(inspect.signature(wanted).parameters) - {"self"} <= set(given)


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (contract.Reader, MESSAGES.reader()),
        (contract.Writer, MESSAGES.writer(Request("chat", "m"))),
        (contract.Watch, MESSAGES.watch()),
    ],
)
def test_what_it_makes_has_the_members_of_the_contract(asked: type, made: object) -> None:
    names = [name for name, _ in inspect.getmembers(asked, inspect.isfunction) if not name.startswith("_")]
    for name in [*names, *inspect.get_annotations(asked)]:
        assert hasattr(made, name), name


def test_each_stream_has_a_reader_of_its_own() -> None:
    assert MESSAGES.reader() is not MESSAGES.reader()
    assert MESSAGES.watch() is not MESSAGES.watch()
