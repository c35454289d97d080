"""Providers that can be used here, and whether each model that the workspace names has a credential and a price."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from headworks.app import surroundings
from headworks.cli.doctor.findings import Finding
from headworks.cli.folders import workspace_files
from headworks.config import ProviderSettings
from headworks.errors import HeadworksError
from headworks.providers.catalog import Catalog, Found, discover
from headworks.providers.catalog import Provider as CatalogRow
from headworks.providers.prices import PriceTable
from headworks.providers.vendors import VENDORS, Vendor
from headworks.releases.workspace.reading import parse_workspace
from headworks.types.features import Target
from headworks.types.wording import counted
from headworks.types.workspace import AccountSpec, Workspace


def look(
    folder: Path | None, settings: ProviderSettings, environ: Mapping[str, str], prices: PriceTable | None = None
) -> Iterator[Finding]:
    """Providers first, then the workspace of that folder if there is one. `prices` None: those of the shipped table."""
    found = asyncio.run(discover(environ))
    yield providers(found)
    if folder is None:
        yield Finding("workspace", "note", "none here", "`headworks init` writes one; or give --workspace.")
        return
    try:
        workspace = parse_workspace(workspace_files(folder), surroundings(settings.credential_env))
    except HeadworksError as error:
        yield Finding("workspace", "to do", f"{folder}: {error.message}", error.next_step)
        return
    counts = ", ".join(counted(count, what.removesuffix("s")) for what, count in workspace.summary().items())
    yield Finding("workspace", "ok", f"{folder}: {counts}")
    for notice in workspace.notices:
        yield Finding("workspace", "note", notice)
    yield from models(workspace, found, environ, prices)


def providers(found: Sequence[Found]) -> Finding:
    """What can be called without any further setting."""
    if not found:
        return Finding(
            "providers", "note", "none found: answers are the closest passages, from builtin/extractive",
            "Set a provider's key, like OPENAI_API_KEY, or start Ollama.",
        )  # fmt: skip
    return Finding("providers", "ok", ", ".join(f"{each.provider.id} ({each.source})" for each in found))


def models(
    workspace: Workspace, found: Sequence[Found], environ: Mapping[str, str], prices: PriceTable | None = None
) -> Iterator[Finding]:
    """Each model that a route names."""
    accounts = {each.name: each for each in workspace.accounts}
    named = {target.name: target for route in workspace.routes for target in route.targets}
    for name, target in sorted(named.items()):
        if target.provider == "builtin":
            continue
        kind = accounts[target.provider].kind if target.provider in accounts else target.provider
        row = VENDORS.get(kind) or Catalog.load().get(kind)
        if row is None:
            continue
        missing = _missing(row, accounts.get(target.provider), found, environ)
        yield _model(name, target, row, missing, prices or PriceTable.load())


def _model(name: str, target: Target, row: CatalogRow | Vendor, missing: str | None, prices: PriceTable) -> Finding:
    if missing is not None:
        return Finding(
            name, "to do", missing, "Set it where the server runs, and start the server again; or name another model."
        )
    if prices.find(row.id, target.model) is None:
        return Finding(
            name, "note", "no price is known",
            "Its cost is recorded as unknown (null), not as 0. State one: docs/reference/prices.md.",
        )  # fmt: skip
    return Finding(name, "ok", "has a credential and a price")


def _missing(
    row: CatalogRow | Vendor, account: AccountSpec | None, found: Sequence[Found], environ: Mapping[str, str]
) -> str | None:
    """What a call would lack; None: nothing that can be seen from here."""
    if isinstance(row, Vendor):
        return _missing_of_vendor(row, account, environ)
    names = _credentials(row, account)
    if names:
        is_set = any(environ.get(name, "").strip() for name in names)
        return None if is_set else f"no credential: {' or '.join(names)} is not set"
    if not row.is_local or account is not None or any(each.provider.id == row.id for each in found):
        return None
    return f"{row.name} does not answer on port {' or '.join(map(str, row.ports))} of this machine"


def _missing_of_vendor(vendor: Vendor, account: AccountSpec | None, environ: Mapping[str, str]) -> str | None:
    if account is not None and account.api_key_env:
        is_set = environ.get(account.api_key_env, "").strip()
        return None if is_set else f"no credential: {account.api_key_env} is not set"
    if account is not None and account.base_url:
        return None
    missing = vendor.missing(environ)
    return None if missing is None else f"no credential: {missing} is not set"


def _credentials(row: CatalogRow, account: AccountSpec | None) -> tuple[str, ...]:
    """The variables of which one must be set; a local server, and an address of one's own, may do without."""
    if account is not None and account.api_key_env:
        return (account.api_key_env,)
    if row.is_local or (account is not None and account.base_url):
        return ()
    return row.key_env
