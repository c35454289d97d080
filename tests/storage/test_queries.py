from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.storage.queries import Queries, load, parse

SQL = """
-- Keys.

-- name: find_key
SELECT secret_hash
  FROM api_key -- the live ones
 WHERE tenant_id = %(tenant)s;

-- name: revoke_key
UPDATE api_key SET revoked_at = now()
"""


def test_statements_are_found_by_their_names_without_their_last_semicolon() -> None:
    found = Queries("here", parse(SQL, "here"))
    assert found.revoke_key == "UPDATE api_key SET revoked_at = now()"
    assert found["find_key"] == found.find_key
    assert found.find_key.endswith("WHERE tenant_id = %(tenant)s")
    assert (list(found), len(found)) == (["find_key", "revoke_key"], 2)


def test_an_unknown_name_says_what_there_is() -> None:
    found = Queries("identity/queries.sql", parse(SQL, "here"))
    with pytest.raises(
        AttributeError, match=r"identity/queries.sql has no statement named `find_keys`; there is: find_key"
    ):
        _ = found.find_keys
    with pytest.raises(KeyError, match="there is: find_key, revoke_key"):
        _ = found["zzz"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1", "no `-- name:` above it"),
        ("-- name: a\nSELECT 1\n-- name: a\nSELECT 2", "two statements are named `a`"),
        ("-- name: a\n-- nothing but words\n", "`a` is empty"),
        ("-- name: Not-A-Name\nSELECT 1", "`Not-A-Name` is no name"),
    ],
)
def test_a_file_that_could_be_misread_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"here: .*{message}"):
        parse(text, "here")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True),
        st.from_regex(r"SELECT [0-9a-z ,\n]{1,30}x", fullmatch=True),
    )
)
def test_what_is_written_under_a_name_is_what_is_read(statements: dict[str, str]) -> None:
    text = "\n\n".join(f"-- name: {name}\n{statement};" for name, statement in statements.items())
    assert parse(text, "here") == statements


def test_files_are_read_from_their_package_once() -> None:
    assert load("headworks.storage") is load("headworks.storage")
    with pytest.raises(FileNotFoundError):
        load("headworks.storage", "missing.sql")
