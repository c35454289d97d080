"""What somebody means by `WHAT`: a proposal, or a release."""

from __future__ import annotations

import pytest

from headworks.cli.releases.arguments import proposal_number


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("7", "7"),
        ("#7", "7"),
        ("12345", "12345"),
        ("#123456", "123456"),
        ("123456", None),  # six digits name a release, also where none of them is a letter
        ("sha256:123456", None),
        ("claims@123456", None),
        ("1a2b3c", None),
        ("²", None),
        ("#", None),
        ("", None),
    ],
)
def test_a_number_is_a_proposal_and_six_digits_are_a_release(what: str, number: str | None) -> None:
    assert proposal_number(what) == number
