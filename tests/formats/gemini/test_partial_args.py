"""Arguments that come value by value are the object that they tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import UpstreamError
from headworks.formats.gemini.partial_args import Arguments, PartialArg

NAMES = st.text(min_size=1, max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=6,
)


def told(value: Any, path: str = "$") -> Iterator[dict[str, Any]]:
    """The pieces that tell a value, as Google's Agent Platform streams them; texts letter by letter."""
    if isinstance(value, dict):
        for name, inner in value.items():
            quoted = name.replace("\\", "\\\\").replace("'", "\\'")
            step = f".{name}" if name.isalpha() else f"['{quoted}']"
            yield from told(inner, path + step)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from told(inner, f"{path}[{index}]")
    elif isinstance(value, bool):
        yield {"jsonPath": path, "boolValue": value}
    elif isinstance(value, str):
        for letter in value or [""]:
            yield {"jsonPath": path, "stringValue": letter, "willContinue": True}
    else:
        yield {"jsonPath": path, **({"nullValue": "NULL_VALUE"} if value is None else {"numberValue": value})}


def assembled(*pieces: dict[str, Any]) -> Any:
    arguments = Arguments()
    for piece in pieces:
        arguments.add(msgspec.json.decode(json.dumps(piece), type=PartialArg))
    return json.loads(arguments.text())


@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_any_object_is_put_together_again(value: dict[str, Any]) -> None:
    assert assembled(*told(value)) == value


def test_numbers_keep_their_text() -> None:
    arguments = Arguments()
    arguments.add(msgspec.json.decode(b'{"jsonPath": "$.n", "numberValue": 1.50}', type=PartialArg))
    assert arguments.text() == '{"n":1.50}'


@pytest.mark.parametrize("path", ["", "$", "a", "$[0]", "$.a[", "$.a..b", "$.a[99999]", "$x", "$.a['b"])
def test_a_path_that_leads_nowhere_is_an_error(path: str) -> None:
    with pytest.raises(UpstreamError, match="where it belongs"):
        assembled({"jsonPath": path, "stringValue": "x"})


def test_a_path_through_a_value_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        assembled({"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": "$.a.b", "boolValue": True})
    with pytest.raises(UpstreamError):
        assembled({"jsonPath": "$.a[0]", "stringValue": "x"}, {"jsonPath": "$.a.b", "boolValue": True})
