"""Files of judgements, and what is not taken from them."""

from __future__ import annotations

import json

import pytest

from headworks.errors import InvalidRequest
from headworks.review.files import read_judgements


def test_a_file_of_judgements_that_lacks_words_is_not_imported() -> None:
    line = json.dumps({"rater": "ann", "subject": "a", "metric": "m", "verdict": "pass"})
    assert len(read_judgements("some.jsonl", f'{line[:-1]}, "erased": true}}'.encode())) == 1
    with pytest.raises(InvalidRequest, match="some.jsonl:1: what was written of it was withheld"):
        read_judgements("some.jsonl", f'{line[:-1]}, "withheld": true}}'.encode())
