"""Streams of Converse as Bedrock sends them: frames with padding, from plain events."""

from __future__ import annotations

import base64
import json
from typing import Any

from headworks.formats.event_stream import encode

Said = tuple[str, dict[str, Any]]


def frame(kind: str, payload: dict[str, Any] | bytes) -> bytes:
    """One event; padded as Bedrock pads, so that lengths tell nothing."""
    data = payload if isinstance(payload, bytes) else json.dumps({**payload, "p": "abcdefgh"}).encode()
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, data)


def exception(kind: str, payload: dict[str, Any]) -> bytes:
    """An error in the place of an event."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, json.dumps(payload).encode())


def stream(*said: Said) -> bytes:
    return b"".join(frame(kind, payload) for kind, payload in said)


def delta(index: int, **inside: Any) -> Said:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": inside}


def start(index: int, **inside: Any) -> Said:
    return "contentBlockStart", {"contentBlockIndex": index, "start": inside}


def stop(index: int) -> Said:
    return "contentBlockStop", {"contentBlockIndex": index}


BEGIN: Said = ("messageStart", {"role": "assistant"})
USAGE: Said = (
    "metadata",
    {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}, "metrics": {"latencyMs": 20}},
)


def ended(reason: str = "end_turn", **more: Any) -> Said:
    return "messageStop", {"stopReason": reason, **more}


# The last events of an answer of Nova that ran its own code interpreter, as recorded.
RECORDED = base64.b64decode(
    "AAABFwAAAFeJsYMJCzpldmVudC10eXBlBwARY29udGVudEJsb2NrU3RhcnQNOmNvbnRlbnQtdHlwZQcAEGFwcGxpY2F0aW9uL2pzb24NOm1l"
    "c3NhZ2UtdHlwZQcABWV2ZW50eyJjb250ZW50QmxvY2tJbmRleCI6MiwicCI6ImFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJ"
    "SktMTSIsInN0YXJ0Ijp7InRvb2xVc2UiOnsibmFtZSI6ImZpbmFsX3Jlc3VsdCIsInRvb2xVc2VJZCI6InRvb2x1c2VfN2h6V29lWkVTOHlr"
    "QnkyWllBeVVlQSIsInR5cGUiOiJ0b29sX3VzZSJ9fX2x+KnXAAAAygAAAFcziOtECzpldmVudC10eXBlBwARY29udGVudEJsb2NrRGVsdGEN"
    "OmNvbnRlbnQtdHlwZQcAEGFwcGxpY2F0aW9uL2pzb24NOm1lc3NhZ2UtdHlwZQcABWV2ZW50eyJjb250ZW50QmxvY2tJbmRleCI6MiwiZGVs"
    "dGEiOnsidG9vbFVzZSI6eyJpbnB1dCI6IntcInJlc3VsdFwiOjcwMDY2NTIuMH0ifX0sInAiOiJhYmNkZWZnaGlqa2xtbiJ9sQAJRQAAAK0A"
    "AABWb51wjws6ZXZlbnQtdHlwZQcAEGNvbnRlbnRCbG9ja1N0b3ANOmNvbnRlbnQtdHlwZQcAEGFwcGxpY2F0aW9uL2pzb24NOm1lc3NhZ2Ut"
    "dHlwZQcABWV2ZW50eyJjb250ZW50QmxvY2tJbmRleCI6MiwicCI6ImFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktMTU5P"
    "In0RjDG9AAAArwAAAFGLObZMCzpldmVudC10eXBlBwALbWVzc2FnZVN0b3ANOmNvbnRlbnQtdHlwZQcAEGFwcGxpY2F0aW9uL2pzb24NOm1l"
    "c3NhZ2UtdHlwZQcABWV2ZW50eyJwIjoiYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXpBQkNERUZHSElKS0xNTk9QUVJTVCIsInN0b3BSZWFz"
    "b24iOiJ0b29sX3VzZSJ9MPZXVwAAAPoAAABO9sL7Ags6ZXZlbnQtdHlwZQcACG1ldGFkYXRhDTpjb250ZW50LXR5cGUHABBhcHBsaWNhdGlv"
    "bi9qc29uDTptZXNzYWdlLXR5cGUHAAVldmVudHsibWV0cmljcyI6eyJsYXRlbmN5TXMiOjE1OTB9LCJwIjoiYWJjZGVmZ2hpamtsbW5vcHFy"
    "c3R1dnd4eXpBQkNERUYiLCJ1c2FnZSI6eyJpbnB1dFRva2VucyI6MTAwMiwib3V0cHV0VG9rZW5zIjo1OSwic2VydmVyVG9vbFVzYWdlIjp7"
    "fSwidG90YWxUb2tlbnMiOjEwNjF9fSfwxwE="
)
