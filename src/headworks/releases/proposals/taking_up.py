"""Accepted proposals that no checkout has yet: `apply` from an older one may undo them only knowingly.

An apply that brings what a proposal says takes it up: from then on it is a file like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from headworks.errors import Conflict
from headworks.releases import store
from headworks.releases.proposals import store as proposal_store
from headworks.releases.proposals.resolving import text_of
from headworks.storage.pool import Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import ProjectId

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Undone:
    """A proposal, and the files in which what it says would be lost."""

    number: int
    paths: tuple[str, ...]

    @property
    def told(self) -> str:
        """As a sentence."""
        names = ", ".join(f"`{path}`" for path in self.paths[:_MOST_NAMED])
        more = f" and {len(self.paths) - _MOST_NAMED} more" if len(self.paths) > _MOST_NAMED else ""
        return f"Proposal {self.number}, which was accepted, is undone by these files: {names}{more}."


async def undone(
    tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId, files: Mapping[str, bytes]
) -> list[Undone]:
    """The accepted proposals, not taken up yet, that these files would undo."""
    waiting = await proposal_store.not_taken_up(tx, keyring, principal, project)
    if not waiting:
        return []
    applied = await store.files(tx, keyring, principal, project)
    found = []
    for number, content in waiting:
        lost = [
            path
            for path, base in content.bases.items()
            if not is_kept(base, text_of(applied.get(path)), text_of(files.get(path)))
        ]
        if lost:
            found.append(Undone(number, tuple(lost)))
    return found


def is_kept(before: str | None, accepted: str | None, brought: str | None) -> bool:
    """Whether a file still says what was accepted: each line that came with it, and none that went. None: no file."""
    if brought is None or accepted is None:
        return brought == accepted
    was, now, then = ((text or "").splitlines() for text in (before, accepted, brought))
    if then == now:
        return True
    if before is not None and then == was:
        return False
    old, new, found = Counter(was), Counter(now), Counter(then)
    return all(found[line] >= new[line] for line in new - old) and all(found[line] <= new[line] for line in old - new)


def refuse(found: Sequence[Undone], over: Collection[int]) -> None:
    """Raise Conflict (`proposal_overwritten`) for what is undone without being named in `over`."""
    if {each.number for each in found} <= set(over):
        return
    numbers = ",".join(str(each.number) for each in found)
    raise Conflict(
        " ".join(each.told for each in found),
        next_step="`headworks diff` shows what differs, `headworks pull --force` writes what was accepted into your "
        f"folder, and `headworks apply --over {numbers}` undoes it.",
        code="proposal_overwritten",
    )
