"""Signatures travel with callers who have no place for them, and come back as they were."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.formats.gemini.signatures import made_id, marked, signed_id, split_id, unmarked

SIGNATURES = st.binary(min_size=1, max_size=64).map(lambda data: base64.b64encode(data).decode())


@given(st.text(max_size=20), SIGNATURES)
def test_an_id_gives_back_the_call_and_its_signature(call_id: str, signature: str) -> None:
    assert split_id(signed_id(call_id, signature)) == (call_id, signature)


@given(st.from_regex(r"[A-Za-z0-9_-]{0,40}", fullmatch=True), SIGNATURES)
def test_a_signed_id_keeps_to_the_letters_that_all_formats_allow(call_id: str, signature: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", signed_id(call_id, signature))


def test_without_a_signature_an_id_stays_as_it_is() -> None:
    assert signed_id("call_1", None) == signed_id("call_1", "") == "call_1"
    assert signed_id("x" * 10_000, "QUJD") == "x" * 10_000


@pytest.mark.parametrize(
    "seen", ["", "call_1", "toolu_01A", "sig", "sig1_", "sig6_call_0", "sig6_call_0A", "sig1_a b", "sigma_1", "sig2_aé"]
)
def test_ids_of_others_are_left_alone(seen: str) -> None:
    assert split_id(seen) == (seen, None)


def test_made_ids_tell_answers_apart() -> None:
    assert made_id("abc-D_1", 0) == "call_abc-D_1_0"
    assert made_id("", 2) == made_id("not an id!", 2) == "call_2"
    assert len(made_id("mAitaLmkHPPlz7IPvtfUqQ4", 0)) <= 40


@given(st.text())
def test_a_marked_signature_is_geminis_whoever_brings_it(signature: str) -> None:
    assert unmarked(marked(signature), is_ours=False) == signature
    assert unmarked(marked(signature), is_ours=True) == signature


def test_an_unmarked_signature_is_geminis_only_from_gemini() -> None:
    assert unmarked("theirs", is_ours=False) is None
    assert unmarked("own", is_ours=True) == "own"
    assert unmarked(None, is_ours=True) is None
