"""One server with an account at each simulated vendor, for all who ask for it."""

from __future__ import annotations

from client_stage import stage

__all__ = ["stage"]
