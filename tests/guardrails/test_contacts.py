"""E-mail addresses, phone numbers with a prefix, and IP addresses."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.guardrails.contacts import is_nanp
from headworks.guardrails.contract import EMAIL, IP, PHONE
from headworks.guardrails.pii import find

LETTERS = st.text(string.ascii_lowercase, min_size=2, max_size=10)
LOCAL = st.from_regex(
    r"[a-z][a-z0-9]{0,8}([._+-][a-z0-9]{1,8}){0,2}", fullmatch=True, alphabet=st.characters(codec="ascii")
)


def values(text: str, kind: str) -> list[str]:
    return [text[finding.start : finding.end] for finding in find(text, frozenset({kind}))]


@given(LOCAL, LETTERS, st.sampled_from(["com", "org", "co.uk", "de", "health", "museum"]))
def test_addresses_are_found_whatever_stands_around_them(local: str, domain: str, top: str) -> None:
    address = f"{local}@{domain}.{top}"
    is_git = local == "git"

    for text in (
        address,
        f"<{address}>",
        f"To: {address}.",
        f"({address}), x",
        f"'{address}'",
        f"mailto:{address}?x=1",
    ):
        assert values(text, EMAIL) == ([] if is_git else [address])


@pytest.mark.parametrize(
    "text",
    [
        *("@property", "user@host", "a@b", "@example.com", "x@", "a@b@", "icon@2x.png", "logo@3x.svg"),
        *("react@18.2.0", "pkg@1.2.beta", "git@github.com:a/b", "a@-b.com", "a@b-.com", "a@b..com"),
        f"{'a' * 65}@example.com",
        f"a@{'b' * 64}.com",
        f"a@{'b.' * 127}com",
        "a..b@example.com",
        "a.@example.com",
        "user@1.2.3.4",
    ],
)
def test_what_only_looks_like_an_address_is_none(text: str) -> None:
    assert values(text, EMAIL) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+49 30 90182 4471", "+49 30 90182 4471"),
        ("+49 (0)30 901824", "+49 (0)30 901824"),
        ("+1 (415) 555-0132.", "+1 (415) 555-0132"),
        ("+1-415-555-0132 x", "+1-415-555-0132"),
        ("+442079460958", "+442079460958"),
        ("+7 495 555 01 32", "+7 495 555 01 32"),
        ("+1 415 555 0132 2024", "+1 415 555 0132"),
        ("(+33 1 42 68 53 00)", "+33 1 42 68 53 00"),
        ("call +353 1 555 0199/+353 1 555 0198", "+353 1 555 0199"),
        ("(212) 555-0187", "(212) 555-0187"),
        ("(212)555-0187", "(212)555-0187"),
        ("Tel (030) 901820", "(030) 901820"),
    ],
)
def test_phone_numbers_with_a_prefix_are_found(text: str, value: str) -> None:
    assert values(text, PHONE)[0] == value


@pytest.mark.parametrize(
    "text",
    [
        *("+12345678", "+1 111 555 0132", "1+49301234567", "a+49301234567", "+0 30 1234567", "+28 30 1234567"),
        *(
            "+49 30",
            "+4930123456789012345",
            "(112) 555-0187",
            "(030) 901820",
            "order (212) 555-0187",
            "f(12345) 678901",
        ),
    ],
)
def test_what_only_looks_like_a_phone_number_is_none(text: str) -> None:
    assert values(text, PHONE) == []


@pytest.mark.parametrize(
    ("digits", "is_one"),
    [
        ("2125550187", True),
        ("12125550187", True),
        ("22125550187", False),
        ("1125550187", False),
        ("2121550187", False),
        ("9115550187", False),
        ("2129110187", False),
        ("212555018", False),
        ("", False),
    ],
)
def test_numbers_of_the_north_american_plan(digits: str, is_one: bool) -> None:  # noqa: FBT001 -- a table's column
    assert is_nanp(digits) is is_one


@given(st.ip_addresses(v=4))
def test_addresses_of_machines_are_found_after_a_label_unless_they_are_this_machine(address: object) -> None:
    written = str(address)
    never = written.startswith(("127.", "255.")) or written.endswith(".255") or written == "0.0.0.0"  # noqa: S104 -- text
    is_multicast = 224 <= int(written.split(".", maxsplit=1)[0]) <= 239

    assert values(f"from ip {written} now", IP) == ([] if never or is_multicast else [written])


@pytest.mark.parametrize(
    "text",
    [
        *("7.2.1.3", "section 12.4.10.2", "1.2.3.4.5", "300.1.1.1", "v10.0.0.5", "version 10.0.19045.1", "192.168.1"),
        *("12:30:45", "::1", "a::b", "aa:bb:cc:dd:ee:ff", "1:2:3:4", "std::string::npos"),
    ],
)
def test_versions_times_and_code_are_no_addresses(text: str) -> None:
    assert values(text, IP) == []


@pytest.mark.parametrize(
    "address", ["2001:db8:85a3::8a2e:370:7334", "2001:db8:0:0:0:0:0:1", "fe80::1ff:fe23:4567:890a"]
)
def test_ipv6_addresses_are_found(address: str) -> None:
    assert values(f"peer {address} left", IP) == [address]
