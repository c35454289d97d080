"""Releases over a real database, for all tests of them."""

from __future__ import annotations

from release_world import world

__all__ = ["world"]
