"""What the readers of e-mail messages give: a text that is begun, and the files that came with it, unread."""

from __future__ import annotations

from dataclasses import dataclass

from headworks.retrieval.parsers.building import TextBuilder, one_line

DEEPEST = 2
"""A message in a message is read, and what is attached to that; what lies deeper is named."""
_MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that came with a message; or a message in it that has no file of its own: then it has no bytes."""

    name: str
    data: bytes
    letter: Letter | None = None
    is_picture_of_body: bool = False
    """It is shown within the text, as logos are: nobody misses its words."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message whose header lines and text are written, and what is attached to it."""

    builder: TextBuilder
    title: str
    media_type: str
    attached: tuple[Attached, ...]


def names_of(attached: tuple[Attached, ...]) -> str:
    """A line that names attachments; empty without any."""
    names = [one_line(each.name) for each in attached]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"Attachments: {', '.join(names[:_MOST_NAMED])}{more}" if names else ""
