"""Receipts of what was removed for good, for people."""

from __future__ import annotations

from collections.abc import Sequence

from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import Columns, moment, table, tell_rows


def tell_receipts(rows: Sequence[JsonObject], *, as_json: bool, none: str) -> None:
    """A line for each."""
    columns: Columns = {
        "at": lambda row: moment(row["at"]),
        "kind": "kind",
        "of": "subject",
        "documents": lambda row: len(row["detail"]["documents"]),
        "rows": _counts,
        "receipt": "receipt",
    }
    tell_rows(rows, columns, as_json=as_json, none=none)


def print_receipt(row: JsonObject) -> None:
    """All of one."""
    print(f"receipt  {row['receipt']}\nat       {row['at']}\nof       {row['subject']}\nwhy      {row['policy']}")
    print(f"asked by {row['asked_by']}\n")
    print(table(("table", "rows"), sorted(row["detail"]["rows"].items())))
    if documents := row["detail"]["documents"]:
        print()
        cells = [(each["document"], each["version"], each["content_sha256"]) for each in documents]
        print(table(("document", "version", "sha256 of its file"), cells))
    if left := row["detail"].get("documents_left"):
        print(f"\n{left} documents that the person had handed in were left: --with-documents takes them, too.")


def _counts(row: JsonObject) -> int:
    return sum(row["detail"]["rows"].values())
