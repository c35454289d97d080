"""One entry of `providers.yaml`: a provider as this project reaches it."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Protocol

from headworks.errors import UpstreamError, WorkspaceInvalid
from headworks.providers.pooling import tls_context
from headworks.providers.reaching import why_no_proxy
from headworks.strict_yaml import Section
from headworks.types.workspace import AccountSpec

_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_VERSION = re.compile(r"[A-Za-z0-9.-]{1,40}")


class Allowed(Protocol):
    """What an account may name."""

    @property
    def providers(self) -> frozenset[str]:
        """Kinds of accounts."""
        ...

    @property
    def usual_env(self) -> frozenset[str]:
        """The catalogue's own environment variables: for the catalogue's own addresses only."""
        ...

    @property
    def operator_env(self) -> frozenset[str]:
        """Those that the operator allows for any address."""
        ...


def read_account(name: str, section: Section, allowed: Allowed) -> AccountSpec:
    """Raises WorkspaceInvalid with file and line."""
    kind = section.choice("kind", allowed.providers, name if name in allowed.providers else None)
    base_url = _address(section)
    account = AccountSpec(
        name,
        kind,
        base_url,
        _credential(section, allowed, base_url),
        section.where(),
        api_version=_version(section) if kind == "azure" else None,
        proxy=_proxy(section, base_url),
        ca_file=_file(section, "ca_file"),
        client_certificate=_file(section, "client_certificate"),
    )
    section.finish()
    return account


def check_files(account: AccountSpec) -> None:
    """Read the files that an account names. Raises WorkspaceInvalid with file and line; takes milliseconds."""
    ca_file, certificate = account.ca_file, account.client_certificate
    try:
        tls_context(Path(ca_file) if ca_file else None, Path(certificate) if certificate else None)
    except UpstreamError as error:
        raise WorkspaceInvalid(f"{account.where}: {error.message}", next_step=error.next_step) from None


def _address(section: Section) -> str | None:
    address = section.text("base_url", "") or None
    if address and not _ADDRESS.fullmatch(address):
        section.complain("base_url", f"{address!r} is no http(s) address.", "Like http://127.0.0.1:8000/v1.")
    return address


def _credential(section: Section, allowed: Allowed, base_url: str | None) -> str | None:
    variable = section.text("api_key_env", "") or None
    if variable and variable not in allowed.operator_env | (frozenset() if base_url else allowed.usual_env):
        # A usual key must never travel to an address that a workspace chose.
        section.complain(
            "api_key_env",
            f"the server does not hand out `{variable}` here.",
            'The operator allows it in headworks.toml: [providers] credential_env = ["…"].',
        )
    return variable


def _version(section: Section) -> str | None:
    version = section.text("api_version", "") or None
    if version and not _VERSION.fullmatch(version):
        section.complain("api_version", f"{version!r} is no version.", "Like 2024-10-21 or preview.")
    return version


def _proxy(section: Section, base_url: str | None) -> str | None:
    proxy = section.text("proxy", "") or None
    if proxy and (why := why_no_proxy(proxy, may_sign_in=False)):
        step = "The operator writes a proxy with a password into HTTPS_PROXY." if "password" in why else ""
        section.complain("proxy", f"the address of the proxy {why}.", step or "Like http://proxy.example:3128.")
    if proxy and base_url and not base_url.startswith("https://"):
        section.complain(
            "proxy", "a proxy is for https addresses: over http it would see the key and all text.", "Use https."
        )
    return proxy


def _file(section: Section, key: str) -> str | None:
    path = section.text(key, "") or None
    if path and (not PurePath(path).is_absolute() or ".." in PurePath(path).parts):
        section.complain(
            key, f"{path!r} is no absolute path.", "It names a PEM file where the server runs, like /etc/ssl/ours.pem."
        )
    return path
