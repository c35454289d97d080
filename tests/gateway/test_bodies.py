"""A request's body is spliced, never written again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.gateway.wire.bodies import Body

SPACE = st.text(" \t\r\n", max_size=2)
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEY = st.text(max_size=5) | st.sampled_from(['"', "\\", '\\"', "}", ",", ":", "model", "é"])


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """The text of an object in some layout, and what it means."""
    value = draw(st.dictionaries(KEY, VALUE, max_size=6))
    ascii_only = draw(st.booleans())
    space = draw(SPACE)

    def written(each: Any) -> str:
        return f"{space}{json.dumps(each, ensure_ascii=ascii_only)}{space}"

    members = [f"{written(key)}:{written(each)}" for key, each in value.items()]
    return f"{space}{{{space}{','.join(members)}}}{space}".encode("utf-8", "surrogatepass"), value


def is_text(body: bytes) -> bool:
    """Half of a surrogate pair, escaped or not, is no text that anybody could read."""
    try:
        return not any(
            "\ud800" <= each <= "\udfff" for each in json.dumps(json.loads(body.decode()), ensure_ascii=False)
        )
    except UnicodeDecodeError:
        return False


@given(objects())
def test_every_member_is_found_where_it_stands(made: tuple[bytes, dict[str, Any]]) -> None:
    raw, value = made
    if not is_text(raw):
        return
    body = Body.read(raw)
    assert set(body.members) == set(value)
    for key, each in value.items():
        found = body.value(key)
        assert found is not None
        assert json.loads(found) == each


@given(objects(), st.dictionaries(st.sampled_from(["model", "new", 'é"x', "}"]), LEAF, min_size=1))
@example((b"{}", {}), {"model": 1})
def test_a_splice_changes_what_it_names_and_nothing_else(
    made: tuple[bytes, dict[str, Any]], changes: dict[str, Any]
) -> None:
    raw, value = made
    if not is_text(raw):
        return
    spliced = Body.read(raw).spliced({key: json.dumps(each).encode() for key, each in changes.items()})
    assert json.loads(spliced) == {**value, **changes}
    assert list(json.loads(spliced)) == [*value, *(key for key in changes if key not in value)]


@given(
    objects().map(lambda made: made[0])
    | st.lists(st.tuples(KEY, VALUE), max_size=4).map(
        lambda pairs: b"{%b}" % b",".join(f"{json.dumps(k)}:{json.dumps(v)}".encode() for k, v in pairs)
    )
)
def test_a_large_body_is_cut_as_a_small_one(raw: bytes) -> None:
    def cut() -> list[bytes] | str:
        try:
            return [bytes(each) for each in Body.read(raw)._pieces]
        except InvalidRequest as error:
            return str(error)

    small = cut()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headworks.gateway.wire.bodies._LARGE", -1)
        assert cut() == small


@given(objects())
def test_no_change_is_no_change(made: tuple[bytes, dict[str, Any]]) -> None:
    raw, _ = made
    if is_text(raw):
        assert Body.read(raw).spliced({}) == raw


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "model"]), st.sampled_from(["1", "12", '"x"', "[1]", "{}"])), min_size=1
    )
)
def test_a_member_that_stands_twice_is_refused(pairs: list[tuple[str, str]]) -> None:
    raw = ("{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}").encode()
    names = [key for key, _ in pairs]
    if len(set(names)) == len(names):
        assert set(Body.read(raw).members) == set(names)
        return
    with pytest.raises(InvalidRequest, match="twice") as refused:
        Body.read(raw)
    assert refused.value.code == "duplicate_key"
    assert names.count(refused.value.param or "") > 1


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'{"a":1')
@example(b'{"a":"\xff"}')
def test_whatever_comes_it_is_read_or_refused(raw: bytes) -> None:
    try:
        body = Body.read(raw)
    except InvalidRequest:
        return
    assert set(body.members) == set(json.loads(raw))


def test_a_forged_repetition_can_t_hide_in_a_text() -> None:
    """The second `model` is longer, so that its length would lead past the first into an attacker's own bytes."""
    raw = b'{"model":"a","x":"b\\",\\"x\\":\\"","model":"outside/other-model"}'
    with pytest.raises(InvalidRequest, match="`model` twice"):
        Body.read(raw)


@pytest.mark.parametrize(
    ("raw", "expected"), [(b"1", 1), (b"null", None), (b"007", None), (b"999999999999999999", 10**18 - 1)]
)
def test_counts_are_whole_numbers(raw: bytes, expected: int | None) -> None:
    try:
        assert Body.read(b'{"n":' + raw + b"}").count("n") == expected
    except InvalidRequest:
        assert raw == b"007"
    assert Body.read(b"{}").count("n") is None
