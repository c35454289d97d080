"""Which addresses a server may be made to talk to by somebody else's link: the public ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(map(ipaddress.ip_address, ("168.63.129.16", "fd00:ec2::254", "100.100.100.200")))
"""Where clouds tell a machine its secrets, beside link-local addresses."""
_RELAYS = ipaddress.ip_network("192.88.99.0/24")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")
_USUAL_PORTS = frozenset({80, 443})


@dataclass(frozen=True, slots=True)
class Reach:
    """Where fetching may lead. `private_hosts`: names or addresses, `host` or `host:port`, that may be private.

    Of such a host only the named port is added to 80 and 443. Link-local, multicast and metadata addresses are refused
    for every host.
    """

    private_hosts: frozenset[str] = frozenset()

    def refuses_port(self, host: str, port: int) -> bool:
        """Whether a port is not for web sources."""
        return port not in _USUAL_PORTS and f"{host.lower()}:{port}" not in self.private_hosts

    def why_not(self, host: str, port: int, addresses: Iterable[str]) -> str:
        """Why a host must not be fetched from, by all of its addresses; empty when it may be."""
        may_be_private = bool({host.lower(), f"{host.lower()}:{port}"} & self.private_hosts)
        for text in addresses:
            kind = kind_of(text)
            if kind and not (kind == "private" and may_be_private):
                return f"`{host}` has a {kind} address."
        return ""


def kind_of(text: str) -> str:
    """What is special about an address, in a word or two; empty for a public one. An IPv4 address inside counts."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "strange"
    inner = _unwrapped(address)
    return "tunnelled" if inner is None else _kind(address, inner)


def _kind(address: Address, inner: Address) -> str:
    if {address, inner} & _METADATA:
        return "metadata"
    if address.is_link_local or inner.is_link_local:
        return "link-local"
    if address.is_multicast or inner.is_multicast or address.is_unspecified or inner.is_unspecified:
        return "multicast or unspecified"
    if not inner.is_global or inner.is_reserved or inner in _RELAYS:
        return "private"
    return ""


def _unwrapped(address: Address) -> Address | None:
    """The address that packets go to in the end; None where that can't be told."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None or address in _NAT64_LOCAL:
        return None
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
