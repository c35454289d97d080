from __future__ import annotations

from running_server import server

__all__ = ["server"]
