"""How people and machines are reached: e-mail, phone numbers with a prefix or in parentheses, IP addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from headworks.guardrails.context import (
    Candidate,
    Match,
    compiled,
    ends_token,
    is_called_otherwise,
    is_labelled,
    starts_token,
)
from headworks.guardrails.contract import EMAIL, IP, PHONE

EMAIL_ADDRESS = rb"[\pL\pN._%+'-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+"
INTERNATIONAL = rb"\+\d[\d ().\-/]{6,22}"
PARENTHESISED = rb"\(\d{2,5}\)[ \-/.]?\d[\d \-/.]{3,13}\d"
IPV4 = rb"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"
IPV6 = rb"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}"

PHONE_WORDS = (
    r"phone|phones|telephone|tel|mobile|cell|cellphone|fax|call|dial|ring|hotline|helpline|whatsapp|sms|"
    r"phone (?:no|nr|number)|telefon|telefonnummer|handy|handynummer|mobil|mobilnummer|rufnummer|durchwahl|"
    r"téléphone|tél|portable|appelez|teléfono|tlf|móvil|celular|llame|llamar|telefono|cellulare|chiamare|"
    r"telefone|telemóvel|telefoon|gsm|puhelin|puh|тел|телефон|電話|电话"
)


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_IP_WORDS = r"ip|ips|ipv4|ip address|ip-adresse|host|server|client|address|from|addr|src|dst|remote"

_FILE_ENDINGS = _words(
    "png jpg jpeg gif svg webp ico css js mjs ts tsx jsx html htm json xml yaml yml toml pdf txt csv log bak tmp"
)
_COUNTRY_2 = _words(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 "
    "90 91 92 93 94 95 98"
)
_COUNTRY_3 = _words("21 22 23 24 25 26 29 35 37 38 42 50 59 67 68 80 85 87 88 96 97 99")

_email = compiled(EMAIL_ADDRESS)
_international = compiled(INTERNATIONAL)
_parenthesised = compiled(PARENTHESISED)
_ipv4 = compiled(IPV4)
_ipv6 = compiled(IPV6)


def emails(data: bytes) -> Iterator[Candidate]:
    """Addresses of the form local@domain.tld, in any script."""
    if b"@" not in data:
        return
    for match in _email.finditer(data):
        address = match.group()
        local, _, domain = address.partition(b"@")
        lead = len(local) - len(local.lstrip(b".'-%"))
        end = match.end() - (len(domain) - len(domain.rstrip(b"-.")))
        local, domain = local[lead:], data[match.start() + match.group().index(b"@") + 1 : end]
        if _is_address(local.decode("utf-8", "replace"), domain.decode("utf-8", "replace").lower()):
            yield Candidate(match.start() + lead, end, "email", EMAIL, 0.97)


def _is_address(local: str, domain: str) -> bool:
    return _is_mailbox(local) and len(domain) <= 253 and _is_domain(domain.split("."))


def _is_mailbox(local: str) -> bool:
    """A name as mail systems allow it; `git` at a host is an address of code."""
    return 0 < len(local) <= 64 and not local.endswith(".") and ".." not in local and local != "git"


def _is_domain(labels: list[str]) -> bool:
    """Labels as names of hosts have them, the last no number and no ending of a file; `18.2.beta` is a version."""
    if any(not 0 < len(label) <= 63 or label.strip("-") != label for label in labels):
        return False
    top = labels[-1]
    is_version = len(labels) > 2 and labels[0].isdecimal() and labels[1].isdecimal()
    return len(top) >= 2 and not any(map(str.isdecimal, top)) and top not in _FILE_ENDINGS and not is_version


def phones(data: bytes) -> Iterator[Candidate]:
    """Numbers with a country's prefix, and national ones with the area code in parentheses."""
    if b"+" in data:
        yield from _international_phones(data)
    if b"(" in data:
        yield from _parenthesised_phones(data)


def _international_phones(data: bytes) -> Iterator[Candidate]:
    for match in _international.finditer(data):
        start, end = match.start(), match.end()
        if start and data[start - 1 : start].isalnum():
            continue
        while end > start:
            number = data[start:end].rstrip(b" ().-/")
            end = start + len(number)
            if _is_international(_digits(number)) and ends_token(data, end):
                yield Candidate(start, end, "phone_international", PHONE, 0.9)
                break
            end = start + max(number.rfind(separator) for separator in (b" ", b"(", b"/", b".", b"-"))


def _digits(number: bytes) -> str:
    return number.translate(None, b" -./()+").decode("ascii")


def _is_international(digits: str) -> bool:
    if digits[:1] == "1":
        return is_nanp(digits)
    if digits[:1] == "7":
        return len(digits) == 11
    return 9 <= len(digits) <= 15 and (digits[:2] in _COUNTRY_2 or digits[:2] in _COUNTRY_3)


def is_nanp(digits: str) -> bool:
    """A number of the North American plan, with or without its 1: area and exchange begin with 2 to 9, and no N11."""
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    if len(digits) != 10:
        return False
    area, exchange = digits[:3], digits[3:6]
    return area[0] in "23456789" and exchange[0] in "23456789" and area[1:] != "11" and exchange[1:] != "11"


def _parenthesised_phones(data: bytes) -> Iterator[Candidate]:
    for match in _parenthesised.finditer(data):
        start, end = match.start(), match.end()
        digits = _digits(match.group())
        if not ends_token(data, end) or not starts_token(data, start) or is_called_otherwise(data, start):
            continue
        if match.group()[4:5] == b")" and is_nanp(digits):
            yield Candidate(start, end, "phone_nanp", PHONE, 0.8)
        elif 7 <= len(digits) <= 13 and is_labelled(data, start, PHONE_WORDS):
            yield Candidate(start, end, "phone_named", PHONE, 0.7)


def ips(data: bytes) -> Iterator[Candidate]:
    """IP addresses of machines; not those of this host, nor networks' masks, nor numbered sections."""
    for match in _ipv4.finditer(data):
        has_large_part = any(len(part) == 3 for part in match.group().split(b"."))
        if has_large_part or is_labelled(data, match.start(), _IP_WORDS, within=16):
            yield from _machine(data, match, "ipv4")
    if b":" in data:
        for match in _ipv6.finditer(data):
            if len(match.group().replace(b":", b"")) >= 8:
                yield from _machine(data, match, "ipv6")


def _machine(data: bytes, match: Match, rule: str) -> Iterator[Candidate]:
    start, end = match.start(), match.end()
    if starts_token(data, start) and ends_token(data, end) and _is_host(match.group()):
        yield Candidate(start, end, rule, IP, 0.75)


def _is_host(written: bytes) -> bool:
    try:
        address = ipaddress.ip_address(written.decode("ascii"))
    except ValueError:
        return False
    is_mask = written.startswith(b"255.") or written.endswith(b".255")
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or is_mask)
