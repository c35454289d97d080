"""What a proposal changes, file by file: in the workspace, and in what was live when it was written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from headworks.releases.proposals.store import Content, Entry
from headworks.releases.proposals.word_diff import Piece, word_diff

_END_OF_FRONT_MATTER = "\n---\n"


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file of a proposal: `added`, `changed` or `removed`, word by word."""

    path: str
    kind: str
    pieces: tuple[Piece, ...]


def workspace_diffs(content: Content) -> tuple[FileDiff, ...]:
    """The files that the proposal itself changes."""
    return tuple(_diff(path, content.bases.get(path), text) for path, text in content.files.items())


def release_diffs(
    entry: Entry, content: Content, base: Mapping[str, bytes], made: Mapping[str, bytes]
) -> tuple[FileDiff, ...]:
    """What else is otherwise in the entry's release or gate than in the one that was there.

    It is in no file of the proposal: what was applied before, and waits on `staging`.
    """
    found = []
    for path in sorted(base.keys() | made.keys()):
        before, after = _text(path, base.get(path)), _text(path, made.get(path))
        if before != after and not _is_told(f"features/{entry.feature}/{path}", before, after, content):
            found.append(_diff(f"{entry.feature}: {path}", before, after))
    return tuple(found)


def _text(path: str, content: bytes | None) -> str | None:
    if content is None:
        return None
    if path.endswith(".json"):  # canonical: one long line
        return orjson.dumps(orjson.loads(content), option=orjson.OPT_INDENT_2).decode()
    return content.decode(errors="replace")


def _is_told(path: str, before: str | None, after: str | None, content: Content) -> bool:
    """Whether a file of the proposal says the same. What a prompt's front matter comes to stands in its release."""
    if path not in content.files:
        return False
    said = (content.bases.get(path), content.files[path])
    return said == (before, after) or (
        path.endswith(".prompty") and [*map(_below, said)] == [_below(before), _below(after)]
    )


def _below(prompt: str | None) -> str | None:
    """A prompt without its front matter."""
    return None if prompt is None else prompt.partition(_END_OF_FRONT_MATTER)[2] or prompt


def _diff(path: str, before: str | None, after: str | None) -> FileDiff:
    kind = "added" if before is None else "removed" if after is None else "changed"
    return FileDiff(path, kind, word_diff(before or "", after or ""))
