"""What the wall has found and is not mended yet: by kind of fault, where it shows, and why it is wrong.

A case that is listed here must fail; mending it means taking the line out.
"""

from __future__ import annotations

from fault_cases import Case

KNOWN: dict[str, str] = {}


def known(case: Case) -> str | None:
    """Why a case fails; None: it has to pass."""
    return KNOWN.get(case.kind)
