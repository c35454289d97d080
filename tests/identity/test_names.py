from __future__ import annotations

import pytest

from headworks.errors import InvalidRequest
from headworks.identity.names import check_name, near


@pytest.mark.parametrize("name", ["a", "0", "jane", "jane.doe@example.org", "build-bot+ci_1", "a" * 100])
def test_a_good_name_is_kept(name: str) -> None:
    assert check_name(name, "user") == name


@pytest.mark.parametrize(
    "name", ["", "Jane", "jane doe", "a,b", "-jane", ".hidden", "jane\n", "jané", "a/b", "a" * 101, "ａ", "x\x00y"]
)
def test_a_bad_name_is_told_what_a_good_one_is(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_name(name, "service account")
    assert "is not a name for a service account" in caught.value.message
    assert "a-z, 0-9" in caught.value.next_step
    assert len(caught.value.message) < 200
    assert caught.value.message.isprintable()


def test_the_name_of_the_curator_is_taken() -> None:
    with pytest.raises(InvalidRequest, match="taken by the server"):
        check_name("curator", "user")


def test_a_near_name_is_suggested() -> None:
    assert near("janne", ["jane", "john", "zoe"], "…") == "Did you mean `jane`?"


def test_a_few_names_are_all_listed_where_none_is_near() -> None:
    assert near("xyz", ["jane", "john"], "…") == "There are `jane`, `john`."


def test_many_or_no_names_are_not_listed() -> None:
    assert near("xyz", [f"user{number}" for number in range(11)], "Look there.") == "Look there."
    assert near("xyz", [], "Look there.") == "Look there."
