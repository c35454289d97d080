from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.identity.roles import (
    BUILT_IN_ROLES,
    MEMBER,
    PERMISSIONS,
    check_definitions,
    check_permissions,
    check_role,
    permissions_of,
)


def test_every_built_in_role_holds_known_permissions_only() -> None:
    for role, permissions in {**BUILT_IN_ROLES, "member": MEMBER}.items():
        assert permissions <= PERMISSIONS.keys(), role


def test_an_owner_may_everything_and_an_admin_all_but_create_tenants_and_be_the_expert_or_the_judge() -> None:
    assert BUILT_IN_ROLES["owner"] == PERMISSIONS.keys()
    assert BUILT_IN_ROLES["owner"] - BUILT_IN_ROLES["admin"] == {
        "tenant:create",
        "release:expert",
        "judgement:adjudicate",
    }


def test_an_auditor_changes_nothing_and_calls_nothing() -> None:
    auditor = BUILT_IN_ROLES["auditor"]
    assert all(permission.endswith((":read", ":own")) for permission in auditor)
    assert "audit:read" in auditor


def test_who_has_no_role_is_a_member() -> None:
    assert (
        permissions_of([], {}, is_operator=True)
        == MEMBER
        == {"feature:call", "collection:read", "trace:own", "key:own"}
    )


def test_who_has_a_role_that_is_defined_nowhere_may_nothing() -> None:
    assert permissions_of(["vanished"], {}, is_operator=True) == frozenset()


def test_roles_add_up_and_a_definition_can_not_change_a_built_in_one() -> None:
    defined = {"caller": frozenset({"model:call"}), "auditor": frozenset({"key:write"})}
    held = permissions_of(["caller", "auditor"], defined, is_operator=True)
    assert held == BUILT_IN_ROLES["auditor"] | {"model:call"}


def test_tenants_are_created_only_in_the_operators_tenant() -> None:
    assert "tenant:create" in permissions_of(["owner"], {}, is_operator=True)
    assert "tenant:create" not in permissions_of(["owner"], {}, is_operator=False)


def test_an_unknown_permission_is_answered_with_near_ones() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_permissions(["feature:call", "features:call"])
    assert str(caught.value) == "There is no permission `features:call`. Did you mean `feature:call`?"
    assert caught.value.param == "permissions"


def test_an_unknown_role_is_answered_with_near_ones_also_of_the_tenants_own() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean `engineer`"):
        check_role("enginer", [])
    with pytest.raises(InvalidRequest, match="Did you mean `triage`"):
        check_role("triaje", ["triage"])
    with pytest.raises(InvalidRequest, match="There is no role `zzz`"):
        check_role("zzz", [])
    assert check_role("triage", ["triage"]) == "triage"


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ({"admin": ["key:own"]}, "The role `admin` is built in"),
        ({"Night Shift": ["key:own"]}, "is not a name for a role"),
        ({"night": ["key:owm"]}, "There is no permission `key:owm`"),
    ],
)
def test_a_wrong_definition_is_refused(definitions: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        check_definitions(definitions)


@given(
    st.sets(st.sampled_from([*BUILT_IN_ROLES, "night", "gone"])),
    st.sets(st.sampled_from(sorted(PERMISSIONS))),
    st.sampled_from([*BUILT_IN_ROLES, "night"]),
)
def test_another_role_never_takes_a_permission_away(roles: set[str], night: set[str], more: str) -> None:
    defined = {"night": frozenset(night)}
    if roles:
        before = permissions_of(roles, defined, is_operator=True)
        assert before <= permissions_of({*roles, more}, defined, is_operator=True)
