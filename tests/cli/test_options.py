from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.cli.local import write_address
from headworks.cli.options import find_client, split, with_client
from headworks.errors import InvalidRequest, Unauthenticated

NAMES = st.lists(st.text(alphabet="abc-_.", min_size=1))


@given(NAMES)
def test_names_by_commas_and_names_by_options_are_the_same(names: list[str]) -> None:
    assert split(names) == names
    assert split([",".join(names)]) == names
    assert split([f" {name} , " for name in names]) == names


def test_an_option_that_was_not_given_is_none_and_an_empty_one_is_empty() -> None:
    assert split(None) is None
    assert split([""]) == []


def test_the_address_is_the_one_given_else_that_of_the_server_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_client("localhost:99/", "k").url == "http://localhost:99"
    assert find_client(None, "k").url == "http://127.0.0.1:8484"
    (tmp_path / ".headworks").mkdir()
    write_address(tmp_path / ".headworks", "http://127.0.0.1:7")
    assert find_client("", "k").url == "http://127.0.0.1:7"


def test_without_a_key_nothing_is_asked() -> None:
    with pytest.raises(Unauthenticated, match="--key or set HEADWORKS_API_KEY"):
        find_client("http://127.0.0.1:1", " ")


def test_a_command_has_options_in_place_of_its_client() -> None:
    def command(client: object, name: str, *, count: int = 3) -> tuple[str, str, int]:
        """Counts."""
        return getattr(client, "url", ""), name, count

    made = with_client(command)
    assert made.__doc__ == "Counts."
    assert made(url="http://h:1", key="k", name="x") == ("http://h:1", "x", 3)
    with pytest.raises(InvalidRequest):
        made(url="gopher://h", key="k", name="x")
