"""Folders and files into a collection: only what changed is sent, several at once; what was sent is never lost.

An interrupted run is simply run again: the server knows what it was handed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from headworks.cli.at_once import at_once
from headworks.cli.client import Client, place
from headworks.cli.folders import USUAL_LIMIT_BYTES, Piece, Skipped, documents_in
from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import Bars, one_line
from headworks.errors import Conflict, HeadworksError, NotFound, Unauthenticated, Unavailable
from headworks.retrieval.sources.vanishing import MOST_DELETIONS, are_too_many

UPLOAD = "upload"
_DETAIL_CHARACTERS = 40
_TAKEN_ELSEWHERE = "twice"
_NO_PATH = "path"
_POLL_S = (0.1, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Failed:
    """Why one file is not searchable."""

    path: str
    code: str
    message: str

    def as_json(self) -> dict[str, str]:
        """As scripts see it."""
        return {"path": self.path, "code": self.code, "message": self.message}


@dataclass(slots=True)
class Outcome:
    """What has become of all files; `sent` are those that were new or changed."""

    documents: int = 0
    chunks: int = 0
    sent: int = 0
    unchanged: int = 0
    is_waiting: bool = False
    paused: list[str] = field(default_factory=list)
    """Lanes that nothing goes on in: nobody waits for what is in them."""
    failed: list[Failed] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def as_json(self) -> JsonObject:
        """As scripts see it."""
        return {
            "documents": self.documents,
            "chunks": self.chunks,
            "failed": [each.as_json() for each in self.failed],
            "is_waiting": self.is_waiting or bool(self.paused),
            "paused": list(dict.fromkeys(self.paused)),
        }

    def take(self, progress: JsonObject) -> None:
        """Add what the server says of one sync."""
        self.documents += progress["documents"]
        self.chunks += progress["chunks"]
        self.failed += [Failed(each["path"], each["code"], each["message"]) for each in progress["failed"]]
        if progress.get("notice"):
            self.notices.append(progress["notice"])


@dataclass(frozen=True, slots=True)
class Ingest:
    """One run of `ingest`: into which collection, with what said of the files, and whether it waits for them."""

    client: Client
    collection: str
    readers: tuple[str, ...] | None
    waits: bool
    bars: Bars
    max_bytes: int = USUAL_LIMIT_BYTES
    denied: tuple[str, ...] | None = None
    metadata: JsonObject | None = None
    allows_deletions: bool = False

    def run(self, paths: Sequence[Path]) -> Outcome:
        """All of it. Raises NotFound for a path that is not there, before anything is sent."""
        for path in paths:
            if not path.exists():
                raise NotFound(f"{path}: there is no such file or folder.")
        outcome = Outcome()
        for folder in (path for path in paths if path.is_dir()):
            self._sync_folder(folder, outcome)
        files = [Piece(path, _path_of(path)) for path in paths if not path.is_dir()]
        if files:
            sync = self._begin(UPLOAD)
            self._send(files, sync, outcome)
            outcome.take(self._wait(sync["id"], outcome))
        return outcome

    def _sync_folder(self, folder: Path, outcome: Outcome) -> None:
        """Hand in what changed; what is no longer there vanishes from the collection."""
        pieces, skipped = documents_in(folder, self.max_bytes)
        sync = self._begin(f"folder:{folder.resolve()}")
        seen = {piece.path for piece in pieces} | set(_kept(sync["known"], skipped))
        if not self.allows_deletions:
            _refuse_emptied(folder, sync["known"], seen)
        self._send(pieces, sync, outcome)
        seen -= {each.path for each in outcome.failed if each.code == _NO_PATH}
        self.client.post(place("collections", self.collection, "syncs", sync["id"], "finish"), {"seen": sorted(seen)})
        outcome.failed += [Failed(each.path, each.code, each.why) for each in skipped if each.code != _TAKEN_ELSEWHERE]
        outcome.take(self._wait(sync["id"], outcome))

    def _begin(self, source: str) -> JsonObject:
        begun: JsonObject = self.client.post(place("collections", self.collection, "syncs"), {"source": source})
        return begun

    def _send(self, pieces: list[Piece], sync: JsonObject, outcome: Outcome) -> None:
        bar = self.bars.start("sending")
        with at_once(lambda piece: self._hand_in(piece, sync), pieces) as sent:
            for done, (piece, future) in enumerate(sent, 1):
                bar.update(done, len(pieces), one_line(piece.path, _DETAIL_CHARACTERS))
                self._note(piece, future, outcome)

    def _note(self, piece: Piece, future: Future[bool], outcome: Outcome) -> None:
        """Count a file; what is wrong with one file is noted, what is wrong with all of them ends the run."""
        try:
            if future.result():
                outcome.sent += 1
            else:
                outcome.unchanged += 1
        except OSError as error:
            outcome.failed.append(Failed(piece.path, "unreadable", f"It can't be read: {error.strerror}."))
        except (Unauthenticated, Unavailable, NotFound):
            raise
        except HeadworksError as error:
            if error.status >= 500 or error.status == 403:
                raise
            outcome.failed.append(Failed(piece.path, error.code, str(error)))

    def _hand_in(self, piece: Piece, sync: JsonObject) -> bool:
        """Send one file unless the server has it; whether it was sent."""
        with piece.file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            if not self._says_more() and sync["known"].get(piece.path) == digest:
                return False
            size = content.tell()
            content.seek(0)
            said = None if self.metadata is None else json.dumps(self.metadata, ensure_ascii=False)
            query = {"path": piece.path, "sync": sync["id"], "metadata": said}
            query |= {"readers": _joined(self.readers), "deny": _joined(self.denied)}
            self.client.upload(place("collections", self.collection, "documents"), query, content, size)
        return True

    def _says_more(self) -> bool:
        """Whether something is said of the files that is not in them: then also unchanged ones are sent."""
        return any(each is not None for each in (self.readers, self.denied, self.metadata))

    def _wait(self, sync: str, outcome: Outcome) -> JsonObject:
        """The server's count once all is worked on, or now if nobody wants to wait."""
        bar = self.bars.start("reading")
        for pause_s in _pauses():
            progress: JsonObject = self.client.get(place("collections", self.collection, "syncs", sync))
            bar.update(progress["done"], progress["total"])
            if progress["done"] >= progress["total"]:
                break
            if progress.get("is_paused"):
                outcome.paused.append(self.collection)
                break
            if not self.waits:
                outcome.is_waiting = True
                break
            time.sleep(pause_s)
        return progress


def _refuse_emptied(folder: Path, known: Collection[str], seen: Collection[str]) -> None:
    """Raises Conflict where more is gone than is likely to be meant: a share that is not mounted is an empty folder."""
    gone = len(set(known).difference(seen))
    if are_too_many(gone, len(seen), MOST_DELETIONS):
        raise Conflict(
            f"{folder}: {gone:,} of {gone + len(seen):,} documents from here are gone; nothing was changed.",
            next_step="Look whether the folder is whole, e.g. mounted. If they are to vanish, add --allow-deletions.",
            code="too_many_gone",
        )


def _kept(known: Iterable[str], skipped: Sequence[Skipped]) -> Iterator[str]:
    """What the server has of files and folders that could not be looked at: that they are gone is not known."""
    for path in known:
        if any(path == each.path or path.startswith(f"{each.path}/") for each in skipped):
            yield path


def _pauses() -> Iterator[float]:
    yield from _POLL_S
    while True:
        yield _POLL_S[-1]


def _path_of(file: Path) -> str:
    """A single file's path in the collection: as it was given where that is a plain relative one, else its name."""
    is_plain = not file.is_absolute() and ".." not in file.parts
    return file.as_posix() if is_plain else file.name


def _joined(readers: tuple[str, ...] | None) -> str | None:
    return None if readers is None else ",".join(readers)
