"""Typed ids. All are UUIDs of version 7 (sortable by time), made here and nowhere else."""

from __future__ import annotations

import random
import time
from typing import NewType
from uuid import UUID, SafeUUID

TenantId = NewType("TenantId", UUID)
ProjectId = NewType("ProjectId", UUID)
PrincipalId = NewType("PrincipalId", UUID)
KeyId = NewType("KeyId", UUID)
CollectionId = NewType("CollectionId", UUID)
DocumentId = NewType("DocumentId", UUID)
TraceId = NewType("TraceId", UUID)
RequestId = NewType("RequestId", UUID)
SpanId = NewType("SpanId", UUID)
Digest = NewType("Digest", str)
"""`sha256:` and 64 hexadecimal digits."""


_RANDOM = ~(0xF << 76 | 0x3 << 62)
_VERSION_7 = 0x7 << 76 | 0x2 << 62


def new_id() -> UUID:
    """A fresh UUID version 7: 48 bits of milliseconds, then random. An id is no secret: to guess one gives nothing."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80 | random.getrandbits(80)) & _RANDOM | _VERSION_7
    # As UUID(int=value), without the checks that cost more than all of the above: every request has an id.
    made = object.__new__(UUID)
    object.__setattr__(made, "int", value)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made
