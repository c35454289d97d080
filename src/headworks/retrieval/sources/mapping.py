"""From the readers of a source to ours: pure functions. Whoever can't be mapped is nobody, and a denial goes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from headworks.retrieval.sources.contract import ANYONE, GROUP, Access, Groups
from headworks.types.ids import PrincipalId


@dataclass(frozen=True, slots=True)
class Listed:
    """Ours who may read a document, and ours whom it is closed to, whatever list admits them. Both sorted."""

    readers: tuple[PrincipalId, ...] = ()
    denied: tuple[PrincipalId, ...] = ()


NOBODY: Final = Listed()


@dataclass(frozen=True, slots=True)
class Ours:
    """Ids of a source to principals of ours, and those of them that are one person or account, not a group."""

    by_theirs: Mapping[str, PrincipalId]
    people: AbstractSet[PrincipalId]


def listed_of(access: Access | None, groups: Groups, who: Ours) -> Listed:
    """Our readers of a document, and deny entries; without readers nobody may read it.

    An id of the source in `ours` admits the principal that stands there; a group that is not is as good as its members,
    through groups in groups. As soon as anybody is denied, groups are always taken apart, since somebody could not be
    taken out of a group of ours: then only users are admitted, and `anyone` and groups without known members nobody.
    Whoever of ours is denied gets a deny entry, too: he may be in a group of ours that a user there stands for. Of
    somebody who is denied and is nobody here that can't be known: then no group of ours is admitted in any way.
    """
    ours = who.by_theirs
    if access is None:
        return NOBODY
    if not access.denied:
        return Listed(tuple(sorted({ours[each] for each in _nearest(access.readers, groups, ours)})))
    denied = _everybody(access.denied, groups)
    closed = {ours[each] for each in denied if each in ours}
    if any(each == ANYONE or (each.startswith(GROUP) and each not in groups.members) for each in denied):
        return Listed((), tuple(sorted(closed)))  # whom this denies can't be told
    users = {each for each in _everybody(access.readers, groups) - denied if _is_user(each, groups)}
    admitted = {ours[each] for each in users if each in ours} - closed
    if any(each not in ours and _is_user(each, groups) for each in denied):
        admitted &= who.people
    return Listed(tuple(sorted(admitted)), tuple(sorted(closed)))


def _nearest(ids: Iterable[str], groups: Groups, ours: Mapping[str, PrincipalId]) -> set[str]:
    """The ids that are mapped; of groups that are not, those among their members."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(ids)
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        if each in ours:
            found.add(each)
        else:
            waiting += groups.members.get(each, ())
    return found


def _everybody(ids: Iterable[str], groups: Groups) -> set[str]:
    """These ids and all members of those that are groups."""
    seen: set[str] = set()
    waiting = list(ids)
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            waiting += groups.members.get(each, ())
    return seen


def _is_user(each: str, groups: Groups) -> bool:
    return each != ANYONE and each not in groups.members and not each.startswith(GROUP)
