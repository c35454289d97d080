"""What guardrails find and answer: the words that other domains use."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

EMAIL = "email"
PHONE = "phone"
IBAN = "iban"
CARD = "card"
SECRET = "secret"  # noqa: S105 -- the name of a kind
NATIONAL_ID = "national_id"
IP = "ip"

KINDS = frozenset({EMAIL, PHONE, IBAN, CARD, SECRET, NATIONAL_ID, IP})
"""Every kind that can be asked for; a placeholder is the kind in capitals with a number, as in `[EMAIL_1]`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A place that holds personal data or a secret; never the text itself.

    `start` and `end` are characters of the text that was searched, `rule` is the recogniser, `score` (0 to 1) says how
    sure it is and decides between findings that overlap.
    """

    rule: str
    kind: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A text after its check: redacted where the action says so. `findings` refer to the text as it came in."""

    text: str
    findings: tuple[Finding, ...]
    is_blocked: bool = False

    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind; safe to record anywhere."""
        return dict(Counter(finding.kind for finding in self.findings))


@dataclass(frozen=True, slots=True)
class CheckedValue:
    """A JSON value after its check, as Checked; `findings` refer to the text in which each was found."""

    value: object
    findings: tuple[Finding, ...]
    is_blocked: bool = False

    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind; safe to record anywhere."""
        return dict(Counter(finding.kind for finding in self.findings))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place like `$.items[0].price`; the words go after the place: `must be a number, not text`.

    Names that only the value holds, and not the schema, are written `*`.
    """

    path: str
    words: str

    def __str__(self) -> str:
        return f"{self.path} {self.words}"


@dataclass(frozen=True, slots=True)
class CheckedJson:
    """An answer after its check: `text` without wrappers, and the `value` that it stands for."""

    text: str
    value: Any
    was_repaired: bool
    errors: tuple[Fault, ...]

    @property
    def is_good(self) -> bool:
        """Whether the text may go on."""
        return not self.errors
