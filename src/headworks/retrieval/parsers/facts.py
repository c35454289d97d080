"""What a file says of itself beside its text: front matter, a page's `meta` elements, a PDF's information."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

_MOST_FRONT = 64 << 10
"""Characters of front matter that are read; no more is written by hand."""
_MOST_FACTS = 200
_YAML = "tag:yaml.org,2002:"
_PDF_NAMES = {
    "Author": "author",
    "Subject": "subject",
    "Keywords": "keywords",
    "CreationDate": "created",
    "ModDate": "modified",
}
_PDF_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(?:(Z)|([+-]\d\d)'?(\d\d))?.*", re.DOTALL)


def front_matter(text: str) -> dict[str, Any]:
    """Texts, numbers, truth values and lists of them by their keys at the top level; what is no YAML says nothing."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > _MOST_FRONT:
        return {}
    try:
        root: Any = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except (YAMLError, ValueError, RecursionError):
        return {}
    return dict(_facts(root)) if getattr(root, "tag", "") == f"{_YAML}map" else {}


def _facts(root: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- a node of the library
    for key, value in root.value[:_MOST_FACTS]:
        if not isinstance(key.value, str):
            continue
        if value.tag == f"{_YAML}seq":
            yield key.value, [each for each in map(_scalar, value.value[:_MOST_FACTS]) if each is not None]
        elif (found := _scalar(value)) is not None:
            yield key.value, found


def _scalar(node: Any) -> Any:  # noqa: ANN401 -- a node of the library
    """A node's value as JSON has it; None for a mapping, a list, and nothing."""
    if not isinstance(node.value, str) or node.tag == f"{_YAML}null":
        return None
    try:
        if node.tag == f"{_YAML}int":
            return int(node.value)
        if node.tag == f"{_YAML}float":
            return float(node.value)
    except ValueError:  # hexadecimal, sexagesimal: as it was written
        return node.value
    return node.value.lower() == "true" if node.tag == f"{_YAML}bool" else node.value


def pdf_facts(information: Mapping[str, str]) -> dict[str, str]:
    """A PDF's information by usual names; dates as ISO 8601 writes them."""
    found: dict[str, str] = {}
    for name, ours in _PDF_NAMES.items():
        text = information.get(name, "").strip()
        if text:
            found[ours] = _iso(text) if name.endswith("Date") else text
    return found


def _iso(text: str) -> str:
    parts = _PDF_DATE.fullmatch(text)
    if parts is None:
        return text
    year, month, day, hour, minute, second, zulu, hours, minutes = parts.groups()
    if hour is None:
        return f"{year}-{month}-{day}"
    offset = "Z" if zulu or hours is None else f"{hours}:{minutes}"
    return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{offset}"


def page_fact(attributes: Mapping[str, str | None]) -> tuple[str, str] | None:
    """What a `meta` element of a page says, by its `name` or `property`; None where it says nothing of the page."""
    name = (attributes.get("name") or attributes.get("property") or "").strip()
    content = (attributes.get("content") or "").strip()
    return (name, content) if name and content and name.casefold() not in _FOR_BROWSERS else None


_FOR_BROWSERS = frozenset(
    (
        "viewport",
        "robots",
        "googlebot",
        "generator",
        "theme-color",
        "csrf-token",
        "csrf-param",
        "referrer",
        "format-detection",
    )
)
