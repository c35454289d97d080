"""`POST /api/search` with nothing but the standard library, so that a framework's own environment is enough."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_USUAL_URL = "http://127.0.0.1:8484"
_USUAL_TIMEOUT_S = 60.0


class SearchFailed(Exception):
    """The server refused a search or can't be reached. `status` is None where it can't; `code` is the error's own."""

    def __init__(self, message: str, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Found:
    """A passage: its text, its score (only the order means something), and what is known of it and its document.

    `metadata` are the document's own, and `document`, `version`, `path`, `title`, `section`, `chunk`, `start`, `end`.
    """

    id: str
    text: str
    score: float
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Searching:
    """One collection of one server, read with one key. `settings` are more fields of the request."""

    key: str = field(repr=False)
    collection: str
    url: str = _USUAL_URL
    timeout_s: float = _USUAL_TIMEOUT_S

    def search(self, query: str, k: int, more: Mapping[str, Any] | None = None) -> list[Found]:
        """The passages, best first. Raises SearchFailed."""
        asked = {**(more or {}), "collection": self.collection, "query": query, "k": k}
        request = urllib.request.Request(  # noqa: S310 -- the address is the caller's own
            f"{self.url.rstrip('/')}/api/search",
            json.dumps(asked).encode(),
            {"authorization": f"Bearer {self.key}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310 -- as above
                rows = json.load(answer)["rows"]
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error) from None
        except (OSError, ValueError) as error:
            raise SearchFailed(f"The server at {self.url} can't be reached: {error}.") from error
        return [_found(row) for row in rows]


def _found(row: dict[str, Any]) -> Found:
    place = {name: row[name] for name in ("document", "version", "path", "title", "section", "chunk", "start", "end")}
    return Found(f"{row['document']}:{row['chunk']}", row["text"], row["score"], {**row["metadata"], **place})


def _refused(error: urllib.error.HTTPError) -> SearchFailed:
    try:
        said = json.load(error)["error"]
        return SearchFailed(str(said["message"]), error.code, said.get("code"))
    except (ValueError, KeyError, TypeError):
        return SearchFailed(f"The server answered {error.code} and nothing that can be read.", error.code)
