"""What somebody may do to others' rights: hold the permission, and never give what one does not have."""

from __future__ import annotations

from collections.abc import Iterable

from headworks.errors import Forbidden
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId


def allow(principal: Principal, *permissions: str) -> None:
    """Pass if the key or session holds one of the permissions, else Forbidden that names them."""
    if any(principal.may(permission) for permission in permissions):
        return
    wanted = " or ".join(f"`{permission}`" for permission in permissions)
    bearer = "key" if principal.key else "session"
    raise Forbidden(
        f"This {bearer} of `{principal.name}` lacks the permission {wanted}.",
        next_step="Use a key that has it, or ask an administrator for a role with it.",
    )


def refuse_more(maker: Principal, given: Iterable[str], what: str) -> None:
    """Forbidden if `what` (e.g. "The role `engineer`") would give permissions that the maker lacks."""
    missing = sorted(frozenset(given) - maker.permissions)
    if missing:
        names = ", ".join(f"`{permission}`" for permission in missing)
        raise Forbidden(
            f"{what} would give {names}, which you do not have yourself.",
            next_step="Nobody can give more rights than he has: ask somebody who has them.",
        )


def refuse_wider_groups(maker: Principal, groups: Iterable[PrincipalId], what: str) -> None:
    """Forbidden if a narrowed key would let somebody read through groups that it is not narrowed to."""
    if maker.is_narrowed and not maker.groups.issuperset(groups):
        raise Forbidden(
            f"{what} would read through groups that this key is not narrowed to.",
            next_step="Use a key without `groups`, or name only groups that this one has.",
        )


def refuse_limited(maker: Principal, what: str) -> None:
    """Forbidden if the maker's key is narrowed to groups or models: `what` would know no such limit."""
    if maker.is_narrowed or maker.allowed_models is not None:
        raise Forbidden(
            f"{what} would not be limited as this key is.", next_step="Use a key without `groups` and `models`."
        )
