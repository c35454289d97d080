"""The page at `/` and its files; it holds no data, everything it shows is asked of the API as the signed-in person."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

from headworks.errors import NotFound
from headworks.server.health import OPEN

_TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "index.html": "text/html; charset=utf-8",
}


@cache
def _content(name: str) -> bytes:
    return (files("headworks.console") / "static" / name).read_bytes()


def _serve(name: str) -> Response:
    if name not in _TYPES:
        raise NotFound(f"There is no console file `{name}`.")
    return Response(_content(name), headers={"content-type": _TYPES[name], "cache-control": "no-cache"})


router = APIRouter(tags=["console"])


@router.get("/", include_in_schema=False, openapi_extra=OPEN)
async def page() -> Response:
    """The page."""
    return _serve("index.html")


@router.get("/documents/{document}", include_in_schema=False, openapi_extra=OPEN)
async def document_page(document: str) -> Response:
    """The page, which opens the document that its address names."""
    del document
    return _serve("index.html")


@router.get("/console/{name}", include_in_schema=False, openapi_extra=OPEN)
async def file(name: str) -> Response:
    """One of the page's files."""
    return _serve(name)
