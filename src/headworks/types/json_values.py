"""What JSON has, where it is passed on without looking inside."""

from __future__ import annotations

from typing import Any

Json = Any
"""Any value."""
JsonObject = dict[str, Any]
"""An object by its names."""
