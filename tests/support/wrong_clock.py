"""The clock of this machine, set wrong, while PostgreSQL's is right."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest

DAY_S = 86_400
A_DAY_OFF = pytest.mark.parametrize("off_s", [-DAY_S, DAY_S], ids=["a day behind", "a day ahead"])


class _Dates(type(datetime)):  # type: ignore[misc] # whatever it is
    def __instancecheck__(cls, found: object) -> bool:
        return isinstance(found, datetime)


def set_clock(monkeypatch: pytest.MonkeyPatch, off_s: int) -> None:
    """What this process takes for now is so many seconds after what it is, wherever our code asks."""
    seconds, nanoseconds = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: seconds() + off_s)
    monkeypatch.setattr(time, "time_ns", lambda: nanoseconds() + off_s * 10**9)

    class Skewed(datetime, metaclass=_Dates):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=off_s)

    for name, module in list(sys.modules.items()):
        if name.startswith("headworks.") and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Skewed)
