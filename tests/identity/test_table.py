from __future__ import annotations

import hmac
from datetime import UTC, datetime
from uuid import UUID

import pytest

from headworks.errors import Unauthenticated
from headworks.identity.contract import Grant
from headworks.identity.service import IdentityTable, bearer_token
from headworks.identity.table import HeldKey, Holder, TenantTable
from headworks.identity.tokens import Token, mint
from headworks.types.identity import ShownKey
from headworks.types.ids import KeyId, PrincipalId, ProjectId, TenantId, new_id

PEPPER = b"p" * 32
NOW = 1_800_000_000.0
TENANT, JANE, CLINIC, EVERYONE = TenantId(new_id()), PrincipalId(new_id()), PrincipalId(new_id()), PrincipalId(new_id())


def key_of(token: Token, **changes: object) -> HeldKey:
    values: dict[str, object] = {
        "id": KeyId(token.id), "principal": JANE, "secret_hash": token.hashed(PEPPER), "permissions": None,
        "models": None, "groups": None, "expires_at": None, "is_revoked": False,
    }  # fmt: skip
    return HeldKey(**{**values, **changes})  # type: ignore[arg-type]


def table_of(*keys: HeldKey, is_disabled: bool = False, tenant: TenantId = TENANT) -> IdentityTable:
    holder = Holder(
        JANE, "jane", "user", is_disabled, frozenset({"feature:call", "key:own"}), frozenset({CLINIC, EVERYONE})
    )
    return IdentityTable(PEPPER, [TenantTable(tenant, "acme", {JANE: holder}, {key.id: key for key in keys}, ())])


def refused(table: IdentityTable, token: str, now: float = NOW) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        table.authenticate(ShownKey(token), now)
    assert caught.value.status == 401
    assert caught.value.next_step
    assert caught.value.headers["www-authenticate"].startswith("Bearer")
    return caught.value


@pytest.fixture
def token() -> Token:
    return mint("hw", new_id())


def test_a_good_key_is_its_principal(token: Token) -> None:
    principal = table_of(key_of(token)).authenticate(ShownKey(token.text()), NOW)
    assert (principal.tenant, principal.id, principal.name, principal.kind) == (TENANT, JANE, "jane", "user")
    assert principal.key == token.id
    assert principal.permissions == {"feature:call", "key:own"}
    assert principal.groups == {CLINIC, EVERYONE}
    assert principal.allowed_models is None
    assert not principal.is_narrowed


def test_a_verified_key_is_remembered(token: Token) -> None:
    table = table_of(key_of(token))
    assert table.authenticate(ShownKey(token.text()), NOW) is table.authenticate(ShownKey(token.text()), NOW)


def test_a_limited_key_has_what_it_and_its_principal_have(token: Token) -> None:
    gone = PrincipalId(new_id())
    key = key_of(
        token,
        permissions=frozenset({"feature:call", "model:call"}),
        models=frozenset({"openai/gpt"}),
        groups=frozenset({CLINIC, gone}),
    )
    principal = table_of(key).authenticate(ShownKey(token.text()), NOW)
    assert principal.permissions == {"feature:call"}
    assert principal.allowed_models == {"openai/gpt"}
    assert principal.groups == {CLINIC}
    assert principal.is_narrowed


def test_a_key_narrowed_to_no_group_is_in_none(token: Token) -> None:
    principal = table_of(key_of(token, groups=frozenset())).authenticate(ShownKey(token.text()), NOW)
    assert principal.is_narrowed
    assert principal.groups == frozenset()


def test_no_key_is_missing(token: Token) -> None:
    error = refused(table_of(key_of(token)), "")
    assert error.code == "missing_api_key"
    assert "No API key was given" in error.message


@pytest.mark.parametrize("text", ["sk-proj-123", "hw_abc", "Bearer hw", "\ud800", "hw_" + "0" * 72])
def test_a_malformed_key_is_told_what_a_key_looks_like(token: Token, text: str) -> None:
    error = refused(table_of(key_of(token)), text)
    assert error.code == "malformed_api_key"
    assert "starts with `hw_` and has 75 characters" in error.message
    assert text not in str(error)


def test_an_unknown_key_and_a_wrong_secret_read_the_same(token: Token) -> None:
    table = table_of(key_of(token))
    unknown = refused(table, mint("hw", new_id()).text())
    wrong = refused(table, mint("hw", token.id).text())
    assert unknown.code == wrong.code == "invalid_api_key"
    assert str(unknown) == str(wrong)


def test_an_unknown_key_and_a_wrong_secret_are_both_compared_in_constant_time(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def watched(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return real(left, right)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    table = table_of(key_of(token))
    refused(table, mint("hw", new_id()).text())
    refused(table, mint("hw", token.id).text())
    table.authenticate(ShownKey(token.text()), NOW)
    assert compared == [(32, 32)] * 3


def test_a_key_whose_hash_is_all_zeros_in_no_table_is_not_let_in() -> None:
    class Zeros(Token):
        def hashed(self, pepper: bytes) -> bytes:
            return bytes(len(pepper))

    error = refused(table_of(), Zeros("hw", new_id(), bytes(32)).text())
    assert error.code == "invalid_api_key"


def test_a_key_of_another_pepper_is_unknown(token: Token) -> None:
    other = key_of(token, secret_hash=token.hashed(b"q" * 32))
    assert refused(table_of(other), token.text()).code == "invalid_api_key"


def test_an_expired_key_says_when_it_ended_also_after_it_was_remembered(token: Token) -> None:
    ends = datetime.fromtimestamp(NOW + 60, UTC)
    table = table_of(key_of(token, expires_at=ends))
    assert table.authenticate(ShownKey(token.text()), NOW + 59.9).key == token.id
    error = refused(table, token.text(), NOW + 60)
    assert error.code == "expired_api_key"
    assert ends.isoformat() in error.message
    assert "headworks key create" in error.next_step


def test_a_revoked_key_says_so_only_to_who_has_its_secret(token: Token) -> None:
    table = table_of(key_of(token, is_revoked=True))
    assert refused(table, token.text()).code == "revoked_api_key"
    assert refused(table, mint("hw", token.id).text()).code == "invalid_api_key"


def test_a_key_of_a_disabled_principal_says_so(token: Token) -> None:
    error = refused(table_of(key_of(token), is_disabled=True), token.text())
    assert error.code == "revoked_api_key"
    assert "disabled" in error.message


def test_no_error_repeats_the_key(token: Token) -> None:
    for table in (table_of(), table_of(key_of(token, is_revoked=True))):
        error = refused(table, token.text())
        assert token.text() not in str(error)
        assert token.text()[-20:] not in str(error)


def test_a_newer_table_has_the_changed_tenants_and_all_others(token: Token) -> None:
    other_tenant, other = TenantId(UUID(int=7)), mint("hw", new_id())
    table = table_of(key_of(token)).replacing(table_of(key_of(other), tenant=other_tenant)._tenants.values())
    assert table.authenticate(ShownKey(other.text()), NOW).tenant == other_tenant
    newer = table.replacing(table_of(key_of(token, is_revoked=True))._tenants.values())
    assert refused(newer, token.text()).code == "revoked_api_key"
    assert newer.authenticate(ShownKey(other.text()), NOW).tenant == other_tenant
    assert table.authenticate(ShownKey(token.text()), NOW).tenant == TENANT, "a request keeps its table"


def test_a_table_knows_the_keys_it_has_and_what_can_be_no_key(token: Token) -> None:
    table = table_of(key_of(token))
    assert table.knows(ShownKey(mint("hw", token.id).text()))
    assert table.knows(ShownKey("nonsense"))
    assert not table.knows(ShownKey(mint("hw", new_id()).text()))


def test_grants_are_found_by_who_received_them() -> None:
    grantee, project = TenantId(new_id()), ProjectId(new_id())
    grants = tuple((grantee, Grant(TENANT, project, feature)) for feature in ("one", "two"))
    table = IdentityTable(PEPPER, [TenantTable(TENANT, "home", {}, {}, grants)])
    assert [grant.feature for grant in table.grants[grantee]] == ["one", "two"]
    assert TENANT not in table.grants
    with pytest.raises(TypeError):
        table.grants[grantee] = ()  # type: ignore[index]


def test_what_was_lent_first_comes_first_whichever_tenant_lent_it() -> None:
    grantee, project, other = TenantId(new_id()), ProjectId(new_id()), TenantId(new_id())
    late, early = (datetime(2026, 1, day, tzinfo=UTC) for day in (2, 1))
    tables = [
        TenantTable(lender, "a name", {}, {}, ((grantee, Grant(lender, project, "claims", since)),))
        for lender, since in ((TENANT, late), (other, early))
    ]
    assert [grant.tenant for grant in IdentityTable(PEPPER, tables).grants[grantee]] == [other, TENANT]


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer   ", "hw_123"])
def test_a_header_without_a_bearer_is_a_missing_key(header: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        bearer_token(header)
    assert caught.value.code == "missing_api_key"


@pytest.mark.parametrize("header", ["Bearer hw_1", "bearer hw_1", "  BEARER   hw_1  "])
def test_a_bearer_is_read_in_any_case(header: str) -> None:
    assert bearer_token(header) == "hw_1"
