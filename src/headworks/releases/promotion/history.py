"""What the moves of a channel tell: what was good, what was rolled back from, and who moved it first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headworks.errors import Conflict, NotFound
from headworks.releases.channels import Order, Way
from headworks.types.ids import Digest


@dataclass(frozen=True, slots=True)
class MoveRow:
    """One entry of the log."""

    move_id: UUID
    channel: str
    from_digest: Digest | None
    to_digest: Digest
    revision: int
    way: Way
    ungated: bool
    reason: str
    proposal: int | None
    moved_at: datetime
    moved_by: str


def moved_first(order: Order, now: Digest | None, moves: Sequence[MoveRow]) -> Conflict:
    """The error for a channel that points elsewhere than expected: who moved it, when, from where to where."""
    where = f"`{order.feature}@{order.channel}`"
    if moves and now is not None:
        last = moves[-1]
        done = {"rollback": "rolled back", "break_glass": "moved past the rules"}.get(last.way, "moved")
        came = f" from {short(last.from_digest)}" if last.from_digest else ""
        message = (
            f"{where} was {done} by {last.moved_by} at {last.moved_at:%Y-%m-%d %H:%M:%S} UTC{came} to {short(now)}."
        )
    else:
        message = f"{where} points at {short(now) if now else 'nothing'} now."
    expected = short(order.expected) if order.expected else "nothing"
    return Conflict(
        message,
        next_step=f"You expected {expected} there. Look again, then decide.",
        code="channel_moved",
    )


def short(digest: str) -> str:
    """A digest for people: its first twelve digits, which every command takes."""
    return digest.removeprefix("sha256:")[:12]


def rollback_target(
    feature: str, live: Digest, moves: Sequence[MoveRow], blocked: Collection[Digest], to: Digest | None
) -> Digest:
    """What to roll back to: the pointer before this one that nobody rolled back from or blocked.

    One that came by the rule, unless there is none.
    """
    if to is not None:
        was_live = {each.to_digest for each in moves}
        if to not in was_live:
            raise NotFound(f"{short(to)} was never live as `{feature}`.", next_step="`headworks release log` shows.")
        if to in blocked:
            raise Conflict(f"{short(to)} is blocked by an incident.", next_step="Roll back to another one.")
        if to == live:
            raise Conflict(f"{short(to)} is live already.", code="already_live")
        return to
    good = [each for each in reversed(_pointers(moves)) if each != live and each not in blocked]
    for digest in [each for each in good if came_by_rule(moves, each)] or good:
        return digest
    raise NotFound(
        f"`{feature}` has no earlier release that was good.",
        next_step=f"`headworks release log {feature}` shows all moves; `--to DIGEST` goes back to any of them.",
    )


def came_by_rule(moves: Sequence[MoveRow], digest: Digest) -> bool:
    """Whether the rule ever let a digest come to where it was: to go back to it says nothing of that."""
    return any(each.to_digest == digest and each.way in {"apply", "promote"} for each in moves)


def _pointers(moves: Sequence[MoveRow]) -> list[Digest]:
    """What was live, one upon the other, without what was rolled back from."""
    stack: list[Digest] = []
    for move in moves:
        if move.way == "rollback" and move.to_digest in stack:
            while stack[-1] != move.to_digest:
                stack.pop()
        if not stack or stack[-1] != move.to_digest:
            stack.append(move.to_digest)
    return stack


def left_at(moves: Sequence[MoveRow], digest: Digest) -> MoveRow | None:
    """The last rollback away from a digest."""
    return next((each for each in reversed(moves) if each.way == "rollback" and each.from_digest == digest), None)


def is_left(moves: Sequence[MoveRow], digest: Digest) -> bool:
    """Whether a digest was rolled back from, and nobody has chosen it again since."""
    about = [each for each in moves if digest in {each.from_digest, each.to_digest}]
    return bool(about) and about[-1].way == "rollback" and about[-1].from_digest == digest
