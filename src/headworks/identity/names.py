"""Names of principals, groups, tenants, projects and roles: what is a good one, and which are near a wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from headworks.errors import InvalidRequest

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}", re.ASCII)
_RESERVED = frozenset({"curator"})


def check_name(name: str, noun: str, param: str = "name") -> str:
    """The same name, or InvalidRequest. Good: 1 to 100 of `a-z 0-9 . _ @ + -`, first a letter or digit.

    Lower case only, so that `Bob` and `bob` can't be two; no comma or space, so that lists of readers can be written.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{_shown(name)} is not a name for a {noun}.",
            next_step="Use 1 to 100 of a-z, 0-9 and . _ @ + -, starting with a letter or digit.",
            param=param,
        )
    if name in _RESERVED:
        raise InvalidRequest(
            f"The name `{name}` is taken by the server itself.", next_step="Choose another.", param=param
        )
    return name


def near(name: str, known: Iterable[str], otherwise: str) -> str:
    """A next step for an unknown name: the nearest known ones, else all when they are few, else `otherwise`."""
    names = sorted(set(known))
    found = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if found:
        return f"Did you mean {' or '.join(f'`{each}`' for each in found)}?"
    if 0 < len(names) <= 10:
        return f"There {'is' if len(names) == 1 else 'are'} {', '.join(f'`{each}`' for each in names)}."
    return otherwise


def _shown(name: str) -> str:
    """The name as a message may show it: printable, and not longer than a line."""
    return f"{name[:60]!r}{'…' if len(name) > 60 else ''}"
