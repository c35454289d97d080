"""How well an answer stands on its documents, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import one_line, paint, width
from headworks.types.wording import counted

_FEW = 5


def grounding_line(found: Mapping[str, Any]) -> str:
    """The counts in one line; empty where nothing is claimed. `found` is what the answer, or its trace, says."""
    claims = found.get("claims") or 0
    if not claims:
        return ""
    said = [f"{found['cited']} of {counted(claims, 'claim')} cited", f"{found['supported']} supported"]
    said.append(f"support {found['support']:.2f}, weakest {found['weakest']:.2f}")
    numbers, names = found.get("wrong_numbers") or 0, found.get("wrong_names") or 0
    if numbers or names:
        said.append(f"not in their sources: {counted(numbers, 'number')}, {counted(names, 'name')}")
    return " · ".join(said)


def doubted(text: str, found: JsonObject, indent: str = "  ") -> str:
    """The first claims that are not cited or not supported by what they cite, and what their source lacks."""
    lines = []
    for doubt in found.get("doubts", [])[:_FEW]:
        why = "not cited" if not doubt["cited"] else "cited"
        if doubt["support"] < 0.5:  # as in the counts
            why += ", not supported by its source" if doubt["cited"] else " and not supported by what was read"
        if doubt.get("missing"):
            why += f"; not in its source: {', '.join(doubt['missing'])}"
        claim = one_line(text[doubt["start"] : doubt["end"]], max(20, width() - 8))
        lines.append(f"{indent}“{claim}”\n{indent}    {paint(one_line(why, width() - 8), 'dim')}")
    return "\n".join(lines)
