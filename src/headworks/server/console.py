"""The page at `/` and its files; it holds no data, everything it shows is asked of the API as the signed-in person."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Header, Response

from headworks.errors import NotFound
from headworks.server.health import OPEN

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_NOT_MODIFIED = 304

KnownTag = Annotated[str, Header(alias="if-none-match")]


@cache
def _pages() -> dict[str, tuple[bytes, dict[str, str]]]:
    """Content and headers of each file, by name; browsers ask each time whether what they have is still right."""
    pages = {}
    for file in (files("headworks.console") / "static").iterdir():
        content = file.read_bytes()
        pages[file.name] = (
            content,
            {
                "content-type": _TYPES[file.name[file.name.rindex(".") :]],
                "cache-control": "no-cache",
                "etag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
            },
        )
    return pages


def _serve(name: str, known: str) -> Response:
    if name not in _pages():
        raise NotFound(f"There is no console file `{name}`.")
    content, headers = _pages()[name]
    if headers["etag"] in known:
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    return Response(content, headers=headers)


router = APIRouter(tags=["console"])


@router.get("/", include_in_schema=False, openapi_extra=OPEN)
async def page(known: KnownTag = "") -> Response:
    """The page."""
    return _serve("index.html", known)


@router.get("/documents/{document}", include_in_schema=False, openapi_extra=OPEN)
async def document_page(document: str, known: KnownTag = "") -> Response:
    """The page, which opens the document that its address names."""
    del document
    return _serve("index.html", known)


@router.get("/console/{name}", include_in_schema=False, openapi_extra=OPEN)
async def file(name: str, known: KnownTag = "") -> Response:
    """One of the page's files."""
    return _serve(name, known)
