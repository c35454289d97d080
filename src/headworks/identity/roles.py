"""Permissions, the built-in roles, and what a set of roles adds up to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from headworks.errors import InvalidRequest
from headworks.identity.names import check_name, near

PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "model:call": "call routes and `provider/model` through `/v1`",
        "feature:call": "call features through `/v1`",
        "release:pin": "name a channel or a digest: `feature@staging`, `feature@sha256:…`",
        "collection:read": "search collections and open documents; which ones, the readers decide",
        "collection:write": "hand in documents and sync folders",
        "release:propose": "propose changes of features, and talk about proposals",
        "release:approve": "approve releases that somebody else has proposed, or object to them",
        "release:expert": "approve as the principal domain expert, without whom nothing of high risk reaches `prod`",
        "release:promote": "move channels: promote releases by the rules, and roll back",
        "release:block": "block a feature's promotions because of an incident, and lift the block",
        "release:break_glass": "move `prod` past the rules, with a reason that everybody sees",
        "release:attest": "sign statements of one's own about releases",
        "dataset:read": "see datasets, and check and compare their versions",
        "dataset:write": "push versions of datasets, and turn traces that one may see into examples",
        "judgement:read": "see human judgements; another's of what one is still to judge stays hidden",
        "judgement:write": "judge answers, import judgements, and draw samples for review",
        "judgement:adjudicate": "decide where reviewers disagree, as the principal domain expert",
        "experiment:run": "run experiments and gates, whose calls cost money",
        "data:erase": "purge and erase documents and people for good, see receipts, place and release legal holds",
        "job:read": "see what durable work runs, waits or failed",
        "job:write": "pause, resume, cancel and retry durable work",
        "workspace:read": "see the applied files, features and releases",
        "workspace:apply": "apply a workspace: releases, routes, collections, roles",
        "provider:write": "configure provider accounts",
        "trace:own": "see the traces of one's own calls",
        "trace:read": "see every trace of the tenant; payloads still need the readers' rights",
        "reader:explain": "ask why somebody may or may not read a document",
        "reader:see_as": "search and open documents as somebody else would, which the audit tells of",
        "tenant:create": "create tenants; counts only in the operator's tenant",
        "principal:write": "create and disable users, service accounts and groups, and give them roles",
        "key:own": "make, list and revoke one's own API keys",
        "key:write": "make, list and revoke anybody's API keys in the tenant",
        "grant:write": "lend features to other tenants",
        "usage:read": "see the tenant's usage and cost",
        "audit:read": "see the tenant's audit events",
    }
)
"""Every permission there is, with what it allows."""

OWNER = "owner"

_ENGINEER = (
    "model:call feature:call release:pin collection:read collection:write job:read job:write "
    "workspace:read workspace:apply provider:write trace:own trace:read reader:explain key:own "
    "release:propose release:approve release:promote release:block release:attest "
    "dataset:read dataset:write judgement:read judgement:write experiment:run"
)
_EXPERT = (
    "feature:call release:pin collection:read workspace:read trace:own trace:read key:own "
    "release:propose release:approve dataset:read dataset:write judgement:read judgement:write experiment:run"
)
_PRINCIPAL_EXPERT = f"{_EXPERT} release:expert release:block judgement:adjudicate"
_REVIEWER = "feature:call collection:read trace:own trace:read key:own dataset:read judgement:read judgement:write"
_AUDITOR = "workspace:read trace:own trace:read usage:read audit:read dataset:read judgement:read"

BUILT_IN_ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        OWNER: frozenset(PERMISSIONS),
        "admin": frozenset(PERMISSIONS) - {"tenant:create", "release:expert", "judgement:adjudicate"},
        "engineer": frozenset(_ENGINEER.split()),
        "expert": frozenset(_EXPERT.split()),
        "principal-expert": frozenset(_PRINCIPAL_EXPERT.split()),
        "reviewer": frozenset(_REVIEWER.split()),
        "auditor": frozenset(_AUDITOR.split()),
    }
)
"""The roles that every tenant has; `roles.yaml` adds others and can't change these."""

MEMBER: frozenset[str] = frozenset({"feature:call", "collection:read", "trace:own", "key:own"})
"""What a principal without any role may do."""


def permissions_of(
    roles: Collection[str], defined: Mapping[str, frozenset[str]], *, is_operator: bool
) -> frozenset[str]:
    """What a principal bound to these roles may do, with the roles that the tenant's `roles.yaml` defines.

    A role that is defined nowhere gives nothing. `tenant:create` counts only in the operator's tenant.
    """
    if not roles:
        return MEMBER
    held: frozenset[str] = frozenset()
    for role in roles:
        held |= BUILT_IN_ROLES.get(role) or defined.get(role, frozenset())
    return held if is_operator else held - {"tenant:create"}


def check_permissions(permissions: Iterable[str]) -> frozenset[str]:
    """The same permissions, or InvalidRequest that lists near ones for the first unknown one."""
    wanted = frozenset(permissions)
    for permission in sorted(wanted - set(PERMISSIONS)):
        raise InvalidRequest(
            f"There is no permission `{permission}`.",
            next_step=near(permission, PERMISSIONS, "docs/reference/permissions.md lists them."),
            param="permissions",
        )
    return wanted


def check_definitions(definitions: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """The roles of a `roles.yaml`, checked: good names, none of the built-in ones, known permissions only."""
    checked: dict[str, frozenset[str]] = {}
    for role, permissions in definitions.items():
        if role in BUILT_IN_ROLES:
            raise InvalidRequest(
                f"The role `{role}` is built in and can't be redefined.",
                next_step="Give yours another name.",
                param="roles",
            )
        checked[check_name(role, "role")] = check_permissions(permissions)
    return checked


def check_role(role: str, defined: Collection[str]) -> str:
    """The same role, or InvalidRequest that lists near ones when it is neither built in nor defined."""
    if role in BUILT_IN_ROLES or role in defined:
        return role
    raise InvalidRequest(
        f"There is no role `{role}`.",
        next_step=near(role, [*BUILT_IN_ROLES, *defined], "Define it in the workspace's roles.yaml and apply."),
        param="role",
    )
