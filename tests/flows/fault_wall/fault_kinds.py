"""All kinds of fault, by name. Standard library only: the provider's process reads them, too."""

from __future__ import annotations

import kinds_of_bodies
import kinds_of_frames
import kinds_of_heads
import kinds_of_streams
from kind_table import KINDS, Expected, Kind

__all__ = ["KINDS", "SOURCES", "Expected", "Kind"]

SOURCES = (kinds_of_heads, kinds_of_bodies, kinds_of_streams, kinds_of_frames)
"""Importing them fills the table."""
