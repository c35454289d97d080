from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from headworks.errors import NotFound

TEXT = "# Pay\n\nSalaries are paid\nmonthly.\n"


@dataclass
class Library:
    """What a server answers of one collection with one document, and what it was asked."""

    ranking: str = "hybrid"
    notice: str = ""
    me: str = "admin"
    others: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def post(self, path: str, body: Any) -> Any:
        self.asked.append((path, body))
        row = {"document": "d1", "version": 1, "path": "pay.md", "title": "Pay"}
        if path.endswith("/documents/find"):
            return {"rows": [row] if "pay.md" in body["paths"] else []}
        if body["query"] == "fails":
            raise NotFound("Gone.")
        found = {**row, "section": ["Pay"], "start": 7, "end": 32, "score": 1.0}
        rows = [found] if "pay" in body["query"] else []
        return {"rows": rows, "ranking": self.ranking, "notice": self.notice}

    def get(self, path: str) -> Any:
        self.asked.append((path, None))
        headings = [{"level": 1, "text": "Pay", "start": 0, "end": 5}]
        return {"name": self.me} if path == "/api/me" else {
            "document": "d1", "version": 1, "text": TEXT, "headings": headings,
        }  # fmt: skip

    def with_key(self, key: str) -> Library:
        return Library(me=self.others[key])


@pytest.fixture
def library() -> Library:
    return Library()
