"""Whether a call may be made: hard invariants in Python, which no policy can switch off."""

from __future__ import annotations

from headworks.errors import Forbidden
from headworks.types.identity import Principal


def admit(principal: Principal, *, permission: str, model_name: str) -> None:
    """Pass, or Forbidden that names the missing permission, or the models that the key may call.

    `model_name` is as the caller wrote it; `feature@staging` and `feature@sha256:…` are allowed where `feature` is,
    and need `release:pin` beside it.
    """
    allowed = principal.allowed_models
    if permission in principal.permissions and allowed is None and "@" not in model_name:
        return
    if permission not in principal.permissions:
        raise Forbidden(
            f"{_whose(principal)} lacks the permission `{permission}`, which calling `{model_name}` needs.",
            next_step="Use a key that has it, or ask an administrator for a role with it.",
            param="model",
        )
    name, at, _ = model_name.partition("@")
    is_pinned = bool(at) and permission == "feature:call"
    if is_pinned and "release:pin" not in principal.permissions:
        raise Forbidden(
            f"{_whose(principal)} lacks the permission `release:pin`, which naming a channel or a digest needs.",
            next_step=f"Call `{name}`, or ask an administrator for the permission.",
            param="model",
        )
    if allowed is not None and model_name not in allowed and not (is_pinned and name in allowed):
        listed = ", ".join(f"`{each}`" for each in sorted(allowed)) or "none"
        raise Forbidden(
            f"This key may not call `{model_name}`.",
            next_step=f"Models that it may call: {listed}.",
            param="model",
            code="model_not_allowed",
        )


def may_call(principal: Principal, *, permission: str, model_name: str) -> bool:
    """Whether `admit` would pass: for lists of what the caller may use."""
    if permission not in principal.permissions:
        return False
    return principal.allowed_models is None or model_name in principal.allowed_models


def _whose(principal: Principal) -> str:
    return f"This {'key' if principal.key else 'session'} of `{principal.name}`"
