from __future__ import annotations

import hmac
import zlib
from uuid import UUID

import pytest

from headworks.identity import tokens
from headworks.identity.tokens import Token, TokenKind, mint, parse, parse_public_part, public_part
from headworks.types.ids import new_id

PEPPER = b"p" * 32
KINDS: tuple[TokenKind, ...] = ("hw", "hwclaim", "hwsession")


@pytest.mark.parametrize("kind", KINDS)
def test_a_minted_token_is_read_back(kind: TokenKind) -> None:
    token = mint(kind, new_id())
    assert parse(kind, token.text()) == token


def test_a_key_has_the_shape_that_secret_scanners_look_for() -> None:
    text = mint("hw", new_id()).text()
    prefix, id_, rest = text.split("_")
    assert prefix == "hw"
    assert (len(id_), len(rest), len(text)) == (22, 49, 75)
    assert text.replace("_", "").isalnum()


def test_ids_and_secrets_of_all_zeros_and_all_ones_are_read_back() -> None:
    for number, byte in ((0, b"\x00"), ((1 << 128) - 1, b"\xff")):
        token = Token("hw", UUID(int=number), byte * 32)
        assert parse("hw", token.text()) == token


def test_no_two_tokens_have_the_same_secret() -> None:
    key = new_id()
    assert len({mint("hw", key).secret for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hw_",
        "sk-proj-abcdefghijklmnop",
        "hw_" + "0" * 22 + "_" + "0" * 48,
        "hw_" + "0" * 22 + "_" + "0" * 50,
        "hw_" + "é" * 22 + "_" + "0" * 49,
        "hw_" + "0" * 22 + "_" + "0" * 49 + "\n",
        "x" * 10_000_000,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_token_is_none(text: str) -> None:
    assert parse("hw", text) is None


def test_a_token_of_another_kind_is_none() -> None:
    for kind in KINDS:
        text = mint(kind, new_id()).text()
        assert [parse(other, text) is not None for other in KINDS] == [other == kind for other in KINDS]


def test_an_id_beyond_128_bits_is_none_even_with_a_right_check() -> None:
    body = "hw_" + "z" * 22 + "_" + "0" * 43
    forged = body + tokens._encode(zlib.crc32(body.encode()), 6)
    assert parse("hw", forged) is None


def test_the_hash_is_keyed_and_differs_by_kind() -> None:
    key, session = Token("hw", new_id(), b"s" * 32), Token("hwsession", new_id(), b"s" * 32)
    assert key.hashed(PEPPER) == hmac.digest(PEPPER, b"hw:" + b"s" * 32, "sha256")
    assert key.hashed(PEPPER) != session.hashed(PEPPER)
    assert key.hashed(PEPPER) != key.hashed(b"q" * 32)


def test_a_token_shown_in_a_traceback_hides_its_secret() -> None:
    token = Token("hw", new_id(), b"very secret bytes of the token!!")
    assert "very secret" not in repr(token)


def test_the_public_part_is_the_beginning_of_the_token_and_names_its_id() -> None:
    token = mint("hw", new_id())
    assert token.text().startswith(public_part(token.id) + "_")
    assert parse_public_part(public_part(token.id)) == token.id


@pytest.mark.parametrize("text", ["", "hw_", "hw_" + "!" * 22, "hw_" + "z" * 22, "xx_" + "0" * 22, "hw" + "0" * 22])
def test_what_is_no_public_part_is_none(text: str) -> None:
    assert parse_public_part(text) is None
