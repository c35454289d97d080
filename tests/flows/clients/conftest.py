"""One server with an account at each simulated vendor, for all clients."""

from __future__ import annotations

from client_stage import stage

__all__ = ["stage"]
