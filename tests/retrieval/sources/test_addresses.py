from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.sources.addresses import Reach, kind_of


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_nothing_special(address: str) -> None:
    assert kind_of(address) == ""


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "private"), ("10.1.2.3", "private"), ("192.168.0.1", "private"), ("172.16.9.9", "private"),
        ("100.64.0.1", "private"), ("255.255.255.255", "private"),
        ("169.254.169.254", "link-local"), ("224.0.0.1", "multicast or unspecified"), ("192.88.99.1", "private"),
        ("::1", "private"), ("::", "multicast or unspecified"), ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "private"), ("fd00:ec2::254", "metadata"), ("168.63.129.16", "metadata"),
        ("ff02::1", "multicast or unspecified"),
        ("::ffff:127.0.0.1", "private"), ("::ffff:169.254.169.254", "link-local"), ("::7f00:1", "private"),
        ("64:ff9b::7f00:1", "private"), ("64:ff9b::a9fe:a9fe", "link-local"), ("64:ff9b:1::1", "tunnelled"),
        ("2002:7f00:1::", "private"), ("2002:a9fe:a9fe::", "link-local"),
        ("2001:0:53aa:64c:0:f227:d51:7c4d", "tunnelled"),
        ("wiki", "strange"), ("", "strange"),
    ],
)  # fmt: skip
def test_what_is_not_public_is_called_by_its_kind(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_counts(inner: ipaddress.IPv4Address) -> None:
    kind = kind_of(str(inner))
    for outer in (f"::ffff:{inner}", str(ipaddress.IPv6Address((0x2002 << 112) | (int(inner) << 80)))):
        assert bool(kind_of(outer)) == bool(kind)


def test_a_named_host_may_be_private_but_never_link_local() -> None:
    reach = Reach(frozenset({"wiki.internal", "10.0.0.7:8080"}))
    assert reach.why_not("wiki.internal", 443, ["10.1.1.1"]) == ""
    assert reach.why_not("WIKI.internal", 443, ["10.1.1.1"]) == ""
    assert reach.why_not("wiki.internal", 443, ["10.1.1.1", "169.254.169.254"]) != ""
    assert reach.why_not("other.internal", 443, ["10.1.1.1"]) == "`other.internal` has a private address."
    assert reach.why_not("mixed.example", 443, ["1.1.1.1", "10.1.1.1"]) != ""
    assert reach.why_not("10.0.0.7", 8080, ["10.0.0.7"]) == ""
    assert reach.why_not("10.0.0.7", 80, ["10.0.0.7"]) != ""
    assert not reach.refuses_port("10.0.0.7", 8080)
    assert reach.refuses_port("10.0.0.7", 8081)
    assert reach.refuses_port("wiki.internal", 22)
    assert not reach.refuses_port("anything", 443)
