"""What JSON has, as the commands pass it on without looking inside."""

from __future__ import annotations

from typing import Any

Json = Any
"""Whatever a route answers."""
JsonObject = dict[str, Any]
"""An answer's object, and a row of a list."""
