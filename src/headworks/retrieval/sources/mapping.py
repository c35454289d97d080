"""From the readers of a source to ours: pure functions. Whoever can't be mapped is nobody, and a denial goes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headworks.retrieval.sources.contract import ANYONE, GROUP, Access, Groups
from headworks.types.ids import PrincipalId


def readers_of(access: Access | None, groups: Groups, ours: Mapping[str, PrincipalId]) -> tuple[PrincipalId, ...]:
    """Our readers of a document; empty: nobody may read it.

    An id of the source in `ours` admits the principal that stands there; a group that is not is as good as its members,
    through groups in groups. As soon as anybody is denied, groups are always taken apart, since somebody could not be
    taken out of a group of ours: then only users are admitted, and `anyone` and groups without known members nobody.
    """
    if access is None:
        return ()
    if not access.denied:
        return tuple(sorted({ours[each] for each in _nearest(access.readers, groups, ours)}))
    denied = _everybody(access.denied, groups)
    if any(each == ANYONE or (each.startswith(GROUP) and each not in groups.members) for each in denied):
        return ()  # whom this denies can't be told
    users = {each for each in _everybody(access.readers, groups) - denied if _is_user(each, groups)}
    refused = {ours[each] for each in denied if each in ours}
    return tuple(sorted({ours[each] for each in users if each in ours} - refused))


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
