from __future__ import annotations

from typing import Any

import pytest


def test_a_trace_is_shown_as_a_waterfall_and_listed(cli: Any) -> None:
    trace = cli.json("ask", "assistant", "Within how many days?")["trace"]
    found = cli.json("trace", "show", trace)
    assert found["trace"] == trace
    said = cli("trace", "show", trace).stdout
    assert "answered by builtin/extractive: status 200" in said
    assert next(line.split()[0] for line in said.splitlines() if "█" in line) == found["spans"][0]["name"]
    rows = cli.json("trace", "list")
    assert trace in {row["trace_id"] for row in rows}
    assert rows == sorted(rows, key=lambda row: row["arrived_at"], reverse=True)
    assert trace in cli("trace", "list", "-n", "5").stdout


def test_a_trace_that_is_not_there_is_said(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headworks.cli.tracing.ARRIVES_WITHIN_S", 0.0)
    done = cli("trace", "show", "0199f3a1-7c22-7e3b-9f5d-2b1c6f0a9d10", check=False)
    assert done.returncode == 1
    assert "There is no trace" in done.stderr
    done = cli("trace", "show", "nonsense", check=False)
    assert done.returncode == 1
