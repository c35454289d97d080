"""The other office formats, by kreuzberg: RTF, the binary ones of old, and Outlook messages.

Its plain text has no headings and its Markdown escapes characters that a quote must show as they are, so the text is
written here from the document's structure.
"""

from __future__ import annotations

from typing import Any

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.archives import refuse_encrypted_office
from headworks.retrieval.parsers.building import TextBuilder, one_line, title_from
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.grids import write_sheet, write_table
from headworks.retrieval.parsers.plain import with_numbered_headings

MEDIA_TYPES = {
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".msg": "application/vnd.ms-outlook",
    ".rtf": "application/rtf",
}
_SHEETS = frozenset([".xls"])


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser; the name's extension must be one of MEDIA_TYPES."""
    builder, title = written(name, data)
    return with_numbered_headings(builder.finish(name, MEDIA_TYPES[_extension(name)], title))


def written(name: str, data: bytes, *, below_head: str = "") -> tuple[TextBuilder, str]:
    """The document's text, and its title if it has one. `below_head` is a line below what a message says of itself."""
    import kreuzberg

    refuse_encrypted_office(data)
    extension = _extension(name)
    config = kreuzberg.ExtractionConfig(
        use_cache=False, enable_quality_processing=False, include_document_structure=True
    )
    try:
        result = kreuzberg.extract_bytes_sync(data, MEDIA_TYPES[extension], config)
    except Exception as error:  # noqa: BLE001 -- kreuzberg's errors have no common base, and all mean the same here
        kind = "encrypted" if "password" in str(error).lower() or "encrypt" in str(error).lower() else "corrupt"
        raise DocumentUnreadable(f"The document can't be read: {one_line(str(error))[:200]}", code=kind) from None
    builder = TextBuilder()
    structure: Any = result.document  # typed by kreuzberg more narrowly than it comes
    nodes = structure["nodes"] if structure else []
    if nodes:
        _Writer(builder, nodes, below_head).write(is_sheet=extension in _SHEETS)
    else:
        builder.block(result.content)
        builder.block(below_head)
    title = result.metadata.get("title") or result.metadata.get("subject") or ""
    if extension in _SHEETS:
        title = title or title_from(name)  # "Sheet1" tells nothing
    return builder, str(title)


def _extension(name: str) -> str:
    return "." + name.rpartition(".")[2].lower()


class _Writer:
    """Writes kreuzberg's nodes, which stand in reading order, as text."""

    def __init__(self, builder: TextBuilder, nodes: list[dict[str, Any]], below_head: str) -> None:
        self._builder = builder
        self._nodes = nodes
        self._below_head = below_head
        self._numbers: dict[int, int] = {}  # of each ordered list: of its last item
        self._last_list: int | None = None

    def write(self, *, is_sheet: bool) -> None:
        """Adds every node of the body."""
        for node in self._nodes:
            if node.get("content_layer", "body") in {"body", "footnote"}:
                content = node["content"]
                around = node.get("parent") if content["node_type"] == "list_item" else None
                self._add(content, around, is_sheet=is_sheet)
                self._last_list = around

    def _add(self, content: dict[str, Any], around: int | None, *, is_sheet: bool) -> None:
        kind, text = content["node_type"], content.get("text") or ""
        if kind in {"heading", "title"}:
            self._builder.heading(content.get("level") or 1, text)
        elif kind == "list_item":
            separator = "\n" if around is not None and around == self._last_list else "\n\n"
            self._builder.block(f"{self._bullet(around)} {text.strip()}", separator=separator)
        elif kind == "table":
            rows = _rows(content.get("grid") or {})
            (write_sheet if is_sheet else write_table)(self._builder, rows)
        elif kind == "metadata_block":
            for key, value in content.get("entries", []):
                self._builder.block(f"{key}: {one_line(value)}", separator="\n")
            self._builder.block(self._below_head, separator="\n")
        elif text:
            self._builder.block(text)

    def _bullet(self, around: int | None) -> str:
        if around is None or not self._nodes[around]["content"].get("ordered"):
            return "-"
        self._numbers[around] = self._numbers.get(around, 0) + 1
        return f"{self._numbers[around]}."


def _rows(grid: dict[str, Any]) -> list[list[str]]:
    rows = [[""] * int(grid.get("cols", 0)) for _ in range(int(grid.get("rows", 0)))]
    for cell in grid.get("cells", []):
        rows[cell["row"]][cell["col"]] = cell.get("content") or ""
    return rows
