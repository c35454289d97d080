"""The invariants of calling: no policy can switch them off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import Forbidden
from headworks.policy.service import admit, may_call
from headworks.types.identity import Principal
from headworks.types.ids import KeyId, PrincipalId, TenantId, new_id

PERMISSIONS = st.frozensets(st.sampled_from(["model:call", "feature:call", "release:pin", "trace:own"]))
NAMES = st.sampled_from(["claims", "outside", "openai/gpt@2024", "claims@staging", "claims@sha256:00"])


def caller(permissions: frozenset[str], models: frozenset[str] | None = None) -> Principal:
    return Principal(
        TenantId(new_id()),
        PrincipalId(new_id()),
        "ada",
        "user",
        permissions,
        key=KeyId(new_id()),
        allowed_models=models,
    )


def is_admitted(principal: Principal, permission: str, name: str) -> bool:
    try:
        admit(principal, permission=permission, model_name=name)
    except Forbidden:
        return False
    return True


@given(PERMISSIONS, st.none() | st.frozensets(NAMES), st.sampled_from(["model:call", "feature:call"]), NAMES)
def test_who_is_admitted_holds_the_permission_and_calls_what_the_key_is_for(
    permissions: frozenset[str], models: frozenset[str] | None, permission: str, name: str
) -> None:
    principal = caller(permissions, models)
    is_pinned = permission == "feature:call" and "@" in name
    base = name.partition("@")[0] if is_pinned else name
    expected = permission in permissions
    expected = expected and (not is_pinned or "release:pin" in permissions)
    expected = expected and (models is None or name in models or base in models)
    assert is_admitted(principal, permission, name) is expected
    if not is_pinned:
        assert may_call(principal, permission=permission, model_name=name) is expected


@given(PERMISSIONS, st.frozensets(NAMES), NAMES)
def test_fewer_rights_never_admit_more(permissions: frozenset[str], models: frozenset[str], name: str) -> None:
    for permission in ("model:call", "feature:call"):
        if is_admitted(caller(permissions, models), permission, name):
            assert is_admitted(caller(permissions, None), permission, name)
            assert is_admitted(caller(permissions | {"release:pin"}, models), permission, name)


def test_a_missing_permission_is_named() -> None:
    with pytest.raises(Forbidden, match=r"key of `ada` lacks the permission `model:call`, which calling `outside`"):
        admit(caller(frozenset()), permission="model:call", model_name="outside")


def test_a_channel_needs_a_permission_of_its_own() -> None:
    with pytest.raises(Forbidden, match=r"`release:pin`.*Call `claims`"):
        admit(caller(frozenset({"feature:call"})), permission="feature:call", model_name="claims@staging")


def test_the_models_of_a_key_are_listed() -> None:
    with pytest.raises(Forbidden, match=r"may not call `b`.*`a`, `c`") as refused:
        admit(caller(frozenset({"model:call"}), frozenset({"c", "a"})), permission="model:call", model_name="b")
    assert (refused.value.code, refused.value.param) == ("model_not_allowed", "model")
    with pytest.raises(Forbidden, match=r"may call: none"):
        admit(caller(frozenset({"model:call"}), frozenset()), permission="model:call", model_name="b")
