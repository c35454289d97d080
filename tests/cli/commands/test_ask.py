from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_an_answer_has_citations_that_stand_in_the_documents(
    cli: Any, folder: Path, word: Callable[[int], str]
) -> None:
    cli("ingest", "docs", str(folder))
    question = f"Within how many days is the {word(1)} paid?"
    answer = cli.json("ask", "assistant", question)
    assert sorted(answer) == ["answer", "citations", "grounding", "release", "trace"]
    assert "12 days" in answer["answer"]
    cited = answer["citations"][0]
    assert sorted(cited) == sorted(["document", "title", "start", "end", "quote"])
    assert cited["quote"] in answer["answer"]
    stored = cli.server.must("GET", f"/api/documents/{cited['document']}")
    assert stored["text"][cited["start"] : cited["end"]] == cited["quote"]
    assert answer["release"].startswith("sha256:")

    done = cli("ask", "assistant", question)
    assert "12 days" in done.stdout
    assert "[1] One" in done.stdout
    assert "headworks trace show " in done.stderr


def test_an_unknown_feature_lists_near_names(cli: Any) -> None:
    done = cli("ask", "asistant", "?", check=False)
    assert done.returncode == 1
    assert "There is no model or feature `asistant`. Near names: assistant." in done.stderr
    assert done.stdout == ""


def test_a_key_without_the_permission_gets_no_answer(cli: Any) -> None:
    key = cli.json("key", "create", "--permissions", "trace:own")["token"]
    done = cli("ask", "assistant", "?", key=key, check=False)
    assert done.returncode == 1
    assert "`feature:call`" in done.stderr
