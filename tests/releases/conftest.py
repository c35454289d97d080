"""Releases over a real database, for all tests of them."""

from __future__ import annotations

from release_world import guest, shared_superuser, shared_urls, world

__all__ = ["guest", "shared_superuser", "shared_urls", "world"]
