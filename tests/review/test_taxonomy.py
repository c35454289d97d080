"""The failure modes of a feature, read strictly."""

from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.review.taxonomy import read_taxonomy

GOOD = """# How it fails.
failure_modes:
  - id: record_extraction
    definition: A fact is read wrongly.
    severity: 2
  - id: wrong_value
    parent: record_extraction
    definition: A number is read wrongly.
    examples: ["2.7 is taken as 27."]
"""


def test_modes_have_parents_severity_and_examples() -> None:
    modes = read_taxonomy("taxonomy.yaml", GOOD.encode()).modes
    assert list(modes) == ["record_extraction", "wrong_value"]
    assert modes["wrong_value"].parent == "record_extraction"
    assert modes["wrong_value"].examples == ("2.7 is taken as 27.",)
    assert (modes["record_extraction"].severity, modes["wrong_value"].severity) == (2, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("failure_modes:\n  - {id: a, definition: A., sevrity: 1}", r"t\.yaml:2: unknown key.*`severity`"),
        ("failure_modes:\n  - {id: a, definition: A., severity: 9}", "between 1 and 3"),
        ("failure_modes:\n  - {id: a, definition: A.}\n  - {id: a, definition: B.}", r"t\.yaml:3: .*stands twice"),
        ("failure_modes:\n  - {id: a, definition: A., parent: b}", "there is no failure mode `b`"),
        (
            "failure_modes:\n  - {id: a, definition: A., parent: b}\n  - {id: b, definition: B., parent: a}",
            "its own ancestor",
        ),
        ("failure_modes:\n  - {id: a}", "`definition` is missing|definition"),
        ("failure_modes: [a]", "is no mapping"),
        ("modes: []", "unknown key `modes`"),
    ],
    ids=["a slip", "a severity", "twice", "no parent", "a ring", "no definition", "a word", "another key"],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(WorkspaceInvalid, match=message):
        read_taxonomy("t.yaml", text.encode())
