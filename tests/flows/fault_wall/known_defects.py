"""What the wall has found and is not mended yet: by kind of fault, where it shows, and why it is wrong.

A case that is listed here must fail; mending it means taking the line out.
"""

from __future__ import annotations

from fault_cases import Case

EMPTY = "An answer without a choice or an embedding is given to the caller as a good one, and nobody else is asked."
COMPLETE = "A finish reason has arrived, so the answer is whole; how the connection ends after it makes no error of it."
KNOWN: dict[str, str] = {
    "invalid-utf8": "Bytes that are no UTF-8, so no JSON, are given to the caller as a good answer.",
    "nothing-in-200": EMPTY,
    "null-in-200": EMPTY,
    "terminal-only": EMPTY,
    "usage-missing-whole": "A whole answer that nobody counted is estimated at no output at all.",
    "usage-odd-whole": "A whole answer that nobody counted is estimated at no output at all.",
    "deep-json": "JSON that is nested too deep ends as our own fault (500 internal_error), and nobody else is asked.",
    "status-408": "A provider's own timeout (408) is taken for a mistake of the caller's: nobody else is asked.",
    "foreign-400": "A 400 that is not shaped as OpenAI's is the caller's mistake all the same, yet others are asked.",
    "many-comments-then-error": "64 comments count as output: the error after them can't be told by a status any more.",
    "reset-after-finish": COMPLETE,
    "cut-after-finish": COMPLETE,
    "stall-after-finish": COMPLETE,
}
_NOT_ALONE = frozenset(("status-408", "foreign-400"))
_NOT_IN_EMBEDDINGS = frozenset(("usage-missing-whole", "usage-odd-whole"))


def known(case: Case) -> str | None:
    """Why a case fails; None: it has to pass."""
    if case.kind in _NOT_ALONE and case.chain == "alone":
        return None
    if case.kind in _NOT_IN_EMBEDDINGS and case.surface.inbound == "embeddings":
        return None
    return KNOWN.get(case.kind)
